"""Callbacks: what is told of a training while it runs. A callback has any of the methods of `Callback`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.records import Findings, Model, atomic


@dataclass(frozen=True)
class TrainingOverview:
    """What a training is about to do."""

    network: str
    data: str
    epochs: int
    steps_per_epoch: int
    pictures: int
    validation_pictures: int


class Callback:
    """What is told of a training. Every method may be missing; deriving from this class is a convenience."""

    def on_folder(self, path: Path) -> None:
        """Before everything, where there is a run folder (`pellucid train`): the folder."""

    def on_checked(self, findings: Findings) -> None:
        """Before `on_planned`, where the data were looked at: the remarks on them."""

    def on_planned(self, sentence: str) -> None:
        """Before `on_start`, for each setting that was measured first (a budget, a batch size that fills memory)."""

    def on_start(self, plan: TrainingOverview) -> None:
        """Before the first step."""

    def on_resumed(self, step: int, history: Any) -> None:
        """Before the first step of a training that goes on: how many steps are done, and the `History` so far."""

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        """After each step (counted from 1 over the whole training), with its batch's loss and accuracy as scalars."""

    def on_epoch(self, row: dict[str, Any]) -> None:
        """After each epoch, with its row of the history."""

    def on_best(self, model: Model) -> None:
        """After an epoch that is kept (the best so far on validation; every one where the last is kept): its model.

        It comes before that epoch's `on_epoch`.
        """

    def on_model(self, epoch: int, model: Model) -> None:
        """Before the first step (epoch 0) and after each epoch, kept or not: the model of that moment."""

    def on_end(self, summary: dict[str, Any]) -> None:
        """After the last step, also when it was stopped: chosen_epoch, interrupted, seconds."""


def _is_plain_function(callback: Any) -> bool:
    """Whether it can be called, but has no method for any event: it would never be told of anything."""
    return callable(callback) and not any(name.startswith("on_") for name in dir(callback))


class Callbacks:
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        listed = isinstance(callbacks, Iterable) and not isinstance(callbacks, str)
        self.callbacks = list(callbacks) if listed else []
        wrong = [one for one in self.callbacks if _is_plain_function(one)] if listed else [callbacks]
        if wrong:
            raise UsageError(
                f"Callbacks are a list of objects with methods such as on_epoch(row); given: {wrong[0]!r}. Its events "
                f"are those of pellucid.training.callbacks.Callback."
            )

    def notify(self, event: str, *values: Any) -> None:
        """Calls the method `on_EVENT` of all that have it."""
        for callback in self.callbacks:
            method = getattr(callback, f"on_{event}", None)
            if method is not None:
                method(*values)

    def has_handler(self, event: str) -> bool:
        """Whether any has the method `on_EVENT` as its own, rather than the empty one of `Callback`."""
        methods = [getattr(callback, f"on_{event}", None) for callback in self.callbacks]
        empty = getattr(Callback, f"on_{event}")
        return any(method is not None and getattr(method, "__func__", method) is not empty for method in methods)


FOLDER = "snapshots"
"""What the folder of the models is called, within the run folder."""


class Snapshots(Callback):
    """Writes `epoch-0000.safetensors`, the weights that the training begins with, and one more after each epoch.

    Args:
        folder: where they go; None takes `snapshots/` in the run folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)

    def on_folder(self, path: Path) -> None:
        if self.folder is None:
            self.folder = path / FOLDER

    def on_model(self, epoch: int, model: Model) -> None:
        if self.folder is None:
            raise UsageError("Where should the snapshots go? Give Snapshots(folder), or train into a run folder.")
        atomic.make_folder(self.folder)
        model.save(self.folder / f"epoch-{epoch:04d}.safetensors")
