"""data + network = model."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.inference.building import load_weights, weights_of
from pellucid.inference.device import choose, keep_freed_memory
from pellucid.inference.device import notes as device_notes
from pellucid.inference.forward import forward
from pellucid.networks import custom
from pellucid.networks.network import count_parameters
from pellucid.records import Dataset, Model
from pellucid.statistics.calibration import fit_temperature
from pellucid.training import display as displays
from pellucid.training import processes
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.choice import NetworkLike, choose_network, plan_for
from pellucid.training.history import History
from pellucid.training.loop import Learner, Outcome, fit
from pellucid.training.losses import find_loss
from pellucid.training.methods.choice import settle
from pellucid.training.preparation import Prepared, prepare, require_classes
from pellucid.training.recipes import Recipe


@dataclass(frozen=True)
class Training:
    """A training, from its plan to its model.

    Attributes:
        model: the epoch that was kept.
        history: one row per epoch.
        seconds: how long each epoch took.
        chosen_epoch: which epoch the model is of; 0 where not even one was finished.
        interrupted: whether it was stopped from outside.
        data: the dataset with the validation split that was used.
        recipe: the whole plan.
        notes: what a person should know of it.
        parameters: how many numbers the network learned.
        stopped: why it ended before its plan did, where its loss stopped being a number; else empty.
    """

    model: Model
    history: History
    seconds: list[float]
    chosen_epoch: int
    interrupted: bool
    data: Dataset
    recipe: Recipe
    notes: tuple[str, ...]
    parameters: int
    stopped: str = ""


def train(data: Dataset, network: NetworkLike | None = None, **settings: Any) -> Model:
    """Trains a network on the `train` split of a dataset, and gives the model of its best epoch on validation.

    The test split is not looked at. Where the dataset has no validation split, one is carved from `train`, stratified.

    Args:
        data: labelled pictures.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module` of your own, which stays as it is.
        **settings: as for `learn`: recipe, seed, settings (of the network), start, callbacks, progress, size, device,
            and every setting of a `Recipe` (epochs, batch_size, learning_rate, optimizer ...).

    Raises:
        PellucidError: something that you can mend; its text says how.
    """
    training = learn(data, network, **settings)
    if training.stopped:
        warnings.warn(training.stopped, stacklevel=2)
    return training.model


def learn(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    checkpoints: Checkpoints | None = None,
    **changes: Any,
) -> Training:
    """Trains a network, and gives the model with everything that belongs to it.

    Args:
        data: labelled pictures; `train` and two classes at least.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module` of your own; may be left out where
            `start` says it, and for photos, which start from a backbone (see `pellucid.training.transfer`).
        recipe: a training plan, or the name of one; `default` is the network's own.
        seed: what weights, order, augmentation and dropout are drawn from.
        settings: settings of the network, for example {"widths": [500, 100]}.
        start: a model whose weights to start from, or its file; its network and classes must be the same, and its
            preprocessing is kept.
        callbacks: told of the training while it runs; see `pellucid.training.callbacks.Callback`.
        progress: whether to show a live line, plain lines when piped, or a curve in a notebook.
        size: height and width to bring the pictures to; None keeps those of pictures in memory, and for files takes
            their common size, or 64×64.
        device: auto, cpu, cuda or mps.
        checkpoints: where the training's state is kept, and taken up again.
        **changes: settings of the recipe that are to differ.

    Raises:
        PellucidError: something that you can mend; its text says how.
    """
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or seed.__index__() < 0:
        raise UsageError(f"A seed is a whole number of at least 0; given: {seed!r}.")
    keep_freed_memory()
    seed = seed.__index__()  # NumPy's whole numbers too
    callbacks = Callbacks(callbacks).callbacks
    require_classes(data)
    if isinstance(start, (str, Path)):
        start = Model.load(start)
    network, recipe, changes = settle(data, network, recipe, started=start is not None, changes=changes)
    together = processes.current_group()
    place = choose(device) if together.size == 1 else torch.device(together.device)
    choice = choose_network(network, settings, start, recipe)
    plan = plan_for(choice, recipe, changes)
    if plan.freeze_backbone:
        from pellucid.training.methods import features

        told = Callbacks([*([displays.default_display()] if progress else []), *callbacks])
        return features.learn(data, plan, seed=seed, callbacks=told, size=size)
    if plan.best_within is not None and plan.backbone is not None:
        from pellucid.training.methods import best_within

        return best_within.learn(
            data, plan, seed=seed, callbacks=callbacks, progress=progress, size=size, device=device,
            checkpoints=checkpoints,
        )  # fmt: skip
    if plan.backbone is not None:
        from pellucid.training.methods import finetune

        return finetune.learn(
            data, plan, seed=seed, callbacks=callbacks, progress=progress, size=size, device=device,
            checkpoints=checkpoints,
        )  # fmt: skip
    # What is drawn here is a function of the seed, and leaves the caller's own generator as it was.
    with torch.random.fork_rng(devices=[]):
        with together.local_main_first():
            prepared = prepare(data, choice, plan, seed=seed, start=start, size=size, device=place)
        together.require_same(prepared.specification.canonical(), weights_of(prepared.module))
        models = _Models(prepared)
        if checkpoints is not None:
            checkpoints.bind_to(prepared.specification)
        told = Callbacks([*([displays.default_display()] if progress else []), *callbacks])
        outcome = _fit(prepared, models, told, checkpoints, seed=seed, network=choice.name)
        model = _calibrated(models.of(outcome), prepared)
    return Training(
        model=model,
        history=outcome.history,
        seconds=outcome.seconds,
        chosen_epoch=outcome.chosen_epoch,
        interrupted=outcome.interrupted,
        data=prepared.data,
        recipe=prepared.recipe,
        notes=(
            *prepared.notes,
            *device_notes(place),
            *processes.notes(prepared.module, prepared.recipe.hard_fraction),
            *([outcome.stop_reason] if outcome.stop_reason else []),
        ),
        parameters=count_parameters(prepared.module),
        stopped=outcome.stop_reason,
    )


class _Models:
    """Makes model records of what a training has learned so far."""

    def __init__(self, prepared: Prepared) -> None:
        self.specification = prepared.specification
        self.pictures = len(prepared.validation)
        custom_made = self.specification.network.name == "custom"
        self.untrained: nn.Module | None = copy.deepcopy(prepared.module).cpu() if custom_made else None

    def of(self, outcome: Outcome) -> Model:
        """The model of the epoch that is kept."""
        return self.at(outcome, outcome.chosen_epoch, outcome.weights)

    def at(self, outcome: Outcome, epoch: int, weights: dict[str, np.ndarray]) -> Model:
        """The model of an epoch; 0 is before the first."""
        metrics = {}
        if epoch:
            row = outcome.history.rows[epoch - 1]
            metrics = {
                name: {"value": row[name], "n": self.pictures} for name in ("validation_accuracy", "validation_loss")
            }
        if self.untrained is not None:
            custom.remember(weights, self.untrained)
        training = self.specification.training | {"chosen_epoch": epoch}
        specification = self.specification.model_copy(update={"metrics": metrics, "training": training})
        return Model(specification, weights)


class _BestModel:
    """Turns the loop's word of weights into a model for those who listen for it."""

    def __init__(self, told: Callbacks, models: _Models) -> None:
        self.told = told
        self.models = models

    def on_chosen(self, outcome: Outcome) -> None:
        self.told.notify("best", self.models.of(outcome))

    def on_weights(self, outcome: Outcome, weights: dict[str, np.ndarray]) -> None:
        if self.told.has_handler("model"):
            self.told.notify("model", len(outcome.history), self.models.at(outcome, len(outcome.history), weights))


def _fit(
    prepared: Prepared, models: _Models, told: Callbacks, checkpoints: Checkpoints | None, *, seed: int, network: str
) -> Outcome:
    """Trains, and tells those who watch; that it ended is told however it ends."""
    if told.has_handler("best") or told.has_handler("model"):
        told.callbacks.append(_BestModel(told, models))
    started = time.perf_counter()
    summary: dict[str, Any] = {"chosen_epoch": 0, "interrupted": True}
    try:
        told.notify("start", prepared.announcement(network))
        learner = Learner(
            network=prepared.module,
            rule=prepared.rule,
            train=prepared.train,
            validation=prepared.validation,
            preprocessing=prepared.specification.preprocessing,
            recipe=prepared.recipe,
            loss=prepared.loss,
            seed=seed,
        )
        outcome = fit(learner, told, checkpoints)
        summary = {"chosen_epoch": outcome.chosen_epoch, "interrupted": outcome.interrupted}
        return outcome
    finally:
        told.notify("end", summary | {"seconds": time.perf_counter() - started})


def _calibrated(model: Model, prepared: Prepared) -> Model:
    """The model with a temperature that makes its probabilities right on validation, where its loss did not.

    Margins say nothing of probabilities, and smoothed labels teach a network to be less sure than it could be.
    """
    specification = model.specification
    likelihood = find_loss(specification.loss).is_likelihood and not prepared.recipe.label_smoothing
    if likelihood or specification.probabilities != "softmax":
        return model
    load_weights(prepared.module, model.weights)
    outputs = forward(prepared.module, prepared.validation.pictures, specification.preprocessing)
    temperature = fit_temperature(outputs.numpy(), prepared.validation.labels.cpu().numpy())
    return replace(model, specification=specification.model_copy(update={"temperature": temperature}))
