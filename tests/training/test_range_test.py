"""The learning-rate range test, where the answer is known: on a quadratic the largest stable rate is 2 / L."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from pellucid.errors import TrainingError, UsageError
from pellucid.records import Dataset, Findings
from pellucid.training.dry_run import dry_run
from pellucid.training.plan import make_plan
from pellucid.training.range_test import find_learning_rate, interpret, smooth, sweep


class Noisy:
    """Gradient descent on L x² / 2 in one dimension, pushed a little at every step, as batches push."""

    def __init__(self, curvature: float) -> None:
        self.curvature, self.x, self.random = curvature, 1.0, np.random.default_rng(0)

    def step(self, rate: float) -> float:
        loss = self.curvature * self.x**2 / 2
        self.x -= rate * self.curvature * (self.x + self.random.normal(0, 0.02))
        return loss


@pytest.mark.parametrize("curvature", [0.5, 4.0, 300.0, 20_000.0])
def test_a_quadratic_bears_rates_below_two_over_its_curvature(curvature):
    rates = np.geomspace(1e-7, 10, 300).tolist()
    taken = list(sweep(Noisy(curvature).step, rates))
    found = interpret([rate for rate, _ in taken], [loss for _, loss in taken])
    stable = 2 / curvature
    assert found.suggestion is not None
    assert stable / 50 < found.suggestion < stable
    assert found.lowest < stable
    assert stable < found.diverged < 4 * stable
    assert len(taken) < 300, "it ends where the loss runs away"


def least_squares() -> tuple[Dataset, dict[str, Any]]:
    """A training that is a quadratic: one layer, squared error, all pictures in each batch, plain gradient descent."""
    digits = pellucid.load("digits")
    few = replace(digits, splits={"train": digits.train.take(np.arange(400))})
    plan = {"loss": "squared-error", "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "batch_size": 400}
    return few, plan


def test_a_real_training_whose_answer_is_known():
    data, plan = least_squares()
    with dry_run(data, make_plan(data, "logistic-regression", **plan)) as training:
        inputs, _ = next(training._stream)
        x = torch.cat([inputs.flatten(1), torch.ones(len(inputs), 1)], dim=1).double()
    largest = torch.linalg.eigvalsh(x.T @ x / len(x))[-1].item()  # of the Hessian of Σₖ (zₖ − tₖ)² / 2
    stable = 2 / largest
    found = find_learning_rate(data, make_plan(data, "logistic-regression", **plan))
    assert found.suggestion < stable < found.diverged < 8 * stable
    assert stable / 50 < found.suggestion

    def last_loss(rate: float) -> float:
        with dry_run(data, make_plan(data, "logistic-regression", **plan)) as training:
            return [training.step(rate) for _ in range(150)][-1]

    first = found.losses[0]
    assert last_loss(found.suggestion) < first / 2
    assert last_loss(0.98 * stable) < first
    assert last_loss(1.1 * stable) > 100 * first, "the known answer is the answer"


def test_it_changes_nothing():
    data, plan = least_squares()
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = find_learning_rate(data, make_plan(data, network, **plan), steps=20)
    assert torch.equal(torch.rand(3), expected), "the caller's own generator"
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert find_learning_rate(data, make_plan(data, network, **plan), steps=20) == first, "it repeats itself"


def test_only_training_pictures_are_looked_at():
    data, plan = least_squares()
    test = pellucid.load("digits").test
    spoilt = replace(test, pictures=255 - test.pictures)
    with_test = replace(data, splits={**data.splits, "test": spoilt})
    found = (
        find_learning_rate(one, make_plan(one, "logistic-regression", **plan), steps=20) for one in (data, with_test)
    )
    assert next(found) == next(found)


def test_progress_is_told_and_the_findings_can_be_said():
    data, plan = least_squares()
    told: list[tuple[int, int]] = []
    found = find_learning_rate(
        data,
        make_plan(data, "logistic-regression", start=None, **plan),
        steps=12,
        progress=lambda *now: told.append(now),
    )
    assert told == [(number, 12) for number in range(1, len(found.rates) + 1)]
    again = Findings.from_json(found.findings("here").to_json())
    assert again["learning_rate_range"].data["suggestion"] == found.suggestion
    assert again["learning_rate_range"].title == "Here"


def test_a_loss_that_falls_nowhere_suggests_nothing():
    found = interpret([1e-3, 1e-2, 1e-1, 1.0, 10.0], [2.3, 2.31, 2.29, 2.3, 2.32], name="mlp")
    assert found.suggestion is None
    assert found.reason == "The loss of mlp fell at no rate from 1e-03 to 10, so none can be suggested."
    assert [item.name for item in found.findings()] == ["learning_rate_range"]


def test_a_loss_that_is_no_number_ends_it():
    losses = iter([1.0, 0.9, math.nan, 0.1])
    assert len(list(sweep(lambda _: next(losses), [1, 2, 3, 4]))) == 3
    found = interpret([1, 2, 3, 4, 5, 6], [2.0, 2.0, 1.0, 0.5, 0.4, math.inf])
    assert found.diverged == 6
    assert found.findings().dumps(), "what is no number is left out of the JSON"


def test_a_loss_that_is_small_may_grow_a_little():
    losses = [1.0] * 5 + [1e-6] * 30 + [1e-4] * 10
    rest = iter(losses)
    assert len(list(sweep(lambda _: next(rest), range(1, 46)))) == 45


def test_smoothing_is_a_mean_of_neighbours():
    values = np.random.default_rng(0).normal(size=30)
    expected = [values[max(0, i - 3) : i + 4].mean() for i in range(30)]
    np.testing.assert_allclose(smooth(values), expected)
    assert np.isnan(smooth([*values, math.inf])[-1])


@pytest.mark.parametrize(
    "wrong", [{"steps": 9}, {"lowest": 0.0}, {"lowest": 1.0, "highest": 0.5}, {"highest": math.inf}]
)
def test_what_is_no_range(wrong):
    data, _ = least_squares()
    with pytest.raises(UsageError) as error:
        find_learning_rate(data, make_plan(data, "mlp"), **wrong)
    assert str(error.value).startswith(
        "A range test takes at least 10 steps, from a rate above 0 to a higher one; given:"
    )


def test_a_plan_without_steps_has_no_rate():
    data, _ = least_squares()
    with pytest.raises(UsageError) as error:
        find_learning_rate(data, make_plan(data, recipe="features", backbone="lite0"))
    assert str(error.value).startswith("The head on a frozen backbone is solved for directly, without steps,")


def test_a_network_that_fails_is_a_sentence():
    data, plan = least_squares()
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(64), torch.nn.Linear(64, 10))
    with pytest.raises(TrainingError) as error:
        find_learning_rate(data, make_plan(data, network, **plan | {"batch_size": 1}))
    assert str(error.value) == (
        "Batch normalisation needs more than one picture in a batch, and this batch has one. Give a larger batch size "
        "(--batch-size), or more pictures."
    )


def test_the_stream_of_batches_has_no_end():
    data, plan = least_squares()
    with dry_run(data, make_plan(data, "logistic-regression", **plan)) as training:
        assert training.batches.per_epoch == 1
        assert len(list(itertools.islice(training._stream, 3))) == 3
        assert training.validate(10) == 10
        assert training.validate() == len(training.prepared.validation)
