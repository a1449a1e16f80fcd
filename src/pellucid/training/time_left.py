"""Estimates the remaining time of a training from its recent steps. Imports no torch."""

from __future__ import annotations

import statistics
from collections import deque

from pellucid.training.callbacks import TrainingOverview

SILENT = 2.0
"""Seconds without an estimate: the first steps are slower than all others."""
FEWEST = 5
"""Measurements that an estimate needs."""
WINDOW = 30
"""Measurements that count: fewer follow a busy machine faster, more ignore a single pause."""
FORWARD = 1 / 3
"""Time of a picture in validation, as a share of a step: a forward pass; the backward pass takes twice as long."""


class TimeLeft:
    """An estimate from the median time of recent steps, and of the work between two epochs.

    A measurement is the time between two calls, so it is also right if a device works ahead of the program. The median
    ignores single pauses, for a checkpoint or another program.

    Args:
        overview: the size of the training.
        now: seconds of any clock that only goes forward.
    """

    def __init__(self, overview: TrainingOverview, now: float) -> None:
        self.overview = overview
        self.total = overview.epochs * overview.steps_per_epoch
        self.began = now
        self.done = 0
        self.epochs_done = 0
        self._last: tuple[int, float] = (0, now)
        self._steps: deque[float] = deque(maxlen=WINDOW)
        self._between: deque[float] = deque(maxlen=WINDOW)
        self._estimate: tuple[float, float] | None = None
        """(seconds left, when that was estimated)."""

    def on_resumed(self, step: int, now: float) -> None:
        """The training is resumed after that step; the time of earlier steps does not count."""
        self.done, self.epochs_done = step, step // self.overview.steps_per_epoch
        self._last = (step, now)
        self.began = now

    def on_step(self, step: int, now: float) -> None:
        """So many steps are done."""
        before, then = self._last
        if step > before:
            self._steps.append((now - then) / (step - before))
        self.done, self._last = step, (step, now)
        self._update(now)

    def on_epoch(self, now: float) -> None:
        """An epoch is over, with validation and saving; `on_step` was called for its last step before."""
        self._between.append(now - self._last[1])
        self.epochs_done += 1
        self.done = self.epochs_done * self.overview.steps_per_epoch
        self._last = (self.done, now)
        self._update(now)

    def seconds(self, now: float) -> float | None:
        """Seconds left; None if it is too early for an estimate."""
        if self._estimate is None:
            return None
        left, when = self._estimate
        return max(left - (now - when), 0.0)

    def _update(self, now: float) -> None:
        if now - self.began < SILENT or len(self._steps) < FEWEST:
            return
        step = statistics.median(self._steps)
        if self._between:
            between = statistics.median(self._between)
        else:
            each = step * self.overview.steps_per_epoch / max(self.overview.pictures, 1)
            between = FORWARD * each * self.overview.validation_pictures
        epochs = self.overview.epochs - self.epochs_done
        self._estimate = ((self.total - self.done) * step + epochs * between, now)
