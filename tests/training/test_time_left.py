"""The time that is left: robust, silent at first, and of the rest alone where a training goes on."""

from __future__ import annotations

import pytest

from pellucid.training.callbacks import TrainingOverview
from pellucid.training.time_left import SILENT, TimeLeft

PLAN = TrainingOverview("mlp", "digits", epochs=4, steps_per_epoch=10, pictures=100, validation_pictures=30)


class Training:
    """Steps of so many seconds, and so many between two epochs, on a clock of its own."""

    def __init__(self, step: float, between: float) -> None:
        self.step, self.between = step, between
        self.now = 1000.0
        self.left = TimeLeft(PLAN, self.now)

    def run(self, first: int, last: int) -> float | None:
        for number in range(first, last + 1):
            self.now += self.step
            self.left.on_step(number, self.now)
            if number % 10 == 0:
                self.now += self.between
                self.left.on_epoch(self.now)
        return self.left.seconds(self.now)


def test_nothing_is_promised_at_first():
    training = Training(step=0.1, between=1)
    assert training.run(1, 9) is None
    assert SILENT > 9 * 0.1
    slow = Training(step=10, between=1)
    assert slow.run(1, 4) is None, "four steps are too few, however long they took"
    assert slow.run(5, 5) is not None


def test_validation_is_counted_before_it_was_ever_measured_and_after():
    training = Training(step=1, between=5)
    # 31 steps, and four times validation: 30 pictures at a third of the 0.1 s that a picture costs in a step.
    assert training.run(1, 9) == pytest.approx(31 + 4 * 1)
    assert training.run(10, 15) == pytest.approx(25 + 3 * 5)
    assert training.run(16, 39) == pytest.approx(1 + 5)
    assert training.run(40, 40) == 0


def test_one_pause_changes_nothing():
    training = Training(step=1, between=0)
    training.run(1, 15)
    training.now += 600  # the machine slept
    assert training.run(16, 16) == pytest.approx(24)


def test_a_machine_that_becomes_slower_is_believed():
    training = Training(step=0.5, between=0)
    training.run(1, 9)
    training.step = 2
    assert training.run(10, 30) == pytest.approx(10 * 2)


def test_only_the_rest_is_counted_where_a_training_goes_on():
    training = Training(step=1, between=2)
    training.left.on_resumed(30, training.now)
    assert training.run(31, 33) is None
    found = training.run(34, 37)
    assert found == pytest.approx(3 + 1)


def test_it_counts_down_between_two_steps_but_not_below_nothing():
    training = Training(step=1, between=0)
    training.run(1, 10)
    assert training.left.seconds(training.now + 4) == pytest.approx(26)
    assert training.left.seconds(training.now + 400) == 0
