"""Train; then predict the test split once, score it, and write everything into a run folder."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pellucid.evaluation import evaluate
from pellucid.inference import predict
from pellucid.records import Dataset, Findings, Metric, Model, RunFolder, atomic, display
from pellucid.training.callbacks import Callback, Callbacks
from pellucid.training.choice import NetworkLike, network_name
from pellucid.training.history import History, save_times
from pellucid.training.recipes import Recipe
from pellucid.training.training import Training, learn

_MEASURED = ("value", "low", "high", "n")


@dataclass(frozen=True)
class Run:
    """A training with all that came of it.

    Attributes:
        folder: where it lies.
        model: what was learned.
        training: how.
        findings: what was found on `scored`; empty where the training was interrupted.
        scored: the name of the split that was scored: `test`, or `validation` where there is no test split.
        report: the page, where one was written.
    """

    folder: RunFolder
    model: Model
    training: Training
    findings: Findings
    scored: str
    report: Path | None

    @property
    def interrupted(self) -> bool:
        return self.training.interrupted


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
    **changes: Any,
) -> Run:
    """Trains a network, scores it once on the test split, and writes a run folder.

    Args:
        data: labelled pictures.
        network: as for `learn`, like recipe, settings, start, size, seed, device, progress, callbacks and changes.
        recipe: the training plan, or its name.
        settings: settings of the network.
        start: a model to start from, or its file.
        size: height and width to bring the pictures to.
        seed: what everything random is drawn from.
        device: auto, cpu, cuda or mps.
        progress: whether to show how it goes.
        callbacks: told of the training while it runs.
        **changes: settings of the recipe that are to differ.
        out: the run folder, which must not be there; None takes the next number in `runs/`.
        threads: how many threads do the arithmetic; None takes all cores.
        report: whether to draw the pictures and write the page.
        command: what the user typed, for the page and for `run.json`.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if isinstance(start, (str, Path)):
        start = Model.load(start)
    scored = "test" if "test" in data.splits else "validation"
    if scored == "test":
        data.test.known_labels()  # what cannot be scored is said before it has taken an hour
    folder = RunFolder.create(data.name, network_name(network, start), out)
    keeper = _Keeper(folder)
    try:
        Callbacks(callbacks).tell("folder", folder.path)
        training = learn(
            data,
            network,
            recipe=recipe,
            seed=seed,
            settings=settings,
            start=start,
            size=size,
            device=device,
            progress=progress,
            callbacks=[keeper, *callbacks],
            **changes,
        )
    except BaseException:
        _remove_if_empty(folder)
        raise
    _keep(folder, training, _description(training, seed, command, scored))
    if training.interrupted:
        return Run(folder, training.model, training, Findings(), scored, None)
    model, findings = _score(folder, training, scored)
    show = display.view("run") if report else None
    page = None if show is None else show(folder, training.data)
    return Run(folder, model, training, findings, scored, page)


def _keep(folder: RunFolder, training: Training, description: dict[str, Any]) -> None:
    """Writes what was learned, and how; the checkpoint has then done its work."""
    training.model.save(folder.model)
    training.history.save(folder.history)
    save_times(folder.times, training.seconds)
    folder.write_json(description)
    shutil.rmtree(folder.checkpoint, ignore_errors=True)


def _score(folder: RunFolder, training: Training, scored: str) -> tuple[Model, Findings]:
    """Predicts a split once, and writes what was found; gives the model with its scores."""
    split = training.data.split(scored)
    found = predict(training.model, split)
    findings = evaluate(found, split)
    model = _with_metrics(training.model, findings, scored)
    model.save(folder.model)
    replace(found, model=model.sha256).save(folder.predictions)
    folder.write_findings(findings)
    return model, findings


class _Keeper(Callback):
    """Writes the best model so far, and the history, after every epoch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = History()

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.history.rows.append(row)
        self.history.save(self.folder.history)

    def on_best(self, model: Model) -> None:
        atomic.make_folder(self.folder.checkpoint)
        model.save(self.folder.checkpoint / "model.safetensors")


def _remove_if_empty(folder: RunFolder) -> None:
    """A training that failed before its first epoch leaves nothing behind; what was learned stays."""
    if not any(folder.path.iterdir()):
        folder.path.rmdir()


def _with_metrics(model: Model, findings: Findings, split: str) -> Model:
    """The model with what was measured on the split that was scored."""
    measured = {
        f"{split}_{item.name}": {key: value for key, value in item.to_json().items() if key in _MEASURED}
        for item in findings
        if isinstance(item, Metric)
    }
    specification = model.specification
    return replace(model, specification=specification.model_copy(update={"metrics": specification.metrics | measured}))


def _description(training: Training, seed: int, command: str, scored: str) -> dict[str, Any]:
    """Everything needed to repeat a run."""
    specification = training.model.specification
    data = training.data
    return {
        "version": 1,
        "command": command,
        "data": {
            "name": data.name,
            "description": data.description,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "sizes": {split.name: len(split) for split in data},
            "notes": list(data.notes),
        },
        "network": {
            "name": specification.network.name,
            "settings": specification.network.settings,
            "source": specification.network.source,
            "parameters": training.parameters,
            "notes": [note for note in training.notes if note not in data.notes],
        },
        "recipe": training.recipe.model_dump(mode="json"),
        "preprocessing": specification.preprocessing.model_dump(mode="json"),
        "loss": specification.loss,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": specification.training["versions"],
        "platform": platform.platform(),
        "chosen_epoch": training.chosen_epoch,
        "interrupted": training.interrupted,
        "stopped": training.stopped,
        "scored": scored,
    }
