"""The method `best-within`: `--best-within 10m` tries what fits into a time, and validation chooses.

A linear head on frozen features comes first; it takes seconds. If at least one epoch fits into the rest of the time,
fine-tuning follows, with as many epochs as fit. The better one on validation pictures, which neither was trained on, is
the model. If it is the head alone, it is fitted again on all training pictures.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

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
from pellucid.training.plan import ResolvedPlan
from pellucid.training.recipes import named_recipe
from pellucid.training.result import Training

MOST_EPOCHS = 10
"""More epochs do not help on a few hundred photos."""
_RESERVE = 0.2
"""Share of the time that is left for scoring, the report, and a busy machine."""


def learn(data: Dataset, plan: ResolvedPlan, callbacks: Callbacks, checkpoints: Checkpoints | None = None) -> Training:
    """Trains what fits into the time of the recipe, and gives the model that is best on validation.

    The number of epochs is measured once. A resumed training uses that number, whatever the clock says.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    assert plan.recipe.best_within is not None
    deadline = time.perf_counter() + (1 - _RESERVE) * plan.recipe.best_within
    plan = plan.with_recipe(best_within=None)
    with_held_out = with_validation(data, plan.recipe.validation_fraction, plan.recipe.split_seed)

    def measure_epochs() -> int:
        """How many epochs fit. Fitting the head again at the end costs little: its features are in the cache."""
        start = finetune.with_new_head(with_held_out, plan)
        seconds = epoch_seconds(start, with_held_out, plan.recipe.batch_size)
        epochs = min(MOST_EPOCHS, max(0, math.floor((deadline - time.perf_counter()) / seconds)))
        callbacks.notify(
            "planned", f"an epoch of fine-tuning takes about {format_time(seconds)} here, and {epochs} fit"
        )
        return epochs

    epochs = measure_epochs() if checkpoints is None else checkpoints.measured_epochs(measure_epochs)
    if epochs < 1:
        note = "an epoch of fine-tuning does not fit into the time; only the last layer was tried"
        return _head_alone(data, plan, callbacks, note)
    training = finetune.learn(with_held_out, plan.with_recipe(epochs=epochs), callbacks, checkpoints)
    if training.interrupted or training.chosen_epoch:
        return training
    n = len(with_held_out.validation)
    note = f"{epochs} epochs of fine-tuning were tried, and none was better on {n:,} validation pictures"
    return _head_alone(data, plan, callbacks, note)


def _head_alone(data: Dataset, plan: ResolvedPlan, callbacks: Callbacks, note: str) -> Training:
    """A linear head on the frozen backbone, fitted on all training pictures."""
    recipe = named_recipe("features").but(
        backbone=plan.recipe.backbone,
        split_seed=plan.recipe.split_seed,
        balance_above_ratio=plan.recipe.balance_above_ratio,
        class_weights=plan.recipe.class_weights,
    )
    training = features.learn(data, plan.with_record(recipe=recipe.model_dump(mode="json")), callbacks)
    return replace(training, notes=(*training.notes, note))


def epoch_seconds(model: Model, data: Dataset, batch_size: int) -> float:
    """How long an epoch of fine-tuning takes, validation included. Measures one step, which changes nothing."""
    n = min(batch_size, len(data.train))
    preprocessing = model.specification.preprocessing
    pictures = np.asarray(prepare(data.train.take(np.arange(n)), preprocessing))
    network = build(model)
    with torch.enable_grad():
        inputs = normalise(torch.from_numpy(pictures), preprocessing)
        network(inputs[:1]).sum().backward()  # the first step is slower than all others
        started = time.perf_counter()
        network(inputs).sum().backward()
    step = time.perf_counter() - started
    # Validation runs forwards only: about a third of a step.
    return step / n * (len(data.train) + len(data.validation) / 3)
