"""The learning-rate range test (Smith 2015, arXiv 1506.01186): which learning rates a training bears.

From one step to the next the rate rises by a constant factor, from far too small to far too large. Where the loss falls
the rate works; where it rises again the rate is too large. It takes seconds, looks at training pictures alone, and
keeps nothing: network and optimiser are thrown away afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import UsageError
from pellucid.records import Dataset, Figure, Finding, Findings, Metric, Model
from pellucid.training.choice import NetworkLike, network_name
from pellucid.training.dry_run import rehearsal
from pellucid.training.recipes import Recipe

STEPS = 150
LOWEST, HIGHEST = 1e-7, 10.0
DIVERGED = 4.0
"""A running loss of so many times its best ends the test, where that is also well above where it began."""
REMEMBERED = 0.8
"""The share of the running loss that stays at each step."""
HALF_WINDOW = 3
"""The curve is smoothed over so many steps on either side: a running mean alone would lag behind, to the right."""
LEAST_FALL = 0.05
"""A loss that falls by a smaller share than this has not been shown to fall."""

Progress = Callable[[int, int], None]
"""Called with (steps that are done, steps at most)."""


@dataclass(frozen=True)
class RangeTest:
    """What a learning-rate range test found.

    Attributes:
        rates: the rate of each step that was taken, rising.
        losses: the mean loss of that step's batch, before the step.
        smoothed: the same curve without most of its noise.
        suggestion: a learning rate to train with; None where the loss did not fall.
        reason: why this one, in a sentence.
        steepest: the rate at which the loss fell fastest; None where it did not fall.
        lowest: the rate at which the loss was lowest; None where it did not fall.
        diverged: the rate at which the loss ran away, and the test ended; None where it did not.
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
        found: list[Finding] = []
        if self.suggestion is not None:
            found.append(Metric("suggested_learning_rate", self.suggestion, steps, note=self.reason))
        data = {
            "rates": list(self.rates),
            "losses": [value if math.isfinite(value) else None for value in self.losses],
            "smoothed": [value if math.isfinite(value) else None for value in self.smoothed],
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "lowest": self.lowest,
            "diverged": self.diverged,
        }
        heading = title[:1].upper() + title[1:] or "Which learning rates the training bears"
        figure = Figure("learning_rate_range", "learning-rate-range", data, title=heading, note=self.reason)
        return Findings((*found, figure), title=title)


def find_learning_rate(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    steps: int = STEPS,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    progress: Progress | None = None,
    **changes: Any,
) -> RangeTest:
    """Tries the learning rates from `lowest` to `highest` on a training that is thrown away.

    Args:
        data: labelled pictures; the training split alone is learned from, and nothing else is looked at.
        network: as for `pellucid.train`, like recipe, seed, settings, start, size, device and changes.
        recipe: the plan, or its name; its own learning rate and schedule play no part.
        seed: what weights, order, augmentation and dropout are drawn from.
        settings: of the network.
        start: a model to start from, or its file.
        size: height and width to bring the pictures to.
        device: auto, cpu, cuda or mps.
        steps: how many rates are tried, at most: it ends where the loss runs away.
        lowest: the first rate.
        highest: the last rate.
        progress: told how many steps are done.
        **changes: settings of the recipe that are to differ.

    Raises:
        PellucidError: something that you can mend; its text says how.
    """
    if not (steps >= 10 and 0 < lowest < highest < math.inf):
        raise UsageError(
            f"A range test takes at least 10 steps, from a rate above 0 to a higher one; given: {steps} steps from "
            f"{lowest:g} to {highest:g}."
        )
    start = Model.load(start) if isinstance(start, (str, Path)) else start
    trying = rehearsal(
        data, network, recipe=recipe, seed=seed, settings=settings, start=start, size=size, device=device,
        changes=changes,
    )  # fmt: skip
    rates = np.geomspace(lowest, highest, steps).tolist()
    with trying as training:
        taken = list(_watched(climb(training.step, rates), steps, progress))
    return judge([rate for rate, _ in taken], [loss for _, loss in taken], name=network_name(network, start))


def climb(step: Callable[[float], float], rates: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Takes a step at each rate in turn, and yields (rate, the loss before that step), until the loss runs away.

    Args:
        step: learns at a rate, and gives the loss before it.
        rates: rising.
    """
    running, weight, first, best = 0.0, 0.0, math.nan, math.inf
    for number, rate in enumerate(rates):
        loss = step(rate)
        yield rate, loss
        if not math.isfinite(loss):
            return
        running = REMEMBERED * running + (1 - REMEMBERED) * loss
        weight = REMEMBERED * weight + (1 - REMEMBERED)
        mean = running / weight
        first = mean if number == 0 else first
        best = min(best, mean)
        # Where the loss has come near 0, four times that is still good: it has to be bad as well.
        if mean > max(DIVERGED * best, first + (first - best)):
            return


def judge(rates: Sequence[float], losses: Sequence[float], *, name: str = "the network") -> RangeTest:
    """What a curve of rates and losses says.

    The suggestion lies halfway, on the logarithmic scale, between the rate at which the smoothed loss falls fastest and
    the rate at which it is lowest. The first alone is what a whole training at one rate bears; a recipe's learning rate
    is the highest of a schedule that rises and falls, and may be bolder. A tenth of the second, the other usual rule,
    came out too careful as often as not (`LOG.md` has the figures).
    """
    curve = smooth(losses)
    ran_away = not math.isfinite(losses[-1]) or losses[-1] > DIVERGED * np.nanmin(curve)
    diverged = rates[-1] if ran_away else None
    there = np.where(np.isfinite(curve), curve, math.inf)
    bottom = int(there.argmin())
    beginning = float(np.median(there[: max(3, bottom // 4)]))
    if bottom < 2 or not beginning - there[bottom] > LEAST_FALL * beginning:
        fell = f"The loss of {name} fell at no rate from {rates[0]:.0e} to {rates[-1]:.2g}, so none can be suggested."
        return RangeTest(tuple(rates), tuple(losses), tuple(curve), None, fell, diverged=diverged)
    slopes = np.gradient(curve[: bottom + 1], np.log(rates[: bottom + 1]))
    steepest, lowest = rates[int(slopes.argmin())], rates[bottom]
    reason = f"halfway between {steepest:.2g}, where the loss falls fastest, and {lowest:.2g}, where it is lowest"
    reason += f"; at {diverged:.2g} it runs away" if diverged else f"; up to {rates[-1]:.2g} it does not run away"
    suggestion = float(f"{math.sqrt(steepest * lowest):.2g}")
    return RangeTest(
        tuple(rates), tuple(losses), tuple(curve), suggestion, reason, steepest=steepest, lowest=lowest,
        diverged=diverged,
    )  # fmt: skip


def smooth(losses: Sequence[float]) -> np.ndarray:
    """Each loss as the mean of its neighbours on either side and itself: float64 (N,). At the ends there are fewer."""
    values = np.asarray(losses, dtype=np.float64)
    finite = values[np.isfinite(values)]
    padded = np.convolve(finite, np.ones(2 * HALF_WINDOW + 1), mode="full")
    counts = np.convolve(np.ones(len(finite)), np.ones(2 * HALF_WINDOW + 1), mode="full")
    means = (padded / np.maximum(counts, 1))[HALF_WINDOW : HALF_WINDOW + len(finite)]
    return np.concatenate([means, np.full(len(values) - len(finite), math.nan)])


def _watched(
    steps: Iterator[tuple[float, float]], most: int, progress: Progress | None
) -> Iterator[tuple[float, float]]:
    for number, taken in enumerate(steps, start=1):
        if progress is not None:
            progress(number, most)
        yield taken
