"""Progress of a training: a live line in a terminal, plain lines when piped, a curve in a notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from pellucid.errors import on_one_line
from pellucid.records import display
from pellucid.records.names import counted
from pellucid.records.quantities import format_time_left
from pellucid.training.callbacks import Callback, TrainingOverview
from pellucid.training.time_left import TimeLeft


def epoch_line(row: dict[str, Any], epochs: int, seconds: float) -> str:
    """`epoch  2/5   loss 0.0812   accuracy 97.5 %   validation loss 0.0702   accuracy 97.9 %   4.1 s`."""
    width = len(str(epochs))
    return (
        f"epoch {row['epoch']:>{width}}/{epochs}   loss {row['train_loss']:.4f}   "
        f"accuracy {100 * row['train_accuracy']:5.2f} %   validation loss {row['validation_loss']:.4f}   "
        f"accuracy {100 * row['validation_accuracy']:5.2f} %   {seconds:.1f} s"
    )


class PipeSafeConsole(Console):
    """A console that stops printing when its pipe is closed (`| head`); rich's own would end the training."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard_output(self.file)


def discard_output(stream: IO[str]) -> None:
    """Redirects the stream to the null device, so that Python's flush at exit does not fail."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class LineDisplay(Callback):
    """Prints one plain line per epoch."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or PipeSafeConsole(file=sys.stdout, soft_wrap=True)
        self.epochs = 0
        self.epoch_start = 0.0

    def on_start(self, overview: TrainingOverview) -> None:
        self.epochs = overview.epochs
        self.epoch_start = time.perf_counter()
        self.console.print(
            on_one_line(
                f"{overview.network} learns from {counted(overview.pictures, 'picture')} of {overview.data}, "
                f"validated on {counted(overview.validation_pictures, 'other')}"
            ),
            highlight=False,
            markup=False,
        )

    def on_planned(self, sentence: str) -> None:
        self.console.print(on_one_line(sentence[:1].upper() + sentence[1:]), highlight=False, markup=False)

    def on_resumed(self, step: int, history: Any) -> None:
        self.console.print(
            f"resumes after step {step:,}; {len(history)} of {self.epochs} epochs are done",
            highlight=False,
            markup=False,
        )

    def on_epoch(self, row: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.console.print(epoch_line(row, self.epochs, now - self.epoch_start), highlight=False, markup=False)
        self.epoch_start = now


class _TimeLeftColumn(ProgressColumn):
    """The time left at the moment of drawing."""

    max_refresh = 0.5

    def __init__(self, time_left: Callable[[], str]) -> None:
        super().__init__()
        self.time_left = time_left

    def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's name)
        return Text(self.time_left())


class LiveDisplay(LineDisplay):
    """The same lines, and a progress bar below them: epoch, step, loss, accuracy, time left."""

    def on_start(self, overview: TrainingOverview) -> None:
        super().on_start(overview)
        self.overview = overview
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[measured]}"),
            _TimeLeftColumn(self._time_left),
            console=self.console,
            transient=True,
        )
        total = overview.epochs * overview.steps_per_epoch
        self.task = self.progress.add_task("", total=total, epoch=1, epochs=overview.epochs, measured="")
        self.drawn = 0.0
        self.time_left = TimeLeft(overview, time.perf_counter())
        self.progress.start()

    def on_resumed(self, step: int, history: Any) -> None:
        super().on_resumed(step, history)
        self.time_left.on_resumed(step, time.perf_counter())
        self._update(step)

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        now = time.perf_counter()
        last = step % self.overview.steps_per_epoch == 0
        if now - self.drawn < 0.1 and not last:  # reading a loss waits for the device
            return
        self.drawn = now
        measured = f"loss {float(loss):.4f}  accuracy {100 * float(accuracy):.1f} %"
        self.time_left.on_step(step, time.perf_counter())
        self._update(step, measured=measured)

    def on_epoch(self, row: dict[str, Any]) -> None:
        super().on_epoch(row)
        self.time_left.on_epoch(time.perf_counter())
        self._update(row["step"], min(row["epoch"] + 1, self.overview.epochs))

    def _update(self, step: int, epoch: int | None = None, **more: Any) -> None:
        """Shows the number of finished steps."""
        current = epoch or min(max(step - 1, 0) // self.overview.steps_per_epoch + 1, self.overview.epochs)
        self.progress.update(self.task, completed=step, epoch=current, **more)

    def _time_left(self) -> str:
        seconds = self.time_left.seconds(time.perf_counter())
        return "" if seconds is None else f"{format_time_left(seconds)} left"

    def on_end(self, summary: dict[str, Any]) -> None:  # noqa: ARG002 (the protocol's name)
        self.progress.stop()


def default_display(console: Console | None = None) -> Any:
    """The display for a notebook, a terminal or a pipe, wherever the program runs."""
    if console is None and "ipykernel" in sys.modules:
        curve = display.view("training")
        if curve is not None:
            return curve()
    console = console or PipeSafeConsole(file=sys.stdout, soft_wrap=True)
    return LiveDisplay(console) if console.is_terminal else LineDisplay(console)
