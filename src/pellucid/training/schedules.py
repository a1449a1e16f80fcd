"""Learning-rate schedules: from a step to a factor of the highest rate. Plain arithmetic, no state, no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import UnknownNameError
from pellucid.training.recipes import Recipe


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
        done: the share of the steps after the warm-up that are done, 0 to 1.
        epoch: how many epochs are finished.
    """

    done: float
    epoch: int


Schedule = Callable[[Recipe, Progress], float]

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda _recipe, _progress: 1.0,
    # Half a cosine wave, from 1 to 0 (Loshchilov and Hutter 2017, without restarts).
    "cosine": lambda _recipe, progress: (1 + math.cos(math.pi * progress.done)) / 2,
    # After the warm-up, a straight line from 1 to 0 (after Smith and Topin 2018).
    "one-cycle": lambda _recipe, progress: 1 - progress.done,
    # A staircase: every `step_epochs` epochs the rate is multiplied by `step_factor`.
    "step": lambda recipe, progress: recipe.step_factor ** (progress.epoch // recipe.step_epochs),
}
"""From a name to a function that gives a factor from 0 to 1."""


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0) of a training of `recipe.epochs` epochs.

    It rises in a straight line over the warm-up, reaches `recipe.learning_rate`, then follows the schedule.

    Raises:
        UnknownNameError: there is no such schedule.
    """
    factor = find_schedule(recipe.schedule)
    total = recipe.epochs * steps_per_epoch
    rising = round(recipe.warmup * total)
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    done = (step - rising) / max(total - rising, 1)
    return recipe.learning_rate * factor(recipe, Progress(done, step // steps_per_epoch))


def find_schedule(name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name]
