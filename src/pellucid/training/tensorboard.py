"""A callback that writes the training curves for TensorBoard. Importing this module imports no torch.

TensorBoard (https://www.tensorflow.org/tensorboard) is an extra: `pip install "pellucid[tensorboard]"`. To see the
curves, during the training or later: `tensorboard --logdir runs`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from pellucid.errors import UsageError
from pellucid.records import atomic
from pellucid.training.callbacks import Callback
from pellucid.training.history import History

FOLDER = "tensorboard"
"""Name of the folder of the event files within the run folder."""

TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "learning_rate": "learning_rate",
}
"""Column of the history → curve. The part before the slash is the panel of the curve."""


class TensorBoard(Callback):
    """Writes one point per epoch and curve, at the epoch's number.

    Args:
        folder: folder of the event files; None takes `tensorboard/` in the run folder.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UsageError('TensorBoard is not installed. Install it with: pip install "pellucid[tensorboard]".')
        self.folder = None if folder is None else Path(folder)
        self.writer: Any = None

    def on_folder(self, path: Path) -> None:
        if self.folder is None:
            # Made at the start: a resumed training writes curves if the folder is there.
            self.folder = atomic.make_folder(path / FOLDER)

    def on_resumed(self, step: int, history: History) -> None:  # noqa: ARG002 (the protocol's name)
        for row in history.rows:  # a kill may fall between the checkpoint of an epoch and its points
            self.on_epoch(row)

    def on_epoch(self, row: dict[str, Any]) -> None:
        if self.writer is None:
            self.writer = self._open(row["epoch"])
        for column, tag in TAGS.items():
            if row.get(column) is not None:
                self.writer.add_scalar(tag, row[column], row["epoch"])
        self.writer.flush()  # so that each epoch shows at once

    def on_end(self, summary: dict[str, Any]) -> None:  # noqa: ARG002 (the protocol's name)
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _open(self, epoch: int) -> Any:
        """The writer, made as late as this so that a training that fails before its first epoch leaves no file."""
        from torch.utils.tensorboard import SummaryWriter

        if self.folder is None:
            raise UsageError("TensorBoard needs a folder. Give TensorBoard(folder), or train into a run folder.")
        # In a resumed training, the points from this epoch on replace those of the interrupted run.
        return SummaryWriter(str(self.folder), purge_step=epoch)
