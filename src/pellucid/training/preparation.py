"""Prepares a training for its first step: splits, pictures, network, learning rule and loss."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.appearance import appearance
from pellucid.data.hashing import content_hashes, pack
from pellucid.data.splitting import with_validation
from pellucid.errors import UsageError
from pellucid.inference.building import load_weights, quick_order, try_out
from pellucid.inference.forward import as_tensor
from pellucid.networks.network import Declaration, Network, declaration
from pellucid.records import Dataset, Model, NetworkSpecification, Preprocessing, Specification
from pellucid.training.batches import Examples, batch_bounds
from pellucid.training.callbacks import TrainingOverview
from pellucid.training.initialisation import initialise
from pellucid.training.losses import LossFunction, balanced_weights, find_loss, loss_function
from pellucid.training.plan import ResolvedPlan, require_classes
from pellucid.training.randomness import named_seed
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Rule, find_rule
from pellucid.training.shape import input_shape
from pellucid.version import __version__

_MOST_SAMPLES, _MOST_VALUES = 5000, 20_000_000
"""At most this many training pictures, and values of them, are shown to a network before its first step."""


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to begin.

    Attributes:
        data: the dataset, with its validation split.
        plan: the plan, with the scaling and fit of the start model.
        module: the network, on its device.
        rule: learns from a batch.
        train, validation: pictures and labels, on the device.
        loss: measures validation loss, without class weights and label smoothing.
        specification: of the model file, except for what only the end of the training shows.
        notes: sentences for the user.
    """

    data: Dataset
    plan: ResolvedPlan
    module: nn.Module
    rule: Rule
    train: Examples
    validation: Examples
    loss: LossFunction
    specification: Specification
    notes: tuple[str, ...]

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    def overview(self) -> TrainingOverview:
        """The size of the training, for callbacks."""
        return TrainingOverview(
            network=self.plan.network.name,
            data=self.data.name,
            epochs=self.recipe.epochs,
            steps_per_epoch=len(batch_bounds(len(self.train), self.recipe.batch_size)) - 1,
            pictures=len(self.train),
            validation_pictures=len(self.validation),
        )


def prepare(data: Dataset, plan: ResolvedPlan, device: torch.device) -> Prepared:
    """Prepares a training. Sets torch's generator from the seed of the plan.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    require_classes(data)
    notes: tuple[str, ...] = ()
    start = plan.start
    if start is not None:
        plan, notes = _with_preprocessing_of(start, data, plan)
    recipe = plan.recipe
    data = with_validation(data, recipe.validation_fraction, recipe.split_seed)
    pictures, preprocessing = _pictures(data, plan)
    module, network = _network(plan, preprocessing.shape, len(data.classes))
    declared = declaration(module)
    examples = {name: _examples(data, name, pictures[name], device) for name in ("train", "validation")}
    if start is None and isinstance(module, Network):
        module.initialise_from(_sample(pictures["train"], preprocessing))
    loss = recipe.loss or declared.loss
    module = quick_order(module.to(device), network.name)
    return Prepared(
        data=data,
        plan=plan,
        module=module,
        rule=_rule(module, declared, recipe, loss, examples["train"].labels, len(data.classes)),
        train=examples["train"],
        validation=examples["validation"],
        loss=loss_function(loss),
        specification=Specification(
            network=network,
            classes=data.classes,
            preprocessing=preprocessing,
            appearance=appearance(data.train, preprocessing),
            loss=loss,
            probabilities=find_loss(loss).probabilities if recipe.loss else declared.probabilities,
            tta=recipe.tta,
            tta_below=recipe.tta_below,
            training=provenance(data, plan),
        ),
        notes=(*data.notes, *declared.notes, *notes),
    )


def _with_preprocessing_of(start: Model, data: Dataset, plan: ResolvedPlan) -> tuple[ResolvedPlan, tuple[str, ...]]:
    """The plan with the preprocessing of the start model, and a note on each difference.

    Raises:
        UsageError: the classes differ, or the plan has another size.
    """
    if start.classes != data.classes:
        raise UsageError(
            f"The model to start from has the classes {', '.join(start.classes[:5])} ..., but the data have "
            f"{', '.join(data.classes[:5])} ...; they must be the same, in the same order."
        )
    preprocessing, size, recipe = start.specification.preprocessing, plan.record.size, plan.recipe
    height, width = preprocessing.shape[1:]
    if size is not None and (size, size) != (height, width) and size != (height, width):
        raise UsageError(
            f"The model to start from takes pictures of {height}×{width} pixels, so the size cannot be {size}. "
            f"Leave the size out."
        )
    settings = {"scaling": preprocessing.scaling, "fit": preprocessing.fit}
    settings = {name: value for name, value in settings.items() if value != "given"}
    notes = tuple(
        f"The {name} is '{value}', as in the model to start from, and not the plan's '{getattr(recipe, name)}'."
        for name, value in settings.items()
        if value != getattr(recipe, name)
    )
    return plan.with_recipe(**settings), notes


def _pictures(data: Dataset, plan: ResolvedPlan) -> tuple[dict[str, preparing.Decoded], Preprocessing]:
    """The pictures of train and validation as uint8 (N, C, H, W), and the preprocessing, measured on train alone."""
    recipe = plan.recipe
    if plan.start is not None:
        preprocessing = plan.start.specification.preprocessing
    else:
        channels, height, width = input_shape(data.train, plan.record.size)
        preprocessing = Preprocessing(
            channels=1 if channels == 1 else 3, height=height, width=width, fit=recipe.fit, scaling="unit"
        )
    pictures = {name: preparing.prepare(data.split(name), preprocessing) for name in ("train", "validation")}
    if plan.start is None:
        preprocessing = preparing.measure(pictures["train"], fit=recipe.fit, scaling=recipe.scaling)
    return pictures, preprocessing


def _examples(data: Dataset, split: str, pictures: preparing.Decoded, device: torch.device) -> Examples:
    labels = as_tensor(data.split(split).known_labels()).long()
    in_memory = isinstance(pictures, np.ndarray)
    return Examples(as_tensor(pictures).to(device) if in_memory else pictures, labels.to(device))


def _sample(pictures: preparing.Decoded, preprocessing: Preprocessing) -> torch.Tensor:
    """Training inputs, spread over the whole split, which may be sorted by class."""
    count = max(1, min(len(pictures), _MOST_SAMPLES, _MOST_VALUES // math.prod(pictures.shape[1:])))
    indices = np.linspace(0, len(pictures) - 1, count).astype(np.int64)
    return preparing.normalise(as_tensor(pictures[indices]), preprocessing)


def _network(plan: ResolvedPlan, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, NetworkSpecification]:
    """The network for pictures of that shape, with its initial weights."""
    torch.manual_seed(named_seed(plan.record.seed, "weights"))
    module, specification = plan.network.make(shape, classes)
    try_out(module, shape, classes)
    if plan.recipe.initialisation is not None:
        initialise(module, plan.recipe.initialisation)
    if plan.start is not None:
        load_weights(module, plan.start.weights)
    return module, specification


def _rule(
    module: nn.Module, declared: Declaration, recipe: Recipe, loss: str, labels: torch.Tensor, classes: int
) -> Rule:
    weights = balanced_weights(labels, classes) if recipe.class_weights else None
    training_loss = loss_function(loss, weights=weights, smoothing=recipe.label_smoothing)
    return find_rule(declared.learning_rule)(module, recipe, training_loss, weights)


def provenance(data: Dataset, plan: ResolvedPlan, splits: tuple[str, ...] = ("train", "validation")) -> dict[str, Any]:
    """How a model was trained, for its file. Equal runs give equal values.

    Args:
        data: the dataset.
        plan: the plan.
        splits: names of the splits that were learned from or validated on; never the test split.
    """
    used: Mapping[str, Any] = {name: data.split(name) for name in splits}
    keep = plan.record.recipe.get("keep_hashes", True)
    content: dict[str, Any] = {
        "recipe": plan.record.recipe,
        "seed": plan.record.seed,
        "data": {
            "name": data.name,
            "fingerprint": replace(data, splits=used).fingerprint,
            "sizes": {name: len(split) for name, split in used.items()},
            "hashes": {name: pack(content_hashes(split.pictures)) for name, split in used.items()} if keep else {},
        },
        "versions": {
            "pellucid": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    said = {"purpose": plan.record.purpose, "not_for": plan.record.not_for}
    content |= {key: text for key, text in said.items() if text}
    return content if plan.start is None else content | {"started_from": plan.start.sha256}
