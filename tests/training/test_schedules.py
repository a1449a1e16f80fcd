"""Learning-rate schedules, beside torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UnknownNameError
from pellucid.training.recipes import Recipe
from pellucid.training.schedules import SCHEDULES, learning_rate

RATE = 0.1


def rates(per_epoch: int = 5, **recipe: Any) -> list[float]:
    recipe = Recipe(**({"epochs": 4, "learning_rate": RATE, "warmup": 0.0} | recipe))
    return [learning_rate(recipe, step, per_epoch) for step in range(recipe.epochs * per_epoch)]


def torchs(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant():
    assert rates(schedule="constant") == [RATE] * 20


def test_cosine_is_torchs():
    wanted = torchs(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20), 20)
    assert rates(schedule="cosine") == pytest.approx(wanted)


def test_step_is_torchs():
    def make(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=2 * 5, gamma=0.3)

    wanted = torchs(make, 20)
    assert rates(schedule="step", step_epochs=2, step_factor=0.3) == pytest.approx(wanted)


def test_one_cycle_rises_and_falls_in_straight_lines():
    found = rates(schedule="one-cycle", warmup=0.25)
    assert found[:5] == pytest.approx([RATE * (i + 1) / 5 for i in range(5)])
    assert found[5:] == pytest.approx([RATE * (1 - i / 15) for i in range(15)])


@given(
    schedule=st.sampled_from(sorted(SCHEDULES)),
    warmup=st.floats(0, 0.99),
    epochs=st.integers(1, 6),
    per_epoch=st.integers(1, 7),
)
def test_every_schedule_warms_up_to_the_highest_rate_and_is_never_above_it(schedule, warmup, epochs, per_epoch):
    found = rates(per_epoch, schedule=schedule, warmup=warmup, epochs=epochs)
    rising = round(warmup * epochs * per_epoch)
    assert all(0 < rate <= RATE * (1 + 1e-12) for rate in found)
    assert found[:rising] == sorted(found[:rising])
    assert found[rising:] == sorted(found[rising:], reverse=True)
    if rising < len(found):
        start = 0 if schedule != "step" else rising // per_epoch
        assert found[rising] == pytest.approx(RATE * (0.5**start if schedule == "step" else 1))


def test_an_unknown_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'cosine'"):
        learning_rate(Recipe(schedule="cosin"), 0, 1)
