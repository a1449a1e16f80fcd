"""Searches the settings of a training: short trainings, each with other settings, compared on validation.

The test split is taken out before anything begins: it cannot choose. The search is optuna's: its tree-structured Parzen
estimator proposes settings from the trials so far, and a trial that falls behind the others is ended early. optuna
(https://optuna.org) is an extra: `pip install "pellucid[tune]"`. See `pellucid.workflows.proposing`.

Every trial is a function of the plan, its number and the trials before it, and is written down when it ends. A search
that was killed goes on where it was, and finds the same as one that never stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from pellucid.errors import DivergenceError, UnknownNameError, UsageError
from pellucid.networks.custom import full_reference
from pellucid.records import Dataset, Findings, Model
from pellucid.records.paths import command_line, expand_user, require_utf8
from pellucid.records.quantities import parse_time
from pellucid.records.tune import Trial, TuneFolder, TunePlan
from pellucid.training.callbacks import Callback, TrainingOverview
from pellucid.training.choice import NetworkLike, choose_network, network_name, plan_for, require_use
from pellucid.training.dry_run import rehearsal
from pellucid.training.history import History
from pellucid.training.interruption import Interruption
from pellucid.training.methods.choice import settle
from pellucid.training.preparation import require_classes
from pellucid.training.recipes import Recipe
from pellucid.training.training import learn
from pellucid.workflows import proposing, search_space, tune_findings
from pellucid.workflows.search_space import Space

TRIALS = 20


@dataclass(frozen=True)
class Tuning:
    """A search, and what it found so far.

    Attributes:
        folder: where it lies.
        plan: what is searched.
        trials: all that have ended.
        findings: what was learned from them.
        interrupted: whether it was stopped from outside.
        best: the settings of the recipe that were best; empty where no trial was finished.
        command: the command that trains with them; empty where no trial was finished.
        notes: what a person should know.
    """

    folder: TuneFolder
    plan: TunePlan
    trials: list[Trial]
    findings: Findings
    interrupted: bool
    best: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    notes: tuple[str, ...] = ()


class Watcher:
    """What is told of a search while it runs. Every method may do nothing."""

    def on_search(self, folder: Path, trials: int, epochs: int, done: int) -> None:
        """Before the first trial: where it lies, how many trials there are to be, of so many epochs, how many are."""

    def on_epoch(self, trial: int, row: Mapping[str, Any]) -> None:
        """After each epoch of a trial: its number, and the row of its history."""

    def on_trial(self, trial: Trial, settings: Mapping[str, Any]) -> None:
        """After each trial, with the settings of the recipe that it had."""

    def on_end(self) -> None:
        """After the last trial, however the search ended."""


def tune(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    search: Sequence[str] = (),
    trials: int = TRIALS,
    budget: str | float | None = None,
    pruner: str = "median",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    watcher: Watcher | None = None,
    command: str = "",
    source: str = "",
    **changes: Any,
) -> Tuning:
    """Searches settings of a training, and gives the best on validation. The test split is not looked at.

    Args:
        data: labelled pictures.
        network: as for `pellucid.train`, like recipe, settings, start, size, seed, device and changes.
        recipe: the plan that the search starts from; it is itself the first trial.
        search: what is searched, each as `learning_rate=1e-4..1e-1`, `batch_size=32,64` or `weight_decay`; nothing
            searches the usual settings (`pellucid.workflows.search_space.default_space`).
        trials: how many trainings.
        budget: the time after which no further one begins: `10m`, or seconds.
        pruner: how a trial that falls behind is ended early: median, hyperband or none.
        out: the folder, which must not be there; None takes the next number in `tunes/`.
        settings: of the network.
        start: a model to start from, or its file.
        size: height and width to bring the pictures to.
        seed: what everything random is drawn from; all trials have the same.
        threads: how many threads do the arithmetic; None takes all cores.
        device: auto, cpu, cuda or mps.
        watcher: told of the search while it runs.
        command: what the user typed.
        source: what the data were loaded from, so that the search can be resumed by itself.
        **changes: settings of the recipe that are to differ, and are not searched.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    proposing.import_optuna()
    _check(trials, pruner)
    seconds = None if budget is None else parse_time(budget)
    require_classes(data)
    from_file = str(expand_user(start).resolve()) if isinstance(start, (str, Path)) else ""
    start = Model.load(start) if isinstance(start, (str, Path)) else start
    network, recipe, settled = settle(data, network, recipe, started=start is not None, changes=changes)
    choice = choose_network(network, settings, start, recipe)
    base = plan_for(choice, recipe, settled)
    reference = full_reference(network) if isinstance(network, str) else None
    require_utf8(source, reference or "", data.name, str(out or ""), from_file)
    if start is None:
        settings = dict(choice.settings) or settings  # a recipe may bring some of its own
    if threads is not None:
        torch.set_num_threads(threads)
    with rehearsal(
        data, network, recipe=base, seed=seed, settings=settings, start=start, size=size, device=device
    ) as it:
        seen, loss = _seen(it.prepared.data), it.prepared.specification.loss
    usual = search_space.default_space(base, loss)
    texts = search_space.parse(
        search, {name: text for name, text in usual.items() if name not in choice.unused_settings()}
    )
    require_use(choice, texts)
    for name in changes:
        if name in texts and search:
            raise UsageError(f"{name} was given, and is to be searched too. Give one of the two.")
        texts.pop(name, None)
    space = search_space.space(texts, base)
    # A plan that was handed over has no name: the command says it as its difference from one that has.
    named = recipe if isinstance(recipe, str) else "default" if recipe.backbone is None else "finetune"
    own, asked = plan_for(choice, named, {}).model_dump(mode="json"), base.model_dump(mode="json")
    folder = TuneFolder.create(data.name, network_name(network, start), out)
    plan = TunePlan(
        source=source,
        fingerprint=seen.fingerprint,
        network=reference,
        settings=dict(settings) if settings is not None else None,
        recipe=asked,
        recipe_name=named,
        changes={
            name: value
            for name, value in asked.items()
            if name not in choice.unused_settings() and (name in changes or value != own[name])
        },
        space=texts,
        pruner=pruner,
        trials=trials,
        size=size,
        seed=seed,
        threads=threads,
        device=device,
        start=from_file or (str(folder.start.resolve()) if start is not None else ""),
        command=command,
    )
    with folder.held():
        if start is not None:
            start.save(folder.start)
        folder.write_plan(plan)
        return _Search(folder, plan, seen, network, start, space, watcher or Watcher(), seconds).run([])


def resume(
    path: str | Path,
    *,
    data: Dataset | None = None,
    network: NetworkLike | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    watcher: Watcher | None = None,
) -> Tuning:
    """Goes on with a search that was stopped, or that is to have more trials.

    Args:
        path: its folder.
        data: the data, where they were not loaded by name or path.
        network: the network, where it was handed over built.
        trials: how many there are to be in all; None for as many as were planned.
        budget: the time after which no further one begins, from now on.
        watcher: told of the search while it runs.

    Raises:
        PellucidError: it is in use, or cannot go on; its text says what to do.
    """
    proposing.import_optuna()
    folder = TuneFolder(expand_user(path))
    plan = folder.read_plan()
    seconds = None if budget is None else parse_time(budget)
    if trials is not None:
        _check(trials, plan.pruner)
        plan = plan.model_copy(update={"trials": trials})
    if data is None:
        if not plan.source:
            raise UsageError(f"The data of {path} were not loaded by name; give them: resume(path, data=...).")
        from pellucid.data import load

        data = load(plan.source)
    network = network if network is not None else plan.network
    start = Model.load(folder.start) if plan.start else None
    if network is None and start is None:
        raise UsageError(f"The network of {path} was handed over built; give it: resume(path, network=...).")
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    base = Recipe.model_validate(plan.recipe)
    from pellucid.data.splitting import with_validation

    seen = _seen(with_validation(data, base.validation_fraction, base.split_seed))
    if seen.fingerprint != plan.fingerprint:
        raise UsageError(
            f"The data of {path} have changed since, so its trials cannot be compared. Start a new search."
        )
    space = search_space.space(plan.space, base)
    with folder.held():
        done = folder.read_trials()
        folder.write_plan(plan)
        return _Search(folder, plan, seen, network, start, space, watcher or Watcher(), seconds).run(done)


def _check(trials: int, pruner: str) -> None:
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise UsageError(f"A search has at least one trial; given: {trials!r}.")
    if pruner not in proposing.PRUNERS:
        raise UnknownNameError("pruner", pruner, proposing.PRUNERS)


def _seen(data: Dataset) -> Dataset:
    """The data without what a search must not look at."""
    return replace(data, splits={name: data.split(name) for name in ("train", "validation")})


class _Fallen(Exception):  # noqa: N818 (not an error: the word from within a training that it may stop)
    """The trial has fallen behind the others."""


class _Trial(Callback):
    """Listens to the training of a trial, and ends it where it falls behind."""

    def __init__(self, number: int, asked: Any, watcher: Watcher) -> None:
        self.number, self.asked, self.watcher = number, asked, watcher
        self.history = History()

    def on_start(self, overview: TrainingOverview) -> None:
        self.epochs = overview.epochs

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.history.rows.append(row)
        self.watcher.on_epoch(self.number, row)
        self.asked.report(row["validation_accuracy"], row["epoch"])
        if row["epoch"] < self.epochs and self.asked.should_prune():
            raise _Fallen


@dataclass
class _Search:
    """The trials, one after the other."""

    folder: TuneFolder
    plan: TunePlan
    data: Dataset
    network: NetworkLike | None
    start: Model | None
    space: Space
    watcher: Watcher
    budget: float | None
    since: float = field(default_factory=time.monotonic)

    def run(self, done: list[Trial]) -> Tuning:
        """All trials that are still to be made; those that ended stay, however it ends."""
        self.watcher.on_search(self.folder.path, self.plan.trials, self.plan.recipe["epochs"], len(done))
        try:
            done, notes = self._all(done)
        finally:
            self.watcher.on_end()
        return self._found(done, notes, interrupted=len(done) < self.plan.trials and not notes)

    def _all(self, done: list[Trial]) -> tuple[list[Trial], list[str]]:
        """(all trials that ended, what a person should know)."""
        with contextlib.suppress(KeyboardInterrupt), Interruption() as interruption:
            while len(done) < self.plan.trials and not interruption.requested:
                if self._is_over(done):
                    over = (
                        f"The time is over after {len(done)} of {self.plan.trials} trials. `pellucid tune --resume "
                        f"{command_line(self.folder.path)}` makes the others."
                    )
                    return done, [over]
                trial = self._try(done)
                if trial is None:
                    break
                done = [*done, trial]
                self.folder.write_trials(done)
                self.watcher.on_trial(trial, self._settings(trial.chosen))
        return done, []

    def _is_over(self, done: list[Trial]) -> bool:
        """Whether another trial, if it takes as long as the others at most, would end after the time."""
        if self.budget is None:
            return False
        gone = time.monotonic() - self.since
        longest = max((trial.seconds for trial in done), default=0.0)
        return bool(done) and gone + longest > self.budget

    def _try(self, done: list[Trial]) -> Trial | None:
        """The next trial; None where it was interrupted."""
        asked = proposing.propose(self.plan, self.space, done)
        chosen = {name: self.space[name].rounded(value) for name, value in asked.params.items()}  # type: ignore[arg-type]
        listener = _Trial(len(done) + 1, asked, self.watcher)
        began = time.perf_counter()
        state = "finished"
        try:
            training = learn(
                self.data,
                self.network,
                recipe=Recipe.model_validate(self.plan.recipe).but(**self._settings(chosen)),
                seed=self.plan.seed,
                settings=self.plan.settings,
                start=self.start,
                size=self.plan.size,
                device=self.plan.device,
                progress=False,
                callbacks=[listener],
            )
            if training.interrupted:
                return None
            state = "diverged" if training.stopped else "finished"
        except _Fallen:
            state = "pruned"
        except DivergenceError:
            state = "diverged"
        rows = listener.history.rows
        kept = None if not rows else listener.history.best() if self._keeps_best() else rows[-1]
        return Trial(
            number=len(done) + 1,
            chosen=chosen,
            state=state,
            accuracies=[row["validation_accuracy"] for row in rows],
            epoch=kept["epoch"] if kept else 0,
            accuracy=kept["validation_accuracy"] if kept else None,
            seconds=time.perf_counter() - began,
        )

    def _keeps_best(self) -> bool:
        return self.plan.recipe["keep"] == "best"

    def _settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.space[name].setting(value) for name, value in chosen.items()}

    def _found(self, done: list[Trial], notes: list[str], *, interrupted: bool) -> Tuning:
        importance = proposing.importance(self.plan, self.space, done)
        pictures = len(self.data.validation)
        findings = tune_findings.findings(self.plan, done, self.space, importance, pictures, self.data.name)
        self.folder.write_findings(findings)
        best = tune_findings.best(done)
        return Tuning(
            self.folder,
            self.plan,
            done,
            findings,
            interrupted,
            best=self._settings(best.chosen) if best else {},
            command=tune_findings.command(self.plan, best, self.space) if best else "",
            notes=tuple(notes),
        )
