"""How a training shows itself: a live line in a terminal, plain lines when piped, a curve in a notebook."""

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

from pellucid.records import display
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


class LastingConsole(Console):
    """A console that falls silent when nobody reads it any more (`| head`), where rich's own would end the training."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard_output(self.file)


def discard_output(stream: IO[str]) -> None:
    """Lets what is still to be written there go nowhere, so that Python's own flush at exit does not fail."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class Lines(Callback):
    """One plain line per epoch, and what the columns are in the first."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or LastingConsole(file=sys.stdout, soft_wrap=True)
        self.epochs = 0
        self.since = 0.0

    def on_start(self, plan: TrainingOverview) -> None:
        self.epochs = plan.epochs
        self.since = time.perf_counter()
        self.console.print(
            f"{plan.network} learns from {plan.pictures:,} pictures of {plan.data}, "
            f"validated on {plan.validation_pictures:,} others",
            highlight=False,
            markup=False,
        )

    def on_planned(self, sentence: str) -> None:
        self.console.print(sentence[:1].upper() + sentence[1:], highlight=False, markup=False)

    def on_resumed(self, step: int, history: Any) -> None:
        self.console.print(
            f"goes on after step {step:,}; {len(history)} of {self.epochs} epochs are done",
            highlight=False,
            markup=False,
        )

    def on_epoch(self, row: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.console.print(epoch_line(row, self.epochs, now - self.since), highlight=False, markup=False)
        self.since = now


class _Left(ProgressColumn):
    """The time that is left, as it is at the moment of drawing."""

    max_refresh = 0.5

    def __init__(self, left: Callable[[], str]) -> None:
        super().__init__()
        self.left = left

    def render(self, task: Task) -> Text:  # noqa: ARG002 (rich's name)
        return Text(self.left())


class Live(Lines):
    """The same lines, with a bar below them: epoch, step, loss, accuracy, time left."""

    def on_start(self, plan: TrainingOverview) -> None:
        super().on_start(plan)
        self.plan = plan
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[measured]}"),
            _Left(self._left),
            console=self.console,
            transient=True,
        )
        total = plan.epochs * plan.steps_per_epoch
        self.task = self.progress.add_task("", total=total, epoch=1, epochs=plan.epochs, measured="")
        self.shown = 0.0
        self.left = TimeLeft(plan, time.perf_counter())
        self.progress.start()

    def on_resumed(self, step: int, history: Any) -> None:
        super().on_resumed(step, history)
        self.left.resumed(step, time.perf_counter())
        self._move(step)

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        now = time.perf_counter()
        last = step % self.plan.steps_per_epoch == 0
        if now - self.shown < 0.1 and not last:  # reading a loss waits for the device, and drawing takes time
            return
        self.shown = now
        measured = f"loss {float(loss):.4f}  accuracy {100 * float(accuracy):.1f} %"
        self.left.stepped(step, time.perf_counter())
        self._move(step, measured=measured)

    def on_epoch(self, row: dict[str, Any]) -> None:
        super().on_epoch(row)
        self.left.finished_epoch(time.perf_counter())
        self._move(row["step"], min(row["epoch"] + 1, self.plan.epochs))

    def _move(self, step: int, epoch: int | None = None, **more: Any) -> None:
        """Shows that so many steps are done."""
        now = epoch or min(max(step - 1, 0) // self.plan.steps_per_epoch + 1, self.plan.epochs)
        self.progress.update(self.task, completed=step, epoch=now, **more)

    def _left(self) -> str:
        seconds = self.left.seconds(time.perf_counter())
        return "" if seconds is None else f"{format_time_left(seconds)} left"

    def on_end(self, summary: dict[str, Any]) -> None:  # noqa: ARG002 (the protocol's name)
        self.progress.stop()


def default_display(console: Console | None = None) -> Any:
    """The display that suits where the program runs."""
    if console is None and "ipykernel" in sys.modules:
        curve = display.view("training")
        if curve is not None:
            return curve()
    console = console or LastingConsole(file=sys.stdout, soft_wrap=True)
    return Live(console) if console.is_terminal else Lines(console)
