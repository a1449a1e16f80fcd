"""data + network = model."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

from pellucid.inference.device import keep_freed_memory
from pellucid.records import Dataset, Model
from pellucid.training import display as displays
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.network_choice import NetworkLike
from pellucid.training.plan import ResolvedPlan, make_plan, require_classes
from pellucid.training.recipes import Recipe
from pellucid.training.result import Training

METHODS: dict[str, str] = {
    "features": "pellucid.training.methods.features",
    "finetune": "pellucid.training.methods.finetune",
    "scratch": "pellucid.training.methods.scratch",
    "best-within": "pellucid.training.methods.best_within",
}
"""Each method is a module with a function `learn(data, plan, callbacks, checkpoints) -> Training`."""


def train(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    **settings: Any,
) -> Model:
    """Trains a network on the `train` split of a dataset, and gives the model of its best epoch on validation.

    The test split is not used. If the dataset has no validation split, one is carved from `train`, stratified.

    Args:
        data: labelled pictures.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module`, which stays unchanged.
        callbacks: called while it trains; see `pellucid.training.callbacks.Callback`.
        progress: whether to show progress.
        **settings: as for `pellucid.training.plan.make_plan`: recipe, settings (of the network), start, size, seed,
            device, and every setting of a `Recipe` (epochs, batch_size, learning_rate, optimizer ...).

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    Callbacks(callbacks)  # refuses what is no callback before the plan is made
    training = learn(data, make_plan(data, network, **settings), callbacks=callbacks, progress=progress)
    if training.stop_reason:
        warnings.warn(training.stop_reason, stacklevel=2)
    return training.model


def learn(
    data: Dataset,
    plan: ResolvedPlan,
    *,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    checkpoints: Checkpoints | None = None,
) -> Training:
    """Carries out a plan by its method.

    Args:
        data: labelled pictures, with a `train` split and at least two classes.
        plan: from `pellucid.training.plan.make_plan`.
        callbacks: called while it trains; see `pellucid.training.callbacks.Callback`.
        progress: whether to show a live line, plain lines in a pipe, or a curve in a notebook.
        checkpoints: where the state of the training is saved, and resumed from.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    callbacks = Callbacks(callbacks).callbacks
    require_classes(data)
    keep_freed_memory()
    notified = Callbacks([*([displays.default_display()] if progress else []), *callbacks])
    for note in plan.notes:
        notified.notify("planned", note)
    method = importlib.import_module(METHODS[method_of(plan.recipe)])
    return method.learn(data, plan, notified, checkpoints)


def method_of(recipe: Recipe) -> str:
    """The key in `METHODS` of the method that carries out a recipe."""
    if recipe.freeze_backbone:
        return "features"
    if recipe.backbone is None:
        return "scratch"
    return "finetune" if recipe.best_within is None else "best-within"
