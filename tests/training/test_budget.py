"""A training that fits into a time: the plan is arithmetic, and settled before it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid.errors import UsageError
from pellucid.records.quantities import parse_time
from pellucid.training.budget import RESERVE, Cost, epochs_within, measure_cost
from pellucid.training.dry_run import dry_run
from pellucid.training.plan import make_plan

COST = Cost(spent=3, preparation=1, step=0.1, steps=100, validation=1.5, saving=0.5, ending=6)


def test_the_plan_is_said_in_a_line():
    epochs, plan = epochs_within(300, COST)
    assert epochs == int((300 * (1 - RESERVE) - 10) / 12) == 22
    assert plan == (
        "22 epochs fit into 5 min: 12 s each (100 steps of 100 ms, 2 s to validate and keep), 10 s to load, score and "
        "report, and 5% in reserve"
    )
    assert epochs_within(25, COST)[1].startswith("1 epoch fits into 25 s: ")


def test_less_than_an_epoch_is_refused_with_what_would_do():
    with pytest.raises(UsageError) as error:
        epochs_within(20, COST)
    assert str(error.value) == (
        "Not one epoch fits into 20 s: here it takes about 12 s, and 10 s go into loading, scoring and the report. "
        "Give --budget 24s at least, or fewer or smaller pictures, or a smaller network."
    )
    assert epochs_within(24, COST)[0] == 1, "what is named does"


@given(
    st.floats(1e-6, 10),
    st.integers(1, 1000),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 1000),
    st.floats(1, 1e5),
)
def test_what_is_planned_fits(step, steps, validation, saving, ending, budget):
    cost = Cost(1, 1, step, steps, validation, saving, ending)
    try:
        epochs, _ = epochs_within(budget, cost)
    except UsageError as error:
        assert cost.around + cost.epoch > budget * (1 - RESERVE) * (1 - 1e-9)
        named = str(error).partition("Give --budget ")[2].partition(" ")[0]
        assert epochs_within(parse_time(named), cost)[0] >= 1
        return
    assert cost.around + epochs * cost.epoch <= budget
    assert cost.around + (epochs + 1) * cost.epoch > budget * (1 - RESERVE) * (1 - 1e-9)


class Clock:
    """Goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_what_is_measured(tmp_path):
    digits = pellucid.load("digits")
    few = replace(digits, splits={"train": digits.train.take(np.arange(200)), "test": digits.test})
    with dry_run(few, make_plan(few, "logistic-regression", batch_size=50)) as training:
        weights = [one.clone() for one in training.prepared.module.parameters()]
        cost = measure_cost(
            training, 100, spent=5, preparation=2, folder=tmp_path, scored=360, report=True, clock=Clock()
        )
    n, pictures = len(training.prepared.validation), len(training.prepared.train)
    assert (cost.step, cost.steps, cost.preparation, cost.saving) == (1, training.batches.per_epoch, 2, 2)
    assert cost.validation == pytest.approx(1)
    assert cost.ending == pytest.approx(360 * (1 / n + 2 / (n + pictures)) + 4)
    assert cost.spent > 5, "measuring takes time too"
    assert not list(tmp_path.iterdir()), "the checkpoint that was written to be timed is gone"
    assert any((a != b).any() for a, b in zip(weights, training.prepared.module.parameters(), strict=True)), (
        "real steps"
    )
