"""Callbacks: objects that are called while a training runs. A callback has any of the methods of `Callback`.

What a callback may rely on when a run is killed and resumed:

- `on_step` is called again for the steps after the last checkpoint.
- `on_best` and `on_model` of an epoch are called before its checkpoint is written, `on_epoch` after it. If the run is
  killed in between, `on_best` and `on_model` of that epoch are called again on resume, and `on_epoch` is lost: read the
  row from the history of `on_resumed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.records import Findings, Model, atomic


@dataclass(frozen=True)
class TrainingOverview:
    """What a training is about to do: names of the network and the data, and how much work it is."""

    network: str
    data: str
    epochs: int
    steps_per_epoch: int
    pictures: int
    validation_pictures: int


class Callback:
    """Base class of callbacks, for convenience: any object with some of these methods will do."""

    def on_folder(self, path: Path) -> None:
        """Called first, if there is a run folder (`pellucid train`), with its path."""

    def on_checked(self, findings: Findings) -> None:
        """Called before `on_planned` if the data were checked, with the remarks on them."""

    def on_planned(self, sentence: str) -> None:
        """Called before `on_start` for each setting that was measured or chosen, such as the epochs that fit a time."""

    def on_start(self, overview: TrainingOverview) -> None:
        """Called before the first step."""

    def on_resumed(self, step: int, history: Any) -> None:
        """Called before the first step of a resumed training: number of steps done, and the `History` so far."""

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        """Called after each step (counted from 1 over the whole training): loss and accuracy of its batch, scalars."""

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Called after each epoch, once its checkpoint is written, with its row of the history."""

    def on_best(self, model: Model) -> None:
        """Called with the model of each epoch that is the best so far on validation, before that epoch's `on_epoch`.

        If the recipe keeps the last epoch, it is called for every epoch.
        """

    def on_model(self, epoch: int, model: Model) -> None:
        """Called with the current model before the first step (epoch 0) and after each epoch, before its `on_epoch`."""

    def on_end(self, summary: dict[str, Any]) -> None:
        """Called after the last step, also on an error or an interruption: chosen_epoch, interrupted, seconds."""


def _is_plain_function(callback: Any) -> bool:
    """Whether it is a function without methods for any event, which would never be called."""
    return callable(callback) and not any(name.startswith("on_") for name in dir(callback))


class Callbacks:
    """A list of callbacks that are notified together.

    Args:
        callbacks: objects with methods of `Callback`.

    Raises:
        UsageError: it is not a list, or contains a plain function.
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        is_list = isinstance(callbacks, Iterable) and not isinstance(callbacks, str)
        self.callbacks = list(callbacks) if is_list else []
        wrong = [callback for callback in self.callbacks if _is_plain_function(callback)] if is_list else [callbacks]
        if wrong:
            raise UsageError(
                f"Callbacks are a list of objects with methods such as on_epoch(row); given: {wrong[0]!r}. "
                f"pellucid.training.callbacks.Callback lists the methods."
            )

    def notify(self, event: str, *values: Any) -> None:
        """Calls the method `on_EVENT` of each callback that has it."""
        for callback in self.callbacks:
            method = getattr(callback, f"on_{event}", None)
            if method is not None:
                method(*values)

    def has_handler(self, event: str) -> bool:
        """Whether a callback has a method `on_EVENT` other than the empty one of `Callback`."""
        methods = [getattr(callback, f"on_{event}", None) for callback in self.callbacks]
        empty = getattr(Callback, f"on_{event}")
        return any(method is not None and getattr(method, "__func__", method) is not empty for method in methods)


FOLDER = "snapshots"
"""Name of the snapshot folder within the run folder."""


class Snapshots(Callback):
    """Saves `epoch-0000.safetensors`, the initial weights, and one model after each epoch.

    Args:
        folder: where to save them; None takes `snapshots/` in the run folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)

    def on_folder(self, path: Path) -> None:
        if self.folder is None:
            self.folder = path / FOLDER

    def on_model(self, epoch: int, model: Model) -> None:
        if self.folder is None:
            raise UsageError("Snapshots need a folder. Give Snapshots(folder), or train into a run folder.")
        atomic.make_folder(self.folder)
        model.save(self.folder / f"epoch-{epoch:04d}.safetensors")
