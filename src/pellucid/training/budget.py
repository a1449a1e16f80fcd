"""A training that fits into a time: how many epochs that is, measured before it begins. Imports no torch by itself.

The number of epochs is settled once, so that the schedule ends where the time does, and a training that is resumed
obeys the plan and not the clock: the same plan gives the same weights, however often it was stopped.
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
from pellucid.records.quantities import format_time, time_argument

if TYPE_CHECKING:
    from pellucid.training.dry_run import Rehearsal

RESERVE = 0.05
"""The share of the time that is left over: other programs want the machine too."""
PAGE_SECONDS = 4.0
"""What drawing the report is taken to cost, which cannot be measured before there is anything to draw."""
WARM, FEWEST, MOST = 3, 5, 400
"""Steps that are not counted, and steps that are: at least and at most."""
SHARE = 0.03
"""The share of the time that may go into measuring."""
_VALIDATED = 1000
"""How many validation pictures are measured, at most: those of one batch."""


@dataclass(frozen=True)
class Cost:
    """What the parts of a training cost here, in seconds.

    Attributes:
        spent: what has gone by before the plan is made.
        preparation: until the first step.
        step: of one step, the median.
        steps: how many an epoch has.
        validation: of all validation pictures, once an epoch.
        keeping: of the checkpoint and the best model, once an epoch.
        ending: of scoring, and of the report.
    """

    spent: float
    preparation: float
    step: float
    steps: int
    validation: float
    keeping: float
    ending: float

    @property
    def epoch(self) -> float:
        return self.steps * self.step + self.validation + self.keeping

    @property
    def around(self) -> float:
        """What is spent beside the epochs."""
        return self.spent + self.preparation + self.ending


def epochs_within(budget: float, cost: Cost) -> tuple[int, str]:
    """How many epochs fit, and the whole plan in one sentence.

    Raises:
        UsageError: not even one fits; says what would.
    """
    epochs = math.floor((budget * (1 - RESERVE) - cost.around) / cost.epoch)
    if epochs < 1:
        needed = math.ceil((cost.around + cost.epoch) / (1 - RESERVE))
        raise UsageError(
            f"Not one epoch fits into {format_time(budget)}: here it takes about {format_time(cost.epoch)}, and "
            f"{format_time(cost.around)} go into loading, scoring and the report. Give --budget "
            f"{time_argument(needed)} at least, or fewer or smaller pictures, or a smaller network."
        )
    fit = "1 epoch fits" if epochs == 1 else f"{epochs:,} epochs fit"
    counted = "1 step" if cost.steps == 1 else f"{cost.steps:,} steps"
    return epochs, (
        f"{fit} into {format_time(budget)}: {format_time(cost.epoch)} each ({counted} of {format_time(cost.step)}, "
        f"{format_time(cost.validation + cost.keeping)} to validate and keep), {format_time(cost.around)} to load, "
        f"score and report, and {RESERVE:.0%} in reserve"
    )


def measure_cost(
    training: Rehearsal,
    budget: float,
    *,
    spent: float,
    preparation: float,
    folder: Path,
    scored: int,
    report: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> Cost:
    """Takes a few real steps, validates on a batch, and writes a checkpoint, each with the clock in hand.

    Args:
        training: the very training, to be tried.
        budget: the time in seconds, of which a small share goes into this.
        spent: the seconds that have gone by so far.
        preparation: how long preparing took, which comes once more when the training itself begins.
        folder: where a checkpoint may be written for a moment.
        scored: how many pictures are scored at the end; 0 where they are those of validation.
        report: whether there is to be one.
        clock: in seconds.
    """
    began = clock()
    rate = training.prepared.recipe.learning_rate / 1000  # so that nothing grows without bound while it is measured
    times: list[float] = []
    for number in range(WARM + MOST):
        before = clock()
        training.step(rate)
        if number >= WARM:
            times.append(clock() - before)
        if len(times) >= FEWEST and clock() - began > SHARE * budget:
            break
    before = clock()
    pictures = training.validate(_VALIDATED)
    each = (clock() - before) / pictures
    keeping = _keeping(training, folder, clock)
    prepared = training.prepared
    learned_from = len(prepared.train) + len(prepared.validation)
    to_score = scored or len(prepared.validation)
    return Cost(
        spent=spent + clock() - began,
        preparation=preparation,
        step=statistics.median(times),
        steps=training.batches.per_epoch,
        validation=each * len(prepared.validation),
        keeping=keeping,
        ending=to_score * (each + preparation / learned_from) + (PAGE_SECONDS if report else 0.0),
    )


def _keeping(training: Rehearsal, folder: Path, clock: Callable[[], float]) -> float:
    """How long it takes to write a checkpoint and, about the same, the best model."""
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
