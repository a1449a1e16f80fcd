"""How a training shows itself: a live line in a terminal, plain lines when piped, a curve in a notebook."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pellucid.records import display
from pellucid.training.callbacks import Callback, Plan


def epoch_line(row: dict[str, Any], epochs: int, seconds: float) -> str:
    """`epoch  2/5   loss 0.0812   accuracy 97.5 %   validation loss 0.0702   accuracy 97.9 %   4.1 s`."""
    width = len(str(epochs))
    return (
        f"epoch {row['epoch']:>{width}}/{epochs}   loss {row['train_loss']:.4f}   "
        f"accuracy {100 * row['train_accuracy']:5.2f} %   validation loss {row['validation_loss']:.4f}   "
        f"accuracy {100 * row['validation_accuracy']:5.2f} %   {seconds:.1f} s"
    )


class Lines(Callback):
    """One plain line per epoch, and what the columns are in the first."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, soft_wrap=True)
        self.epochs = 0
        self.since = 0.0

    def on_start(self, plan: Plan) -> None:
        self.epochs = plan.epochs
        self.since = time.perf_counter()
        self.console.print(
            f"{plan.network} learns from {plan.pictures:,} pictures of {plan.data}, "
            f"validated on {plan.validation_pictures:,} others",
            highlight=False,
            markup=False,
        )

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


class Live(Lines):
    """The same lines, with a bar below them: epoch, step, loss, accuracy, time left."""

    def on_start(self, plan: Plan) -> None:
        super().on_start(plan)
        self.plan = plan
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[measured]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self.console,
            transient=True,
        )
        total = plan.epochs * plan.steps_per_epoch
        self.task = self.progress.add_task("", total=total, epoch=1, epochs=plan.epochs, measured="")
        self.shown = 0.0
        self.progress.start()

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        now = time.perf_counter()
        if now - self.shown < 0.1:  # reading a loss waits for the device, and drawing takes time
            return
        self.shown = now
        epoch = min((step - 1) // self.plan.steps_per_epoch + 1, self.plan.epochs)
        measured = f"loss {float(loss):.4f}  accuracy {100 * float(accuracy):.1f} %"
        self.progress.update(self.task, completed=step, epoch=epoch, measured=measured)

    def on_epoch(self, row: dict[str, Any]) -> None:
        super().on_epoch(row)
        self.progress.update(self.task, completed=row["step"], epoch=min(row["epoch"] + 1, self.plan.epochs))

    def on_end(self, summary: dict[str, Any]) -> None:  # noqa: ARG002 (the protocol's name)
        self.progress.stop()


def suitable(console: Console | None = None) -> Any:
    """The display that suits where the program runs."""
    if console is None and "ipykernel" in sys.modules:
        curve = display.view("training")
        if curve is not None:
            return curve()
    console = console or Console(file=sys.stdout, soft_wrap=True)
    return Live(console) if console.is_terminal else Lines(console)
