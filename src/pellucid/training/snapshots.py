"""Keeps the model of every epoch in the run folder, for a film of how it learned: a callback."""

from __future__ import annotations

from pathlib import Path

from pellucid.errors import UsageError
from pellucid.records import Model, atomic
from pellucid.training.callbacks import Callback

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
