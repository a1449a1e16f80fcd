"""A loss that stops being a number ends the training soon, also within an epoch, and what was good before is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.errors import TrainingError
from pellucid.training import loop
from pellucid.training.callbacks import Callback
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

SMALL: dict[str, Any] = {"batch_size": 2, "epochs": 2, "optimizer": "sgd", "momentum": 0.0}


class Steps(Callback):
    """Remembers the losses."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        self.losses.append(float(loss))


def test_divergence_ends_within_the_epoch_and_suggests_a_rate():
    watch = Steps()
    with pytest.raises(TrainingError) as error:
        learn(
            pellucid.load("digits"),
            make_plan(pellucid.load("digits"), "mlp", learning_rate=1e6, **SMALL),
            progress=False,
            callbacks=[watch],
        )
    assert str(error.value) == (
        "The loss became infinite or NaN in epoch 1, before one was finished. Try a lower learning rate, for example "
        "0.1, or a gradient clip of 1; the range test (--find-lr) shows which rates work."
    )
    first = next(i for i, loss in enumerate(watch.losses) if not math.isfinite(loss))
    assert len(watch.losses) - first <= loop._LOSS_CHECK_STEPS, "an epoch has 647 steps"


def test_no_checkpoint_contains_nan(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoint", every=0)  # due after every step
    with pytest.raises(TrainingError, match="became infinite or NaN"):
        learn(
            pellucid.load("digits"),
            make_plan(pellucid.load("digits"), "mlp", learning_rate=1e6, **SMALL),
            progress=False,
            checkpoints=checkpoints,
        )
    again = Checkpoints(tmp_path / "checkpoint", resume=True)
    again.plan = checkpoints.plan
    state = again.latest()
    assert state is not None
    assert math.isfinite(state.position.total_loss)
    assert all(np.isfinite(array).all() for array in state.chosen.values())


def test_the_last_good_epoch_is_chosen():
    """After the first epoch the weights are spoilt, as a rate that is too high spoils them."""

    class Spoil(Callback):
        def on_epoch(self, row: dict[str, Any]) -> None:
            if row["epoch"] == 1:
                for module in spoilt:
                    for parameter in module.parameters():
                        parameter.data.fill_(math.nan)

    spoilt: list[Any] = []
    original = loop.fit

    def fit(learner: loop.Learner, *arguments: Any) -> Any:
        spoilt.append(learner.network)
        return original(learner, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.training.methods.scratch.fit", fit)
        done = learn(
            pellucid.load("digits"),
            make_plan(pellucid.load("digits"), "mlp", epochs=3),
            progress=False,
            callbacks=[Spoil()],
        )
    assert done.chosen_epoch == 1
    assert done.stop_reason.startswith("The loss became infinite or NaN in epoch 2, so the training ended;")
    assert all(np.isfinite(array).all() for array in done.model.weights.values())
