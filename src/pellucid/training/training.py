"""data + network = model."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.splitting import with_validation
from pellucid.errors import DataError, UsageError
from pellucid.inference.building import build, load_weights, try_out
from pellucid.inference.predicting import forward
from pellucid.networks import custom
from pellucid.networks.catalogue import create, is_file_reference, own_recipe
from pellucid.networks.network import count_parameters, declaration
from pellucid.records import Dataset, Model, NetworkSpecification, Preprocessing, Specification
from pellucid.statistics.calibration import fit_temperature
from pellucid.training import display as displays
from pellucid.training import recipes
from pellucid.training.callbacks import Callbacks, Plan
from pellucid.training.device import choose
from pellucid.training.history import History
from pellucid.training.initialisation import initialise
from pellucid.training.loop import Examples, Outcome, batch_bounds, fit
from pellucid.training.losses import balanced_weights, find_loss, loss_function
from pellucid.training.randomness import named_seed
from pellucid.training.recipes import Recipe
from pellucid.training.rules import find_rule
from pellucid.training.shape import input_shape
from pellucid.version import __version__

NetworkLike = str | nn.Module | type[nn.Module]


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


def train(data: Dataset, network: NetworkLike | None = None, **settings: Any) -> Model:
    """Trains a network on the `train` split of a dataset, and gives the model of its best epoch on validation.

    The test split is not looked at. Where the dataset has no validation split, one is carved from `train`, stratified.

    Args:
        data: labelled pictures.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module` of your own.
        **settings: as for `learn`: recipe, seed, settings (of the network), start, callbacks, progress, size, device,
            and every setting of a `Recipe` (epochs, batch_size, learning_rate, optimizer ...).

    Raises:
        PellucidError: something that you can mend; its text says how.
    """
    return learn(data, network, **settings).model


def learn(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    start: Model | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    **changes: Any,
) -> Training:
    """Trains a network, and gives the model with everything that belongs to it.

    Args:
        data: labelled pictures; `train` and two classes at least.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module` of your own; may be left out where
            `start` says it.
        recipe: a training plan, or the name of one; `default` is the network's own.
        seed: what weights, order, augmentation and dropout are drawn from.
        settings: settings of the network, for example {"widths": [500, 100]}.
        start: a model whose weights to start from; its network, classes and preprocessing must be the same.
        callbacks: told of the training while it runs; see `pellucid.training.callbacks.Callback`.
        progress: whether to show a live line, plain lines when piped, or a curve in a notebook.
        size: height and width to bring the pictures to; None keeps those of pictures in memory, and for files takes
            their common size, or 64×64.
        device: auto, cpu, cuda or mps.
        **changes: settings of the recipe that are to differ.

    Raises:
        PellucidError: something that you can mend; its text says how.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"A seed is a whole number of at least 0; given: {seed!r}.")
    if network is None:
        network, settings = _network_of(start), start.specification.network.settings if start else None
    plan = _recipe_for(network, recipe).but(**changes)
    place = choose(device)
    if len(data.classes) < 2:
        raise DataError(f"'{data.name}' has only the class {data.classes[0]!r}; a classifier needs at least two.")
    data = with_validation(data, plan.validation_fraction, plan.split_seed)
    pictures, preprocessing = _prepare(data, plan, size, start)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "weights"))
        module, specified = _make_network(network, preprocessing.shape, len(data.classes), settings)
        if plan.initialisation is not None:
            initialise(module, plan.initialisation)
        if start is not None:
            _start_from(start, module, data)
        try_out(module, preprocessing.shape, len(data.classes))
        if specified.name == "custom":
            custom.remember(specified.source, module)
        declared = declaration(module)
        loss_name = plan.loss or declared.loss
        labels = torch.from_numpy(data.train.known_labels())
        weights = balanced_weights(labels, len(data.classes)).to(place) if plan.class_weights else None
        training_loss = loss_function(loss_name, weights=weights, smoothing=plan.label_smoothing)
        module = module.to(place)
        rule = find_rule(declared.learning_rule)(module, plan, training_loss)
        told = Callbacks([*([displays.suitable()] if progress else []), *callbacks])
        specification = Specification(
            network=specified,
            classes=data.classes,
            preprocessing=preprocessing,
            loss=loss_name,
            probabilities=find_loss(loss_name).probabilities if plan.loss else declared.probabilities,
            training=_provenance(data, plan, seed, start),
        )

        def as_model(outcome: Outcome) -> Model:
            metrics = {}
            if outcome.chosen_epoch:
                row = outcome.history.rows[outcome.chosen_epoch - 1]
                metrics = {
                    "validation_accuracy": {"value": row["validation_accuracy"], "n": len(data.validation)},
                    "validation_loss": {"value": row["validation_loss"], "n": len(data.validation)},
                }
            training = specification.training | {"chosen_epoch": outcome.chosen_epoch}
            return Model(specification.model_copy(update={"metrics": metrics, "training": training}), outcome.weights)

        if told.listening("best"):
            told.callbacks.append(_BestModel(told, as_model))
        n = len(data.train)
        told.tell(
            "start",
            Plan(
                network=network_name(network),
                data=data.name,
                epochs=plan.epochs,
                steps_per_epoch=len(batch_bounds(n, plan.batch_size)) - 1,
                pictures=n,
                validation_pictures=len(data.validation),
            ),
        )
        started = time.perf_counter()
        summary: dict[str, Any] = {"chosen_epoch": 0, "interrupted": True}
        try:
            outcome = fit(
                module,
                rule,
                Examples(torch.from_numpy(pictures["train"]).to(place), labels.to(place)),
                Examples(
                    torch.from_numpy(pictures["validation"]).to(place),
                    torch.from_numpy(data.validation.known_labels()).to(place),
                ),
                preprocessing,
                plan,
                loss=loss_function(loss_name),
                seed=seed,
                callbacks=told,
            )
            summary = {"chosen_epoch": outcome.chosen_epoch, "interrupted": outcome.interrupted}
        finally:
            told.tell("end", summary | {"seconds": time.perf_counter() - started})
    return Training(
        model=_calibrated(as_model(outcome), module, pictures["validation"], data.validation.known_labels()),
        history=outcome.history,
        seconds=outcome.seconds,
        chosen_epoch=outcome.chosen_epoch,
        interrupted=outcome.interrupted,
        data=data,
        recipe=plan,
        notes=(*data.notes, *declared.notes),
        parameters=count_parameters(module),
    )


def _calibrated(model: Model, module: nn.Module, pictures: np.ndarray, labels: np.ndarray) -> Model:
    """The model with a temperature fitted on validation, where its loss did not see to its probabilities."""
    specification = model.specification
    if find_loss(specification.loss).likelihood or specification.probabilities != "softmax":
        return model
    load_weights(module, model.weights)
    temperature = fit_temperature(forward(module, pictures, specification.preprocessing).numpy(), labels)
    return replace(model, specification=specification.model_copy(update={"temperature": temperature}))


class _BestModel:
    """Turns the loop's word that an epoch is kept into a model for those who listen for it."""

    def __init__(self, told: Callbacks, as_model: Any) -> None:
        self.told = told
        self.as_model = as_model

    def on_kept(self, outcome: Outcome) -> None:
        self.told.tell("best", self.as_model(outcome))


def network_name(network: NetworkLike | None, start: Model | None = None) -> str:
    """What a network is called in file names: its name in the catalogue, or that of its class."""
    if isinstance(network, str):
        return network.rpartition(":")[2] if is_file_reference(network) else network
    if network is None:
        return start.specification.network.name if start else "network"
    return network.__name__ if isinstance(network, type) else type(network).__name__


def _network_of(start: Model | None) -> NetworkLike:
    """The network of the model to start from."""
    if start is None:
        raise UsageError("A training needs a network: give the name of one, for example 'convnet'.")
    named = start.specification.network
    return build(start) if named.name == "custom" else named.name


def _recipe_for(network: NetworkLike, recipe: str | Recipe) -> Recipe:
    """The recipe itself, or the named one for that network."""
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(network, str):
        own = getattr(custom.load_class(network), "recipe", {}) if is_file_reference(network) else own_recipe(network)
    else:
        own = getattr(network, "recipe", {})
    return recipes.named(recipe, dict(own))


def _make_network(
    network: NetworkLike, shape: tuple[int, int, int], classes: int, settings: Mapping[str, Any] | None
) -> tuple[nn.Module, NetworkSpecification]:
    settings = dict(settings or {})
    if isinstance(network, str) and not is_file_reference(network):
        return create(network, shape, classes, settings), NetworkSpecification(name=network, settings=settings)
    if isinstance(network, nn.Module):
        if settings:
            raise UsageError("A network that is handed over built takes no settings; give them to its constructor.")
        return network, NetworkSpecification(name="custom", source=custom.source_of(network))
    kind = custom.load_class(network) if isinstance(network, str) else network
    module = custom.instantiate(kind, shape, classes, settings)
    return module, NetworkSpecification(name="custom", settings=settings, source=custom.source_of(module))


def _prepare(
    data: Dataset, recipe: Recipe, size: int | tuple[int, int] | None, start: Model | None
) -> tuple[dict[str, np.ndarray], Preprocessing]:
    """The pictures of train and validation as uint8 (N, C, H, W), and the preprocessing, measured on train alone."""
    if start is not None:
        preprocessing = start.specification.preprocessing
    else:
        channels, height, width = input_shape(data.train, size)
        preprocessing = Preprocessing(
            channels=1 if channels == 1 else 3,
            height=height,
            width=width,
            fit=recipe.fit,
            scaling="unit",
            mean=(0.0,) * channels,
            deviation=(1.0,) * channels,
        )
    pictures = {name: preparing.prepare(data.split(name), preprocessing) for name in ("train", "validation")}
    if start is None:
        preprocessing = preparing.measure(pictures["train"], fit=recipe.fit, scaling=recipe.scaling)
    return pictures, preprocessing


def _start_from(start: Model, module: nn.Module, data: Dataset) -> None:
    if start.classes != data.classes:
        raise UsageError(
            f"The model to start from has the classes {', '.join(start.classes[:5])} ..., but the data have "
            f"{', '.join(data.classes[:5])} ...; they must be the same, in the same order."
        )
    load_weights(module, start.weights)


def _provenance(data: Dataset, recipe: Recipe, seed: int, start: Model | None) -> dict[str, Any]:
    """How a model was trained: what goes into its file, and nothing that differs between equal runs."""
    provenance: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "sizes": {split.name: len(split) for split in data},
        },
        "versions": {
            "pellucid": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    return provenance if start is None else provenance | {"started_from": start.sha256}
