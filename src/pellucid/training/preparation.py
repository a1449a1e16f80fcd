"""Everything that a training needs before its first step: the split, the pictures, the network, the loss."""

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
from pellucid.data.splitting import with_validation
from pellucid.errors import DataError, UsageError
from pellucid.inference.building import load_weights, quick_order, try_out
from pellucid.inference.forward import as_tensor
from pellucid.networks.network import Declaration, Network, declaration
from pellucid.records import Dataset, Model, NetworkSpecification, Preprocessing, Specification
from pellucid.training.batches import Examples, batch_bounds
from pellucid.training.callbacks import TrainingOverview
from pellucid.training.choice import Choice
from pellucid.training.initialisation import initialise
from pellucid.training.losses import LossFunction, balanced_weights, find_loss, loss_function
from pellucid.training.randomness import named_seed
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Rule, find_rule
from pellucid.training.shape import input_shape
from pellucid.version import __version__

_LOOKED_AT, _MOST_VALUES = 5000, 20_000_000
"""How many training pictures a network may look at before its first step, and how many values of them."""


@dataclass(frozen=True)
class Prepared:
    """A training that can begin.

    Attributes:
        data: the dataset with the validation split that is used.
        recipe: the whole plan.
        module: the network, on its device.
        rule: how it learns from a batch.
        train, validation: the pictures and labels, on the device.
        loss: what validation loss is measured with: without class weights and smoothing.
        specification: everything that the model file will say of it, but what is only known at the end.
        notes: what a person should know of it.
    """

    data: Dataset
    recipe: Recipe
    module: nn.Module
    rule: Rule
    train: Examples
    validation: Examples
    loss: LossFunction
    specification: Specification
    notes: tuple[str, ...]

    def announcement(self, network: str) -> TrainingOverview:
        """What it is about to do, for those who watch."""
        return TrainingOverview(
            network=network,
            data=self.data.name,
            epochs=self.recipe.epochs,
            steps_per_epoch=len(batch_bounds(len(self.train), self.recipe.batch_size)) - 1,
            pictures=len(self.train),
            validation_pictures=len(self.validation),
        )


def prepare(
    data: Dataset,
    choice: Choice,
    recipe: Recipe,
    *,
    seed: int,
    start: Model | None,
    size: int | tuple[int, int] | None,
    device: torch.device,
) -> Prepared:
    """Prepares a training. Torch's generator is set from `seed`.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    require_classes(data)
    notes: tuple[str, ...] = ()
    if start is not None:
        recipe, notes = _as_the_model(start, data, recipe, size)
    data = with_validation(data, recipe.validation_fraction, recipe.split_seed)
    pictures, preprocessing = _pictures(data, recipe, size, start)
    module, specified = _network(choice, preprocessing.shape, len(data.classes), recipe, seed, start)
    declared = declaration(module)
    examples = {name: _examples(data, name, pictures[name], device) for name in ("train", "validation")}
    if start is None and isinstance(module, Network):
        module.look_at(_sample(pictures["train"], preprocessing))
    loss = recipe.loss or declared.loss
    module = quick_order(module.to(device), specified.name)
    return Prepared(
        data=data,
        recipe=recipe,
        module=module,
        rule=_rule(module, declared, recipe, loss, examples["train"].labels, len(data.classes)),
        train=examples["train"],
        validation=examples["validation"],
        loss=loss_function(loss),
        specification=Specification(
            network=specified,
            classes=data.classes,
            preprocessing=preprocessing,
            loss=loss,
            probabilities=find_loss(loss).probabilities if recipe.loss else declared.probabilities,
            tta=recipe.tta,
            tta_below=recipe.tta_below,
            training=provenance(data, recipe, seed, start),
        ),
        notes=(*data.notes, *declared.notes, *notes),
    )


def require_classes(data: Dataset) -> None:
    """Refuses what is no labelled data of two classes.

    Raises:
        DataError: there is one class.
        UsageError: it is no dataset.
    """
    if not isinstance(data, Dataset):
        raise UsageError(f"Data are given as a Dataset, for example pellucid.load('digits'); given: {data!r}.")
    if len(data.classes) < 2:
        raise DataError(f"'{data.name}' has only the class {data.classes[0]!r}; a classifier needs at least two.")


def _as_the_model(
    start: Model, data: Dataset, recipe: Recipe, size: int | tuple[int, int] | None
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with the preprocessing of the model to start from, which is said where it differs.

    Raises:
        UsageError: its classes are others, or another size was asked for.
    """
    if start.classes != data.classes:
        raise UsageError(
            f"The model to start from has the classes {', '.join(start.classes[:5])} ..., but the data have "
            f"{', '.join(data.classes[:5])} ...; they must be the same, in the same order."
        )
    preprocessing = start.specification.preprocessing
    height, width = preprocessing.shape[1:]
    if size is not None and (size, size) != (height, width) and size != (height, width):
        raise UsageError(
            f"The model to start from takes pictures of {height}×{width} pixels, so the size cannot be {size}. "
            f"Leave the size out."
        )
    kept = {"scaling": preprocessing.scaling, "fit": preprocessing.fit}
    notes = tuple(
        f"The {key} is '{value}', as in the model to start from, and not the plan's '{getattr(recipe, key)}'."
        for key, value in kept.items()
        if value != getattr(recipe, key) and value != "given"
    )
    return recipe.but(**{key: value for key, value in kept.items() if value != "given"}), notes


def _pictures(
    data: Dataset, recipe: Recipe, size: int | tuple[int, int] | None, start: Model | None
) -> tuple[dict[str, preparing.Decoded], Preprocessing]:
    """The pictures of train and validation as uint8 (N, C, H, W), and the preprocessing, measured on train alone."""
    if start is not None:
        preprocessing = start.specification.preprocessing
    else:
        channels, height, width = input_shape(data.train, size)
        preprocessing = Preprocessing(
            channels=1 if channels == 1 else 3, height=height, width=width, fit=recipe.fit, scaling="unit"
        )
    pictures = {name: preparing.prepare(data.split(name), preprocessing) for name in ("train", "validation")}
    if start is None:
        preprocessing = preparing.measure(pictures["train"], fit=recipe.fit, scaling=recipe.scaling)
    return pictures, preprocessing


def _examples(data: Dataset, split: str, pictures: preparing.Decoded, device: torch.device) -> Examples:
    labels = as_tensor(data.split(split).known_labels()).long()
    held = as_tensor(pictures).to(device) if isinstance(pictures, np.ndarray) else pictures
    return Examples(held, labels.to(device))


def _sample(pictures: preparing.Decoded, preprocessing: Preprocessing) -> torch.Tensor:
    """Some training inputs from everywhere in the split, which may be sorted by class."""
    most = max(1, min(len(pictures), _LOOKED_AT, _MOST_VALUES // math.prod(pictures.shape[1:])))
    which = np.linspace(0, len(pictures) - 1, most).astype(np.int64)
    return preparing.normalise(as_tensor(pictures[which]), preprocessing)


def _network(
    choice: Choice, shape: tuple[int, int, int], classes: int, recipe: Recipe, seed: int, start: Model | None
) -> tuple[nn.Module, NetworkSpecification]:
    """The network that fits the pictures, with the weights that it begins with."""
    torch.manual_seed(named_seed(seed, "weights"))
    module, specified = choice.make(shape, classes)
    try_out(module, shape, classes)
    if recipe.initialisation is not None:
        initialise(module, recipe.initialisation)
    if start is not None:
        load_weights(module, start.weights)
    return module, specified


def _rule(
    module: nn.Module, declared: Declaration, recipe: Recipe, loss: str, labels: torch.Tensor, classes: int
) -> Rule:
    weights = balanced_weights(labels, classes) if recipe.class_weights else None
    training_loss = loss_function(loss, weights=weights, smoothing=recipe.label_smoothing)
    return find_rule(declared.learning_rule)(module, recipe, training_loss, weights)


def provenance(
    data: Dataset,
    recipe: Recipe,
    seed: int,
    start: Model | None,
    names: tuple[str, ...] = ("train", "validation"),
) -> dict[str, Any]:
    """How a model was trained: what goes into its file, and nothing that differs between equal runs.

    The data are those that were learned from and validated on, the splits of these names: nothing of the test split is
    looked at.
    """
    used: Mapping[str, Any] = {name: data.split(name) for name in names}
    told: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "data": {
            "name": data.name,
            "fingerprint": replace(data, splits=used).fingerprint,
            "sizes": {name: len(split) for name, split in used.items()},
        },
        "versions": {
            "pellucid": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    return told if start is None else told | {"started_from": start.sha256}
