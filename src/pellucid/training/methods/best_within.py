"""`--best-within 10m`: what fits into a time is tried, and validation chooses.

First the last layer on frozen features, which takes seconds. Then, where at least one epoch fits into the rest,
fine-tuning from there, as many epochs as fit. The one that is better on validation pictures, which taught neither, is
the model; where that is the last layer alone, it learns once more, from all training pictures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pellucid.data.preprocessing import normalise, prepare
from pellucid.data.splitting import with_validation
from pellucid.inference.building import build
from pellucid.records import Dataset, Model
from pellucid.records.quantities import format_time
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.methods import features, finetune
from pellucid.training.recipes import Recipe, named_recipe

MOST_EPOCHS = 10
"""More epochs than this of a few hundred photos are more of the same."""
_SPARE = 0.2
"""The share of the time that is not planned with: scoring and the report come on top, and machines are busy."""


def learn(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Sequence[Any],
    progress: bool,
    size: int | tuple[int, int] | None,
    device: str,
    checkpoints: Checkpoints | None,
) -> features.Training:
    """Trains what fits into the recipe's time, and gives what validation prefers.

    How many epochs that is is measured once: a training that goes on obeys what was found then, and not the clock.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    assert recipe.best_within is not None
    until = time.perf_counter() + (1 - _SPARE) * recipe.best_within
    told = Callbacks(callbacks)
    plan = recipe.but(best_within=None)
    held = with_validation(data, plan.validation_fraction, plan.split_seed)

    def fitting() -> int:
        """How many epochs fit. A last time on all training pictures costs a moment too, most of it in the cache."""
        start = finetune.begin(held, plan, seed, size)
        epoch = seconds_an_epoch(start, held, plan)
        epochs = min(MOST_EPOCHS, max(0, math.floor((until - time.perf_counter()) / epoch)))
        told.notify("planned", f"an epoch of fine-tuning takes about {format_time(epoch)} here, and {epochs} fit")
        return epochs

    epochs = fitting() if checkpoints is None else checkpoints.measured_epochs(fitting)
    if epochs < 1:
        note = "an epoch of fine-tuning does not fit into the time; only the last layer was tried"
        return _last_layer(data, plan, seed, told, size, note)
    done = finetune.learn(
        held, plan.but(epochs=epochs), seed=seed, callbacks=callbacks, progress=progress, size=size, device=device,
        checkpoints=checkpoints,
    )  # fmt: skip
    if done.interrupted or done.chosen_epoch:
        return done
    n = len(held.validation)
    note = f"{epochs} epochs of fine-tuning were tried, and none was better on {n:,} validation pictures"
    return _last_layer(data, plan, seed, told, size, note)


def _last_layer(
    data: Dataset, plan: Recipe, seed: int, told: Callbacks, size: int | tuple[int, int] | None, note: str
) -> features.Training:
    assert plan.backbone is not None
    alone = named_recipe("features").but(
        backbone=plan.backbone,
        split_seed=plan.split_seed,
        balance_above_ratio=plan.balance_above_ratio,
        class_weights=plan.class_weights,
    )
    done = features.learn(data, alone, seed=seed, callbacks=told, size=size)
    return replace(done, notes=(*done.notes, note))


def seconds_an_epoch(model: Model, data: Dataset, plan: Recipe) -> float:
    """How long an epoch of fine-tuning takes here, from one step of it that is thrown away, validation included."""
    n = min(plan.batch_size, len(data.train))
    preprocessing = model.specification.preprocessing
    pictures = np.asarray(prepare(data.train.take(np.arange(n)), preprocessing))
    network = build(model)
    with torch.enable_grad():
        inputs = normalise(torch.from_numpy(pictures), preprocessing)
        network(inputs[:1]).sum().backward()  # what only the first step pays for
        started = time.perf_counter()
        network(inputs).sum().backward()
    step = time.perf_counter() - started
    # Validation runs forwards only: about a third of a step.
    return step / n * (len(data.train) + len(data.validation) / 3)
