"""A training within a time: how many epochs fit, measured before it begins. Imports torch only when called.

The number of epochs is fixed once, so that the schedule ends when the time does. A resumed training follows the plan,
not the clock: the same plan gives the same weights, however often it was stopped.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import UsageError
from pellucid.records.names import counted
from pellucid.records.quantities import format_time, time_argument

if TYPE_CHECKING:
    from pellucid.training.dry_run import DryRun

RESERVE = 0.05
"""Share of the time that is left for other programs."""
REPORT_SECONDS = 4.0
"""Assumed time for drawing the report, which cannot be measured before."""
WARM_UP, FEWEST, MOST = 3, 5, 400
"""Steps before the measurement, and fewest and most steps in it."""
SHARE = 0.03
"""Share of the time that measuring may take."""
_VALIDATED = 1000
"""Most validation pictures in the measurement: those of one batch."""


@dataclass(frozen=True)
class Cost:
    """The time that each part of a training takes here, in seconds.

    Attributes:
        spent: time since the start of the command.
        preparation: of decoding and building the network, before the first step.
        step: of one step, the median.
        steps: number of steps in an epoch.
        validation: of all validation pictures, once an epoch.
        saving: of the checkpoint and the best model, once an epoch.
        ending: of scoring and the report.
    """

    spent: float
    preparation: float
    step: float
    steps: int
    validation: float
    saving: float
    ending: float

    @property
    def epoch(self) -> float:
        return self.steps * self.step + self.validation + self.saving

    @property
    def around(self) -> float:
        """Time besides the epochs."""
        return self.spent + self.preparation + self.ending


def epochs_within(budget: float, cost: Cost) -> tuple[int, str]:
    """How many epochs fit, and the whole plan in one sentence.

    Raises:
        UsageError: not even one epoch fits; the text gives a budget that is enough.
    """
    epochs = math.floor((budget * (1 - RESERVE) - cost.around) / cost.epoch)
    if epochs < 1:
        needed = math.ceil((cost.around + cost.epoch) / (1 - RESERVE))
        raise UsageError(
            f"Not one epoch fits into {format_time(budget)}: here it takes about {format_time(cost.epoch)}, and "
            f"{format_time(cost.around)} go into loading, scoring and the report. Give --budget "
            f"{time_argument(needed)} at least, or fewer or smaller pictures, or a smaller network."
        )
    fit = f"{counted(epochs, 'epoch')} {'fits' if epochs == 1 else 'fit'}"
    steps = counted(cost.steps, "step")
    return epochs, (
        f"{fit} into {format_time(budget)}: {format_time(cost.epoch)} each ({steps} of {format_time(cost.step)}, "
        f"{format_time(cost.validation + cost.saving)} to validate and keep), {format_time(cost.around)} to load, "
        f"score and report, and {RESERVE:.0%} in reserve"
    )


def measure_cost(
    training: DryRun,
    budget: float,
    *,
    spent: float,
    preparation: float,
    folder: Path,
    scored: int,
    report: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> Cost:
    """Measures a few real steps, validation on a batch, and a checkpoint.

    Args:
        training: a dry run of the training.
        budget: the time in seconds; a small share of it goes into measuring.
        spent: seconds since the start of the command.
        preparation: seconds that the preparation of the dry run took; the training itself takes them again.
        folder: where a checkpoint may be written for a moment.
        scored: number of pictures that are scored at the end; 0 for those of validation.
        report: whether a report is drawn.
        clock: in seconds.
    """
    began = clock()
    rate = training.prepared.recipe.learning_rate / 1000  # too low to diverge
    times: list[float] = []
    for number in range(WARM_UP + MOST):
        before = clock()
        training.step(rate)
        if number >= WARM_UP:
            times.append(clock() - before)
        if len(times) >= FEWEST and clock() - began > SHARE * budget:
            break
    before = clock()
    pictures = training.validate(_VALIDATED)
    each = (clock() - before) / pictures
    saving = _saving_seconds(training, folder, clock)
    prepared = training.prepared
    decoded = len(prepared.train) + len(prepared.validation)
    scored = scored or len(prepared.validation)
    return Cost(
        spent=spent + clock() - began,
        preparation=preparation,
        step=statistics.median(times),
        steps=training.batches.per_epoch,
        validation=each * len(prepared.validation),
        saving=saving,
        ending=scored * (each + preparation / decoded) + (REPORT_SECONDS if report else 0.0),
    )


def _saving_seconds(training: DryRun, folder: Path, clock: Callable[[], float]) -> float:
    """Seconds to write a checkpoint and, about as long, the best model."""
    from pellucid.training.checkpoint import Checkpoints

    state = training.state()
    trial = Checkpoints(folder / "trial")
    before = clock()
    trial.write(state)
    seconds = clock() - before
    for path in trial.folder.iterdir():
        path.unlink()
    trial.folder.rmdir()
    return 2 * seconds
