"""The learning-rate range test (Smith 2015, arXiv 1506.01186): which learning rates suit a training.

The rate rises by a constant factor at each step, from far too small to far too large. Rates at which the loss falls
work; rates at which it rises again are too large. The test is a dry run: it takes seconds, learns from training
pictures alone, and throws network and optimiser away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import UsageError
from pellucid.records import Dataset, Figure, Finding, Findings, Metric
from pellucid.training.dry_run import dry_run
from pellucid.training.plan import ResolvedPlan

STEPS = 150
LOWEST, HIGHEST = 1e-7, 10.0
DIVERGED = 4.0
"""The test ends at this multiple of the lowest running loss, if that is also well above the first loss."""
DECAY = 0.8
"""Share of the running loss that is kept at each step."""
HALF_WINDOW = 3
"""Steps on either side that the curve is averaged over. A running mean would shift the curve to the right."""
LEAST_FALL = 0.05
"""A loss that falls by a smaller share counts as noise."""

Progress = Callable[[int, int], None]
"""Called with (steps done, all steps)."""


@dataclass(frozen=True)
class RangeTest:
    """The result of a learning-rate range test.

    Attributes:
        rates: the rate of each step, rising.
        losses: mean loss of each step's batch, before the step.
        smoothed: the losses with less noise.
        suggestion: a learning rate to train with; None if the loss did not fall.
        reason: why, in a sentence.
        steepest: the rate at which the loss fell fastest; None if it did not fall.
        lowest: the rate at which the loss was lowest; None if it did not fall.
        diverged: the rate at which the loss diverged, which ended the test; None if it did not.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str
    steepest: float | None = None
    lowest: float | None = None
    diverged: float | None = None

    def findings(self, title: str = "") -> Findings:
        """The suggestion as a metric, whose n counts steps, and the curve as a figure."""
        steps = len(self.rates)
        metrics: list[Finding] = []
        if self.suggestion is not None:
            metrics.append(Metric("suggested_learning_rate", self.suggestion, steps, note=self.reason))
        data = {
            "rates": list(self.rates),
            "losses": [value if math.isfinite(value) else None for value in self.losses],
            "smoothed": [value if math.isfinite(value) else None for value in self.smoothed],
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "lowest": self.lowest,
            "diverged": self.diverged,
        }
        heading = title[:1].upper() + title[1:] or "Which learning rates suit the training"
        figure = Figure("learning_rate_range", "learning-rate-range", data, title=heading, note=self.reason)
        return Findings((*metrics, figure), title=title)


def find_learning_rate(
    data: Dataset,
    plan: ResolvedPlan,
    *,
    steps: int = STEPS,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    progress: Progress | None = None,
) -> RangeTest:
    """Tries learning rates from `lowest` to `highest` in a dry run of a training.

    Args:
        data: labelled pictures; only the training split is learned from.
        plan: from `pellucid.training.plan.make_plan`; its learning rate and schedule are not used.
        steps: number of rates, at most: the test ends if the loss diverges.
        lowest: the first rate.
        highest: the last rate.
        progress: called with the number of steps done, and of all steps.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    if not (steps >= 10 and 0 < lowest < highest < math.inf):
        raise UsageError(
            f"A range test takes at least 10 steps, from a rate above 0 to a higher one; given: {steps} steps from "
            f"{lowest:g} to {highest:g}."
        )
    rates = np.geomspace(lowest, highest, steps).tolist()
    with dry_run(data, plan) as training:
        curve = list(_with_progress(sweep(training.step, rates), steps, progress))
    return interpret([rate for rate, _ in curve], [loss for _, loss in curve], name=plan.network.name)


def sweep(step: Callable[[float], float], rates: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Takes a step at each rate in turn, and yields (rate, loss before the step), until the loss diverges.

    Args:
        step: learns at a rate, and gives the loss before.
        rates: in rising order.
    """
    running, weight, first, best = 0.0, 0.0, math.nan, math.inf
    for number, rate in enumerate(rates):
        loss = step(rate)
        yield rate, loss
        if not math.isfinite(loss):
            return
        running = DECAY * running + (1 - DECAY) * loss
        weight = DECAY * weight + (1 - DECAY)
        mean = running / weight
        first = mean if number == 0 else first
        best = min(best, mean)
        # Four times a loss near 0 is still a good loss: it must also be well above the first one.
        if mean > max(DIVERGED * best, first + (first - best)):
            return


def interpret(rates: Sequence[float], losses: Sequence[float], *, name: str = "the network") -> RangeTest:
    """Suggests a learning rate from a curve of rates and losses.

    The suggestion lies halfway, on a logarithmic scale, between the rate at which the smoothed loss falls fastest and
    the rate at which it is lowest. The first suits a training at one constant rate; a recipe's learning rate is the
    maximum of a schedule, and may be higher. A tenth of the second, the other common rule, was too low as often as not
    (`LOG.md` has the figures).
    """
    curve = smooth(losses)
    has_diverged = not math.isfinite(losses[-1]) or losses[-1] > DIVERGED * np.nanmin(curve)
    diverged = rates[-1] if has_diverged else None
    finite = np.where(np.isfinite(curve), curve, math.inf)
    bottom = int(finite.argmin())
    beginning = float(np.median(finite[: max(3, bottom // 4)]))
    if bottom < 2 or not beginning - finite[bottom] > LEAST_FALL * beginning:
        reason = f"The loss of {name} fell at no rate from {rates[0]:.0e} to {rates[-1]:.2g}, so none can be suggested."
        return RangeTest(tuple(rates), tuple(losses), tuple(curve), None, reason, diverged=diverged)
    slopes = np.gradient(curve[: bottom + 1], np.log(rates[: bottom + 1]))
    steepest, lowest = rates[int(slopes.argmin())], rates[bottom]
    reason = f"halfway between {steepest:.2g}, where the loss falls fastest, and {lowest:.2g}, where it is lowest"
    reason += f"; at {diverged:.2g} it diverges" if diverged else f"; up to {rates[-1]:.2g} it does not diverge"
    suggestion = float(f"{math.sqrt(steepest * lowest):.2g}")
    return RangeTest(
        tuple(rates), tuple(losses), tuple(curve), suggestion, reason, steepest=steepest, lowest=lowest,
        diverged=diverged,
    )  # fmt: skip


def smooth(losses: Sequence[float]) -> np.ndarray:
    """Each loss averaged with its neighbours on either side (fewer at the ends): float64 (N,)."""
    values = np.asarray(losses, dtype=np.float64)
    finite = values[np.isfinite(values)]
    padded = np.convolve(finite, np.ones(2 * HALF_WINDOW + 1), mode="full")
    counts = np.convolve(np.ones(len(finite)), np.ones(2 * HALF_WINDOW + 1), mode="full")
    means = (padded / np.maximum(counts, 1))[HALF_WINDOW : HALF_WINDOW + len(finite)]
    return np.concatenate([means, np.full(len(values) - len(finite), math.nan)])


def _with_progress(
    curve: Iterator[tuple[float, float]], total: int, progress: Progress | None
) -> Iterator[tuple[float, float]]:
    for number, point in enumerate(curve, start=1):
        if progress is not None:
            progress(number, total)
        yield point
