"""How long a training still takes, estimated from how long its steps took of late. Imports no torch."""

from __future__ import annotations

import statistics
from collections import deque

from pellucid.training.callbacks import TrainingOverview

SILENT = 2.0
"""Seconds in which nothing is said: the first steps are slower than all others."""
FEWEST = 5
"""Stretches of steps that have to be measured before anything is said."""
REMEMBERED = 30
"""Stretches: how quickly the estimate follows a machine that becomes busy, and how little it starts at one pause."""
FORWARD = 1 / 3
"""What a picture costs in validation, as a share of a step: it goes forward, but not back, which costs twice that."""


class TimeLeft:
    """An estimate from the median of recent stretches of steps, and of what is done between two epochs.

    A stretch is what lies between two words from the training, so that it is also right where a device works ahead of
    the program. The median lets no single pause (a checkpoint, another program) change it.

    Args:
        plan: what the training is about to do.
        now: in seconds, of any clock that only goes forward.
    """

    def __init__(self, plan: TrainingOverview, now: float) -> None:
        self.plan = plan
        self.total = plan.epochs * plan.steps_per_epoch
        self.began = now
        self.done = 0
        self.epochs_done = 0
        self._since: tuple[int, float] = (0, now)
        self._steps: deque[float] = deque(maxlen=REMEMBERED)
        self._between: deque[float] = deque(maxlen=REMEMBERED)
        self._said: tuple[float, float] | None = None

    def resumed(self, step: int, now: float) -> None:
        """The training goes on after that step: what came before it says nothing of how quick it is today."""
        self.done, self.epochs_done = step, step // self.plan.steps_per_epoch
        self._since = (step, now)
        self.began = now

    def stepped(self, step: int, now: float) -> None:
        """So many steps are done."""
        before, then = self._since
        if step > before:
            self._steps.append((now - then) / (step - before))
        self.done, self._since = step, (step, now)
        self._say(now)

    def finished_epoch(self, now: float) -> None:
        """Validation is over, and what was learned is kept; the last step of the epoch was told before."""
        self._between.append(now - self._since[1])
        self.epochs_done += 1
        self.done = self.epochs_done * self.plan.steps_per_epoch
        self._since = (self.done, now)
        self._say(now)

    def seconds(self, now: float) -> float | None:
        """How many seconds are left, at most the plan's own; None where it is too early to say."""
        if self._said is None:
            return None
        left, when = self._said
        return max(left - (now - when), 0.0)

    def _say(self, now: float) -> None:
        if now - self.began < SILENT or len(self._steps) < FEWEST:
            return
        step = statistics.median(self._steps)
        if self._between:
            between = statistics.median(self._between)
        else:
            each = step * self.plan.steps_per_epoch / max(self.plan.pictures, 1)
            between = FORWARD * each * self.plan.validation_pictures
        epochs = self.plan.epochs - self.epochs_done
        self._said = ((self.total - self.done) * step + epochs * between, now)
