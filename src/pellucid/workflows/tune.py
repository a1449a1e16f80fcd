"""Searches the settings of a training: short trainings with different settings, compared on validation.

The test split is removed before the search begins, so it cannot choose. optuna (https://optuna.org) proposes settings
from the trials so far, by its tree-structured Parzen estimator, and a trial that falls behind the others ends early.
optuna is an extra: `pip install "pellucid[tune]"`. See `pellucid.workflows.proposing`.

Every trial is a function of the plan, its number and the trials before it, and is written down when it ends. A search
that was killed is resumed where it stopped, and finds the same as one that never stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from pellucid.data import load
from pellucid.data.splitting import with_validation
from pellucid.errors import DivergenceError, UnknownNameError, UsageError
from pellucid.records import Dataset, Findings, Model
from pellucid.records.paths import command_line, expand_user, require_utf8
from pellucid.records.quantities import parse_time
from pellucid.records.tune import Trial, TuneFolder, TunePlan
from pellucid.training.callbacks import Callback, TrainingOverview
from pellucid.training.dry_run import dry_run
from pellucid.training.history import History
from pellucid.training.interruption import Interruption
from pellucid.training.network_choice import NetworkLike
from pellucid.training.plan import ResolvedPlan, require_used, resolve_recipe, restore_plan
from pellucid.training.training import learn
from pellucid.workflows import proposing, search_space, tune_findings
from pellucid.workflows.search_space import Space

TRIALS = 20


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        space: each setting to search, as `learning_rate=1e-4..1e-1`, `batch_size=32,64` or `weight_decay`; empty
            searches the usual settings (`pellucid.workflows.search_space.default_space`).
        trials: number of trainings.
        budget: time after which no trial begins, `10m` or seconds; None for any.
        pruner: rule that ends a trial early if it falls behind: median, hyperband or none.
    """

    space: Sequence[str] = ()
    trials: int = TRIALS
    budget: str | float | None = None
    pruner: str = "median"


@dataclass(frozen=True)
class Tuning:
    """A search, and its result so far.

    Attributes:
        folder: the folder of the search.
        plan: what is searched.
        trials: all trials that have ended.
        findings: the result.
        interrupted: whether the user stopped it.
        best: the best settings of the recipe; empty if no trial has finished.
        command: the command that trains with them; empty if no trial has finished.
        notes: sentences for the user.
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
    """Follows a search. Every method may do nothing."""

    def on_search(self, folder: Path, trials: int, epochs: int, done: int) -> None:
        """Before the first trial: the folder, the number of trials and of their epochs, and of trials that are done."""

    def on_epoch(self, trial: int, row: Mapping[str, Any]) -> None:
        """After each epoch of a trial: its number, and the row of its history."""

    def on_trial(self, trial: Trial, settings: Mapping[str, Any]) -> None:
        """After each trial, with its settings of the recipe."""

    def on_end(self) -> None:
        """After the last trial, also after an error."""


def tune(
    data: Dataset,
    plan: ResolvedPlan,
    search: Search | None = None,
    *,
    fixed: Sequence[str] = (),
    out: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Tuning:
    """Searches settings of a training, and gives the best on validation. The test split is not used.

    Args:
        data: labelled pictures.
        plan: the plan where the search starts, from `pellucid.training.plan.make_plan`; it is the first trial.
        search: what is searched, and how; None searches the usual settings.
        fixed: settings of the recipe that the user gave, and that are not searched.
        out: the folder, which must not exist; None takes the next number in `tunes/`.
        watcher: follows the search.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    search = search or Search()
    proposing.import_optuna()
    _check(search.trials, search.pruner)
    seconds = None if search.budget is None else parse_time(search.budget)
    require_utf8(plan.record.source, plan.record.network or "", data.name, str(out or ""), plan.record.start)
    if plan.record.threads is not None:
        torch.set_num_threads(plan.record.threads)
    with dry_run(data, plan) as training:
        data, loss = _without_test(training.prepared.data), training.prepared.specification.loss
    texts = _texts(plan, search, fixed, loss)
    space = search_space.space(texts, plan.recipe)
    folder = TuneFolder.create(data.name, plan.network.name, out)
    start = plan.record.start or (str(folder.start.resolve()) if plan.start is not None else "")
    record = TunePlan.model_validate(
        dict(plan.record)
        | {
            "fingerprint": data.fingerprint,
            "changes": _changes(plan, fixed),
            "space": texts,
            "pruner": search.pruner,
            "trials": search.trials,
            "start": start,
        }
    )
    with folder.locked():
        if plan.start is not None:
            plan.start.save(folder.start)
        folder.write_plan(record)
        return _Trials(folder, record, plan, data, space, watcher or Watcher(), seconds).run([])


def _texts(plan: ResolvedPlan, search: Search, fixed: Sequence[str], loss: str) -> dict[str, str]:
    """What is searched: {setting: text}.

    Raises:
        UsageError: a setting is unknown, not used by the network, or given as fixed too.
    """
    unused = plan.network.unused_settings()
    default_space = search_space.default_space(plan.recipe, loss)
    texts = search_space.parse(search.space, {name: text for name, text in default_space.items() if name not in unused})
    require_used(plan.network, texts)
    for name in fixed:
        if name in texts and search.space:
            raise UsageError(f"{name} was given, and is to be searched too. Give one of the two.")
        texts.pop(name, None)
    return texts


def _changes(plan: ResolvedPlan, fixed: Sequence[str]) -> dict[str, Any]:
    """The settings that the command has to name: those that the user gave, or that differ from the named recipe."""
    named = resolve_recipe(plan.network, plan.record.recipe_name, {}).model_dump(mode="json")
    unused = plan.network.unused_settings()
    return {
        name: value
        for name, value in plan.record.recipe.items()
        if name not in unused and (name in fixed or value != named[name])
    }


def resume(
    path: str | Path,
    *,
    data: Dataset | None = None,
    network: NetworkLike | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    watcher: Watcher | None = None,
) -> Tuning:
    """Resumes a search that was stopped, or adds trials.

    Args:
        path: the folder of the search.
        data: the data, if they were not loaded by name or path.
        network: the network, if it has no name to load it by.
        trials: number of all trials; None for as many as were planned.
        budget: time after which no trial begins, from now.
        watcher: follows the search.

    Raises:
        PellucidError: it is in use, or cannot be resumed; the text says what to do.
    """
    proposing.import_optuna()
    folder = TuneFolder(expand_user(path))
    record = folder.read_plan()
    seconds = None if budget is None else parse_time(budget)
    if trials is not None:
        _check(trials, record.pruner)
        record = record.model_copy(update={"trials": trials})
    if data is None:
        if not record.source:
            raise UsageError(f"The data of {path} were not loaded by name; give them: resume(path, data=...).")
        data = load(record.source)
    start = Model.load(folder.start) if record.start else None
    if network is None and record.network is None and start is None:
        raise UsageError(f"The network of {path} has no name to load it by; give it: resume(path, network=...).")
    if record.threads is not None:
        torch.set_num_threads(record.threads)
    plan = restore_plan(record, network, start)
    data = _without_test(with_validation(data, plan.recipe.validation_fraction, plan.recipe.split_seed))
    if data.fingerprint != record.fingerprint:
        raise UsageError(
            f"The data of {path} have changed since, so its trials cannot be compared. Start a new search."
        )
    space = search_space.space(record.space, plan.recipe)
    with folder.locked():
        done = folder.read_trials()
        folder.write_plan(record)
        return _Trials(folder, record, plan, data, space, watcher or Watcher(), seconds).run(done)


def _check(trials: int, pruner: str) -> None:
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise UsageError(f"A search has at least one trial; given: {trials!r}.")
    if pruner not in search_space.PRUNERS:
        raise UnknownNameError("pruner", pruner, search_space.PRUNERS)


def _without_test(data: Dataset) -> Dataset:
    """The training and validation splits of the data."""
    return replace(data, splits={name: data.split(name) for name in ("train", "validation")})


class PrunedError(Exception):
    """Ends the training of a trial that has fallen behind the others."""


class _TrialCallback(Callback):
    """Reports the epochs of a trial to optuna, and ends the trial if it falls behind."""

    def __init__(self, number: int, proposal: Any, watcher: Watcher) -> None:
        self.number, self.proposal, self.watcher = number, proposal, watcher
        self.history = History()

    def on_start(self, overview: TrainingOverview) -> None:
        self.epochs = overview.epochs

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.history.rows.append(row)
        self.watcher.on_epoch(self.number, row)
        self.proposal.report(row["validation_accuracy"], row["epoch"])
        if row["epoch"] < self.epochs and self.proposal.should_prune():
            raise PrunedError


@dataclass
class _Trials:
    """The trials of a search, one after the other."""

    folder: TuneFolder
    record: TunePlan
    plan: ResolvedPlan
    data: Dataset
    space: Space
    watcher: Watcher
    budget: float | None
    since: float = field(default_factory=time.monotonic)

    def run(self, done: list[Trial]) -> Tuning:
        """Makes all trials that are missing; those that end are kept, however the search ends."""
        self.watcher.on_search(self.folder.path, self.record.trials, self.plan.recipe.epochs, len(done))
        try:
            done, notes = self._all(done)
        finally:
            self.watcher.on_end()
        return self._result(done, notes, interrupted=len(done) < self.record.trials and not notes)

    def _all(self, done: list[Trial]) -> tuple[list[Trial], list[str]]:
        """(all trials that ended, sentences for the user)."""
        with contextlib.suppress(KeyboardInterrupt), Interruption() as interruption:
            while len(done) < self.record.trials and not interruption.requested:
                if self._is_over(done):
                    note = (
                        f"The time is over after {len(done)} of {self.record.trials} trials. `pellucid tune --resume "
                        f"{command_line(self.folder.path)}` makes the others."
                    )
                    return done, [note]
                trial = self._try(done)
                if trial is None:
                    break
                done = [*done, trial]
                self.folder.write_trials(done)
                self.watcher.on_trial(trial, self._settings(trial.chosen))
        return done, []

    def _is_over(self, done: list[Trial]) -> bool:
        """Whether the next trial would end after the time, if it takes as long as the longest so far."""
        if self.budget is None:
            return False
        elapsed = time.monotonic() - self.since
        longest = max((trial.seconds for trial in done), default=0.0)
        return bool(done) and elapsed + longest > self.budget

    def _try(self, done: list[Trial]) -> Trial | None:
        """Makes the next trial; None if it was interrupted."""
        proposal = proposing.propose(self.record, self.space, done)
        chosen = {name: self.space[name].rounded(value) for name, value in proposal.params.items()}  # type: ignore[arg-type]
        callback = _TrialCallback(len(done) + 1, proposal, self.watcher)
        began = time.perf_counter()
        plan = self.plan.with_recipe(**self._settings(chosen))
        state = "finished"
        try:
            training = learn(self.data, plan, progress=False, callbacks=[callback])
            if training.interrupted:
                return None
            state = "diverged" if training.stop_reason else "finished"
        except PrunedError:
            state = "pruned"
        except DivergenceError:
            state = "diverged"
        rows = callback.history.rows
        best = None if not rows else callback.history.best() if self.plan.recipe.keep == "best" else rows[-1]
        return Trial(
            number=len(done) + 1,
            chosen=chosen,
            state=state,
            accuracies=[row["validation_accuracy"] for row in rows],
            epoch=best["epoch"] if best else 0,
            accuracy=best["validation_accuracy"] if best else None,
            seconds=time.perf_counter() - began,
        )

    def _settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.space[name].setting(value) for name, value in chosen.items()}

    def _result(self, done: list[Trial], notes: list[str], *, interrupted: bool) -> Tuning:
        importance = proposing.importance(self.record, self.space, done)
        pictures = len(self.data.validation)
        findings = tune_findings.findings(self.record, done, self.space, importance, pictures, self.data.name)
        self.folder.write_findings(findings)
        best = tune_findings.best(done)
        return Tuning(
            self.folder,
            self.record,
            done,
            findings,
            interrupted,
            best=self._settings(best.chosen) if best else {},
            command=tune_findings.command(self.record, best, self.space) if best else "",
            notes=tuple(notes),
        )
