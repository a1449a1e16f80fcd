"""Trains; then predicts and scores the test split once, and writes everything into a run folder."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.data import load
from pellucid.data.catalogue import is_published
from pellucid.errors import UsageError
from pellucid.evaluation import evaluate
from pellucid.evaluation.scoring import count_scoring
from pellucid.evaluation.similarity import accuracy_by_similarity, nearest_similarity
from pellucid.inference import predict
from pellucid.inference.device import choose
from pellucid.inference.features import describe
from pellucid.networks import backbones
from pellucid.records import Dataset, Findings, Model, RunFolder, atomic, display
from pellucid.records.paths import expand_user, require_utf8
from pellucid.records.run import RunPlan, locked
from pellucid.training import processes
from pellucid.training.callbacks import Callback, Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.history import History, save_times
from pellucid.training.network_choice import NetworkLike
from pellucid.training.plan import ResolvedPlan, make_plan, require_classes, restore_plan
from pellucid.training.recipes import Recipe
from pellucid.training.result import Training
from pellucid.training.training import learn
from pellucid.workflows import restarts
from pellucid.workflows.data_check import check_data, with_accuracy_without_copies, without_quarantined
from pellucid.workflows.planning import measure_settings, split_limits
from pellucid.workflows.resuming import (
    empty_if_nothing_was_learned,
    how_to_go_on,
    interruption_names_run,
    naming_best_model,
    require_same_data,
    split_contents,
)
from pellucid.workflows.run_summary import run_description, with_metrics


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run.

    Attributes:
        folder: the run folder.
        model: the trained model.
        training: how it was trained.
        findings: the scores on `scored`; empty if the training was interrupted, and in all processes but the first.
        scored: name of the split that was scored: `test`, or `validation` if there is no test split.
        report: the page, if one was written.
        unscored: whether the user stopped it after the training, during scoring or drawing.
    """

    folder: RunFolder
    model: Model
    training: Training
    findings: Findings
    scored: str
    report: Path | None
    unscored: bool = False

    @property
    def interrupted(self) -> bool:
        return self.training.interrupted or self.unscored


def run(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    report: bool = True,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
    command: str = "",
    source: str = "",
    budget: str | float | None = None,
    memory_limit: str | int | None = None,
    check: bool = True,
    **changes: Any,
) -> Run:
    """Trains a network, scores it once on the test split, and writes a run folder.

    Args:
        data: labelled pictures.
        network: as for `pellucid.training.plan.make_plan`, like recipe, settings, start, size, seed and device.
        recipe: a recipe, or the name of one.
        settings: settings of the network.
        start: a model to start from, or its file.
        size: height and width to resize pictures to.
        seed: seed of everything random.
        device: auto, cpu, cuda or mps.
        progress: whether to show progress.
        callbacks: called while it trains.
        **changes: settings of the recipe to change; the batch size may be "auto".
        out: the run folder, which must not exist; None takes the next number in `runs/`.
        threads: number of threads of each process; None uses all cores, or the process's share of them.
        report: whether to draw the pictures and write the page.
        command: the command line, for the page and `run.json`.
        source: name or path that the data were loaded from, so that the run can be resumed without them.
        budget: time that the whole run may take, `5m` or seconds; as many epochs are trained as fit.
        memory_limit: memory that the batch size "auto" may fill, `2GB` or bytes; None for what is free, less a tenth.
        check: whether to check the data first: unreadable pictures are named and left out.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    since = time.perf_counter()
    limits, changes = split_limits(changes, budget, memory_limit)
    plan = make_plan(
        data, network, recipe=recipe, settings=settings, start=start, size=size, seed=seed, device=device, **changes
    ).with_record(source=source, threads=threads, command=command, **limits)
    return run_plan(
        data, plan, out=out, report=report, check=check, progress=progress, callbacks=callbacks, since=since
    )


def run_plan(
    data: Dataset,
    plan: ResolvedPlan,
    *,
    out: str | Path | None = None,
    report: bool = True,
    check: bool = True,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
    since: float | None = None,
) -> Run:
    """Carries out a plan as `run` does.

    Args:
        data: labelled pictures.
        plan: the plan, from `make_plan`.
        out: the run folder, which must not exist; None takes the next number in `runs/`.
        report: whether to draw the pictures and write the page.
        check: whether to check the data first.
        progress: whether to show progress.
        callbacks: called while it trains.
        since: when the budget began, of `time.perf_counter`; None for now.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    since = time.perf_counter() if since is None else since
    # Everything is checked before the folder is made.
    record = RunPlan.model_validate(dict(plan.record) | {"report": report})
    require_utf8(record.source, record.network or "", record.start, data.name, str(out or ""))
    _require_scorable(data)
    if plan.recipe.backbone is not None:
        backbones.require(plan.recipe.backbone)
    if record.fill_memory or record.budget is not None:
        plan.require_steps()
    job = _Job(data, plan, record, progress=progress, callbacks=callbacks)
    with processes.process_group(record.device) as group:
        if not group.is_main:
            message = json.loads(group.broadcast(None))
            return job.follow(RunFolder(Path(message["folder"])), is_resumed=message["is_resumed"])
        folder, is_resumed = restarts.begun_or_new(record, data.name, plan.network.name, out)
        with locked(folder):
            try:
                if is_resumed:
                    job.take_up(folder)
                else:
                    job.begin(folder, check=check, since=since)
                message = {"folder": str(folder.path.resolve()), "is_resumed": is_resumed}
                group.broadcast(json.dumps(message).encode())
                return job.carry_out(folder, is_resumed=is_resumed)
            except KeyboardInterrupt:
                empty_if_nothing_was_learned(folder)
                raise KeyboardInterrupt(how_to_go_on(folder)) from None
            except BaseException:
                empty_if_nothing_was_learned(folder)
                raise


def resume(
    path: str | Path,
    *,
    data: Dataset | None = None,
    network: NetworkLike | None = None,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Resumes a training that was interrupted or killed, and finishes it as `run` does.

    Model and history end with the same bytes as without the interruption, on the same machine with the same number of
    threads.

    Args:
        path: the run folder.
        data: the data, if they were not loaded by name or path.
        network: the network, if it has no name to load it by; or again `file.py:Class`, if that file came from somebody
            else and has not been trained here before.
        progress: whether to show progress.
        callbacks: called while it trains.

    Raises:
        PellucidError: the run is finished, in use, or cannot be resumed; the text says what to do.
    """
    folder = RunFolder(expand_user(path))
    with naming_best_model(folder):
        record = folder.read_plan()
    with (
        interruption_names_run(folder),
        naming_best_model(folder),
        processes.process_group(record.device) as group,
        locked(folder) if group.is_main else contextlib.nullcontext(),
    ):
        if data is None:
            if not record.source:
                raise UsageError(f"The data of {path} were not loaded by name; give them: resume(path, data=...).")
            data = load(record.source)
        data = without_quarantined(data, folder)
        require_same_data(record, data)
        _require_scorable(data)
        start = Model.load(folder.start) if folder.start.is_file() else None
        if network is None and record.network is None and start is None:
            raise UsageError(f"The network of {path} has no name to load it by; give it: resume(path, network=...).")
        if group.is_main and (sentence := restarts.same_processes(folder)):
            Callbacks(callbacks).notify("planned", sentence)
        job = _Job(data, restore_plan(record, network, start), record, progress=progress, callbacks=callbacks)
        return job.carry_out(folder, is_resumed=True)


class _Job:
    """A run that is being carried out. Of several processes, only the first shows progress, scores and writes."""

    def __init__(
        self, data: Dataset, plan: ResolvedPlan, record: RunPlan, *, progress: bool, callbacks: Sequence[Any]
    ) -> None:
        self.data, self.plan, self.record = data, plan, record
        self.progress, self.callbacks = progress, callbacks

    def begin(self, folder: RunFolder, *, check: bool, since: float) -> None:
        """Checks the data, measures what the plan leaves open, and writes the plan."""
        callbacks = Callbacks(self.callbacks)
        if check and not is_published(self.data):
            self.data = check_data(self.data, folder, callbacks)
        self._measure(folder, since)
        for sentence in self.record.planned.values():
            callbacks.notify("planned", sentence)
        if self.plan.start is not None:
            self.plan.start.save(folder.start)
        restarts.note(folder)
        self.record = self.record.model_copy(update={"splits": split_contents(self.data)})
        folder.write_plan(self.record)

    def _measure(self, folder: RunFolder, since: float) -> None:
        """Measures batch size and epochs, if the plan leaves them open. From then on they are fixed."""
        processes.set_threads(self.record.threads)
        plan, planned = measure_settings(
            self.data,
            self.plan,
            since=since,
            folder=folder.checkpoint,
            scored=len(self.data.split("test")) if _scored(self.data) == "test" else 0,
            report=self.record.report,
        )
        if not planned:
            return
        self.plan = plan
        self.record = self.record.model_copy(update={"recipe": plan.record.recipe, "planned": planned})
        folder.write_json(
            {
                "version": 1,
                "command": self.record.command,
                "data": {"name": self.data.name},
                "network": {"name": plan.network.name},
                "recipe": self.record.recipe,
                "planned": planned,
                "seed": self.record.seed,
            }
        )

    def take_up(self, folder: RunFolder) -> None:
        """Takes the plan of a run that the launcher has started before."""
        self.record = folder.read_plan()
        self.plan = replace(self.plan, record=self.record)
        self.data = without_quarantined(self.data, folder)
        require_same_data(self.record, self.data)

    def follow(self, folder: RunFolder, *, is_resumed: bool) -> Run:
        """Trains along with the first process, which has made the run folder and checked the data."""
        self.data = without_quarantined(self.data, folder)
        self.progress, self.callbacks = False, ()
        return self.carry_out(folder, is_resumed=is_resumed)

    def carry_out(self, folder: RunFolder, *, is_resumed: bool) -> Run:
        """Trains, from the beginning or the last checkpoint; then scores and writes everything."""
        is_main = processes.current_group().is_main
        processes.set_threads(self.record.threads)
        Callbacks(self.callbacks if is_main else ()).notify("folder", folder.path)
        training = learn(
            self.data,
            self.plan,
            progress=self.progress and is_main,
            callbacks=[_EpochWriter(folder), *self.callbacks] if is_main else [],
            checkpoints=Checkpoints(folder.checkpoint, resume=is_resumed),
        )
        scored = _scored(self.data)
        model = training.model
        if not is_main:
            return Run(folder, model, training, Findings(), scored, None, unscored=training.stop_requested)
        model.save(folder.model)
        training.history.save(folder.history)
        save_times(folder.times, training.seconds)
        folder.write_json(run_description(training, self.record, scored))
        if training.interrupted:
            return Run(folder, model, training, Findings(), scored, None)
        try:
            if training.stop_requested:  # during the last epoch, which it finished
                raise KeyboardInterrupt
            findings, page = _score(folder, model, training, scored, self.record)
        except KeyboardInterrupt:
            folder.write_json(folder.read_json() | {"interrupted": True})
            return Run(folder, model, training, Findings(), scored, None, unscored=True)
        folder.remove_checkpoints()
        return Run(folder, Model.load(folder.model), training, findings, scored, page)


def _score(
    folder: RunFolder, model: Model, training: Training, scored: str, record: RunPlan
) -> tuple[Findings, Path | None]:
    """Predicts and scores once, and writes the results: (findings, the page if one is written)."""
    split = training.data.split(scored)
    # The cache has the features of pictures that the same frozen backbone described before.
    if training.recipe.freeze_backbone:
        described = describe(model, split)
        predictions = described.predictions
        train = describe(model, training.data.train).features
        further = accuracy_by_similarity(predictions, nearest_similarity(described.features, train))
    else:
        predictions, further = predict(model, split, device=_scoring_device(record.device)), []
    findings = with_accuracy_without_copies(evaluate(predictions, split), predictions, scored, folder)
    findings += Findings(tuple(further))
    model = with_metrics(model, findings, scored)
    model.save(folder.model)
    findings = count_scoring(findings, split, model.sha256) if scored == "test" else findings
    replace(predictions, model=model.sha256).save(folder.predictions)
    folder.write_findings(findings)
    write_page = display.view("run") if record.report else None
    return findings, None if write_page is None else write_page(folder, training.data)


def _scoring_device(device: str) -> str:
    """The device that predicts the scored split: the card that the training ran on, else the CPU."""
    return "cuda" if choose(device).type == "cuda" else "cpu"


def _scored(data: Dataset) -> str:
    """The name of the split that is scored at the end."""
    return "test" if "test" in data.splits else "validation"


def _require_scorable(data: Dataset) -> None:
    """Raises PellucidError if the data cannot be scored, which an hour of training would not change."""
    require_classes(data)
    if _scored(data) == "test":
        data.test.known_labels()


class _EpochWriter(Callback):
    """Writes the best model so far, and the history, after every epoch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = History()

    def on_resumed(self, step: int, history: History) -> None:  # noqa: ARG002 (the protocol's name)
        self.history = History(list(history.rows))

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.history.rows.append(row)
        self.history.save(self.folder.history)

    def on_best(self, model: Model) -> None:
        atomic.make_folder(self.folder.checkpoint)
        model.save(self.folder.checkpoint / "model.safetensors")
