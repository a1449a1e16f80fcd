"""A training that fits into a time: how many epochs that is, measured before it begins. Imports no torch by itself.

The number of epochs is settled once, so that the schedule ends where the time does, and a training that is resumed
obeys the plan and not the clock: the same plan gives the same weights, however often it was stopped.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import UsageError

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

_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|min|m|s)")


def parse_time(text: str | float) -> float:
    """`5m`, `90s`, `1h`, `1h30m`, `1.5h`, or a number of seconds from Python → seconds.

    Raises:
        UsageError: it is no time, or not above 0.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        plain = str(text).replace(" ", "").lower()
        parts = _PART.findall(plain)
        if not parts or "".join(number + unit for number, unit in parts) != plain:
            raise UsageError(f"A budget is a time with its unit, for example 90s, 5m or 1h30m; given: '{text}'.")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"A budget is a time above 0, for example 90s, 5m or 1h30m; given: '{text}'.")
    return seconds


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
            f"Not one epoch fits into {spoken(budget)}: here it takes about {spoken(cost.epoch)}, and "
            f"{spoken(cost.around)} go into loading, scoring and the report. Give --budget {_typed(needed)} at least, "
            f"or fewer or smaller pictures, or a smaller network."
        )
    fit = "1 epoch fits" if epochs == 1 else f"{epochs:,} epochs fit"
    counted = "1 step" if cost.steps == 1 else f"{cost.steps:,} steps"
    return epochs, (
        f"{fit} into {spoken(budget)}: {spoken(cost.epoch)} each ({counted} of {spoken(cost.step)}, "
        f"{spoken(cost.validation + cost.keeping)} to validate and keep), {spoken(cost.around)} to load, score and "
        f"report, and {RESERVE:.0%} in reserve"
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


def spoken(seconds: float) -> str:
    """A time in words: `12 ms`, `4.2 s`, `35 s`, `5 min`, `2 min 5 s`, `1 h 30 min`."""
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 120 and whole % 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _typed(seconds: int) -> str:
    """A time as it is typed: `90s`, `4m`, `2h`; rounded upwards."""
    if seconds <= 120:
        return f"{seconds}s"
    return f"{math.ceil(seconds / 60)}m" if seconds <= 7200 else f"{math.ceil(seconds / 360) / 10:g}h"
