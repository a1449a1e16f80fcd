"""Learning-rate schedules: functions from a step to a factor on the highest rate, without state or torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import UnknownNameError
from pellucid.training.recipes import Recipe


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        done: share of the steps after the warm-up that are done, 0 to 1.
        epoch: number of finished epochs.
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
"""Name → function that returns a factor between 0 and 1."""


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0) in a training of `recipe.epochs` epochs.

    It rises linearly to `recipe.learning_rate` during the warm-up, then follows the schedule.

    Raises:
        UnknownNameError: the schedule is unknown.
    """
    factor = find_schedule(recipe.schedule)
    total = recipe.epochs * steps_per_epoch
    warmup_steps = round(recipe.warmup * total)
    if step < warmup_steps:
        return recipe.learning_rate * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(total - warmup_steps, 1)
    return recipe.learning_rate * factor(recipe, Progress(done, step // steps_per_epoch))


def find_schedule(name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name]
