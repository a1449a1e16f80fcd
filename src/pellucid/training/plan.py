"""The plan of a training, resolved once: its network, recipe and start model, before any picture is decoded.

`make_plan` turns what the user gave into a `ResolvedPlan`; `restore_plan` does it for a plan from a file. Everything
below (training, dry run, range test, batch size, budget, search) takes the data and this one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from torch import nn

from pellucid.data.decoding import is_grey, open_upright, size_of
from pellucid.errors import DataError, FormatError, UsageError
from pellucid.inference.device import choose
from pellucid.inference.device_names import require_possible
from pellucid.networks import custom
from pellucid.networks.catalogue import is_file_reference
from pellucid.records import Dataset, Model, PictureFiles
from pellucid.records.paths import expand_user
from pellucid.records.pictures import Members
from pellucid.records.plan import TrainingPlan
from pellucid.training import trust
from pellucid.training.network_choice import NetworkChoice, NetworkLike, choose_network
from pellucid.training.recipes import RECIPE_NETWORKS, RECIPE_ON_CARD, Recipe, named_recipe
from pellucid.training.setting_names import require_known
from pellucid.training.shape import height_and_width, input_shape

DEFAULT_BACKBONE = "lite0"
DEFAULT_NETWORK = "convnet"
"""The network for pictures that are not photos."""
_ENOUGH_FOR_QUICK, _SMALLEST_FOR_QUICK = 5000, 24
"""The recipe quick needs this many training pictures, of this height and width."""
SMALLEST_PHOTO = 64
"""Files are photos if most of their shorter sides exceed this: smaller pictures hold too little for a backbone."""
BACKBONE_RECIPES = ("features", "finetune", "scratch")
"""Recipes that need no network: they use a backbone."""

_SAMPLED = 100
"""Number of files that show whether a set holds photos; of members of archives, which are opened for it, ten."""
_USED_BY_FEATURES = {
    "backbone",
    "freeze_backbone",
    "class_weights",
    "balance_above_ratio",
    "fit",
    "split_seed",
    "validation_fraction",
    "keep_hashes",
    "max_error",
}
"""Settings of a recipe that have an effect if the backbone is frozen."""


@dataclass(frozen=True)
class ResolvedPlan:
    """A training plan with the objects that it names.

    Attributes:
        record: the plan as plain values.
        network: the network to build.
        start: the model to start from.
        notes: sentences on what was chosen for the user.
    """

    record: TrainingPlan
    network: NetworkChoice
    start: Model | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.record.recipe)

    def with_recipe(self, **changes: Any) -> ResolvedPlan:
        """This plan with changed settings of its recipe.

        Raises:
            UsageError: a setting does not exist, or cannot have the value.
        """
        return self.with_record(recipe=self.recipe.but(**changes).model_dump(mode="json"))

    def with_record(self, **changes: Any) -> ResolvedPlan:
        """This plan with changed fields of its record."""
        return replace(self, record=self.record.model_copy(update=changes))

    def starting_from(self, model: Model) -> ResolvedPlan:
        """This plan without a backbone: it trains the network of `model` from the weights of `model`."""
        plan = replace(self, network=choose_network(None, start=model), start=model)
        return plan.with_recipe(backbone=None).with_record(network=None, settings=None, size=None)

    def require_steps(self) -> None:
        """Raises UsageError if the training has no gradient steps."""
        if self.recipe.freeze_backbone:
            raise UsageError(
                "The head on a frozen backbone is solved for directly, without steps, so there is no learning rate, "
                "batch size or number of epochs to find. Train it as it is, or the whole network with the recipe "
                "finetune."
            )


def make_plan(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    settings: Mapping[str, Any] | None = None,
    start: Model | str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    device: str = "auto",
    **changes: Any,
) -> ResolvedPlan:
    """Makes the plan of a training, and checks everything that can be checked before a picture is decoded.

    Args:
        data: labelled pictures, with a `train` split and at least two classes.
        network: a name of the catalogue, `file.py:Class`, or a `torch.nn.Module`, which stays unchanged. None uses the
            network of `start`, that of the recipe, or for photos a backbone.
        recipe: a recipe, or the name of one; `default` is the network's own.
        settings: settings of the network, for example {"widths": [500, 100]}.
        start: a model, or its file, whose weights to start from. Network and classes must be the same; its
            preprocessing is used.
        size: height and width to resize pictures to, in pixels. None keeps the size of pictures in memory; files use
            their common size, or 64×64.
        seed: seed of weights, order, augmentation and dropout, at least 0.
        device: auto, cpu, cuda or mps.
        **changes: settings of the recipe to change.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    require_classes(data)
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or seed.__index__() < 0:
        raise UsageError(f"A seed is a whole number of at least 0; given: {seed!r}.")
    if size is not None:
        height_and_width(size)
    possible = require_possible(device)
    path = str(expand_user(start).resolve()) if isinstance(start, (str, Path)) else ""
    model = Model.load(start) if isinstance(start, (str, Path)) else start
    network, recipe, changes, notes = _with_defaults(data, network, recipe, changes, has_start=model is not None)
    made_for, fitting = RECIPE_NETWORKS.get(recipe, (None, {})) if isinstance(recipe, str) else (None, {})
    if fitting and model is None and network == made_for:
        settings = {**fitting, **(settings or {})}
    if isinstance(recipe, str) and recipe in RECIPE_ON_CARD and choose(possible).type == "cuda":
        changes = {**RECIPE_ON_CARD[recipe], **changes}
        notes = (*notes, f"on a card, the recipe {recipe} takes batches of {changes['batch_size']:,} pictures")
    network_sha256 = trust.hash_of_named(network)
    choice = choose_network(network, settings, model)
    trust.remember(network_sha256)
    resolved = resolve_recipe(choice, recipe, changes)
    record = TrainingPlan(
        network=custom.full_reference(network) if isinstance(network, str) else None,
        network_sha256=network_sha256,
        settings=None if model is not None and settings is None else dict(choice.settings),
        recipe=resolved.model_dump(mode="json"),
        recipe_name=_name_of(recipe),
        start=path,
        size=size,
        seed=seed.__index__(),  # NumPy's whole numbers too
        device=possible,
    )
    return ResolvedPlan(record, choice, model, notes)


def restore_plan(record: TrainingPlan, network: NetworkLike | None = None, start: Model | None = None) -> ResolvedPlan:
    """The plan of a record, with the objects that it does not hold.

    A network in a file is run if the file is what it was when the plan was made, and if the user has named it with that
    content before, or names it now.

    Args:
        record: a plan from a file.
        network: the network, if the record has no name of it; or its name again.
        start: the model to start from, if there is one.

    Raises:
        FormatError: the plan has a recipe that cannot be used.
        PellucidError: the network cannot be found, has changed, or is not known to the user.
    """
    name = record.network if network is None else network
    if isinstance(name, str) and is_file_reference(name):
        choice = choose_network(_same_class(record, name, is_named=network is not None), record.settings, start)
    elif isinstance(network, str) and record.network not in (None, network):
        raise UsageError(f"The run trains the network '{record.network}'; leave out '{network}'.")
    else:
        choice = choose_network(name, record.settings, start)
    try:
        recipe = Recipe().but(**record.recipe)
        resolve_recipe(choice, recipe, {})
    except UsageError as error:
        raise FormatError(f"The plan has a recipe that cannot be used: {error}") from error
    return ResolvedPlan(record, choice, start)


def _same_class(record: TrainingPlan, name: str, *, is_named: bool) -> type[nn.Module]:
    """The class of a network in a file that has not changed since the plan was made.

    Args:
        record: the plan.
        name: `file.py:Class`, of the plan or named by the user.
        is_named: whether the user named it.

    Raises:
        UsageError: the file has changed, the user does not know it, or the plan is of another network.
    """
    if record.network is None or not is_file_reference(record.network):
        raise UsageError(f"The run does not train a network from a file, so leave out '{name}'.")
    if not is_named:
        trust.require_known(record)
    network = custom.load_class(name, sha256=record.network_sha256)
    trust.remember(record.network_sha256)
    return network


def require_classes(data: Dataset) -> None:
    """Checks that `data` is a dataset with at least two classes.

    Raises:
        DataError: there is only one class.
        UsageError: it is not a dataset.
    """
    if not isinstance(data, Dataset):
        raise UsageError(f"Data are given as a Dataset, for example pellucid.load('digits'); given: {data!r}.")
    if len(data.classes) < 2:
        raise DataError(f"'{data.name}' has only the class {data.classes[0]!r}; a classifier needs at least two.")


def resolve_recipe(network: NetworkChoice, recipe: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe itself, or the named one for that network, with its changes; every name in it is known.

    Raises:
        UsageError: a setting does not exist, cannot have the value, or has no effect on this network.
    """
    base = recipe if isinstance(recipe, Recipe) else named_recipe(recipe, network.own_recipe())
    resolved = base.but(**changes)
    require_known(resolved)
    if resolved.freeze_backbone and resolved.backbone is None:
        raise UsageError(
            "Without a backbone, there is none to freeze. Give one (--backbone), or leave freeze backbone out."
        )
    unused = network.unused_settings() if changes else {}
    require_used(network, [name for name in changes if name in unused and getattr(resolved, name) != unused[name]])
    return resolved


def require_used(network: NetworkChoice, settings: Iterable[str]) -> None:
    """Raises UsageError if the network's learning rule does not use one of the settings."""
    for name in settings:
        if name in network.unused_settings():
            raise UsageError(
                f"The setting {name.replace('_', ' ')} has no effect on {network.name}, which learns by a rule of its "
                f"own, without gradients. Leave it out, or choose a network that learns by gradient descent."
            )


def are_photos(data: Dataset) -> bool:
    """Whether the training pictures are photos: files in colour, most of them larger than 64 pixels.

    Reads the headers of at most 100 files, spread over all.
    """
    pictures = data.train.pictures if "train" in data.splits else None
    if not isinstance(pictures, PictureFiles) or not len(pictures):
        return False
    in_archives = isinstance(pictures.paths, Members)
    count = min(len(pictures), 10 if in_archives else _SAMPLED)
    sides, colours = [], 0
    for index in np.unique(np.linspace(0, len(pictures) - 1, count).astype(int)):
        path = pictures.paths[index]
        try:
            if in_archives:
                sides.append(min(open_upright(path.read_bytes(), 3).size))
                colours += 1
            else:
                sides.append(min(size_of(path)))
                colours += not is_grey(path)
        except DataError:  # unreadable files are named later
            continue
    return bool(sides) and colours > len(sides) / 2 and float(np.median(sides)) > SMALLEST_PHOTO


def _with_defaults(
    data: Dataset,
    network: NetworkLike | None,
    recipe: str | Recipe,
    changes: dict[str, Any],
    *,
    has_start: bool,
) -> tuple[NetworkLike | None, str | Recipe, dict[str, Any], tuple[str, ...]]:
    """(network, recipe, changes, notes), with defaults for what the user left out; the notes name them.

    Raises:
        UsageError: the arguments exclude each other.
    """
    if not isinstance(recipe, (str, Recipe)):
        raise UsageError(f"A recipe is the name of one, or a pellucid.Recipe; given: {recipe!r}.")
    if network is None and not has_start and isinstance(recipe, str) and recipe in RECIPE_NETWORKS:
        network = RECIPE_NETWORKS[recipe][0]
    backbone = changes.get("backbone")
    if recipe == "default" and not has_start:
        recipe = _default_recipe(data, network, changes)
    uses_backbone = recipe in BACKBONE_RECIPES if isinstance(recipe, str) else recipe.backbone is not None
    if changes.get("best_within") is not None:
        _require_best_within(recipe, changes, possible=uses_backbone and not has_start)
    if uses_backbone:
        return *_with_backbone(network, recipe, changes, has_start=has_start), ()
    if backbone is not None:
        raise UsageError(
            f"A backbone goes with the recipes features and finetune, not with '{recipe}'. Leave the recipe or the "
            f"backbone out."
        )
    if network is None and not has_start:
        network, recipe, note = _default_network(data, recipe)
        return network, recipe, changes, (note,)
    return network, recipe, changes, ()


def _default_network(data: Dataset, recipe: str | Recipe) -> tuple[str, str | Recipe, str]:
    """(network, recipe, note) for pictures that are not photos, if the user named no network."""
    if recipe == "default" and len(data.train) >= _ENOUGH_FOR_QUICK:
        channels, height, width = input_shape(data.train)
        if channels == 3 and min(height, width) >= _SMALLEST_FOR_QUICK:
            network = RECIPE_NETWORKS["quick"][0]
            note = f"these are small pictures in colour, so the recipe quick trains {network}"
            return network, "quick", f"{note}; to choose another network: --network NAME"
    return DEFAULT_NETWORK, recipe, f"the network is {DEFAULT_NETWORK}; to choose another: --network NAME"


def _default_recipe(data: Dataset, network: NetworkLike | None, changes: Mapping[str, Any]) -> str:
    """The recipe of a training for which the user named none.

    Raises:
        UsageError: a time to choose the best within was given, but the pictures are no photos.
    """
    without_network = network is None and changes.get("backbone") is None
    if changes.get("best_within") is not None:
        if without_network and not are_photos(data):
            raise UsageError(
                f"Best-within is for photos: files in colour of more than {SMALLEST_PHOTO} pixels. To train as many "
                f"epochs as fit into a time, give --budget instead."
            )
        return "finetune"
    if network is None and (changes.get("backbone") is not None or are_photos(data)):
        return "features"
    return "default"


def _require_best_within(recipe: str | Recipe, changes: Mapping[str, Any], *, possible: bool) -> None:
    """Raises UsageError if the training cannot choose what fits into a time."""
    if "epochs" in changes:
        raise UsageError("The time of best-within determines the number of epochs; leave the epochs out (--epochs).")
    if not possible or recipe == "scratch":
        raise UsageError(
            "Best-within is for photos with a backbone, with the recipe finetune and without a model to start from. To "
            "train as many epochs as fit into a time, give --budget instead of --best-within."
        )


def _with_backbone(
    network: NetworkLike | None, recipe: str | Recipe, changes: dict[str, Any], *, has_start: bool
) -> tuple[str, str | Recipe, dict[str, Any]]:
    """(network, recipe, changes) of a recipe with a backbone, which is the network. Raises UsageError."""
    if has_start:
        name = recipe if isinstance(recipe, str) else "features" if recipe.freeze_backbone else "finetune"
        raise UsageError(f"A model to start from goes with other recipes, not with '{name}'. Leave one out.")
    backbone = changes.get("backbone")
    if network is not None and backbone is not None and network != backbone:
        raise UsageError(f"The network '{network}' and the backbone '{backbone}' differ; give one of them.")
    name = network if network is not None else backbone if backbone is not None else DEFAULT_BACKBONE
    if not isinstance(name, str):
        raise UsageError(f"A backbone is a name, lite0 or timm:NAME; given: {name!r}.")
    if recipe == "scratch":
        return name, recipe, {key: value for key, value in changes.items() if key != "backbone"}
    frozen = changes.get("freeze_backbone", recipe == "features" if isinstance(recipe, str) else recipe.freeze_backbone)
    unused = [key for key in changes if frozen and key in Recipe.model_fields and key not in _USED_BY_FEATURES]
    if unused:
        raise UsageError(
            f"The setting {unused[0].replace('_', ' ')} has no effect with a frozen backbone, whose head is solved "
            f"for directly. Leave it out, or train the whole network with --recipe finetune."
        )
    return name, recipe, changes | {"backbone": name}


def _name_of(recipe: str | Recipe) -> str:
    """The named recipe that a recipe differs least from: of a `Recipe`, that of its kind."""
    if isinstance(recipe, str):
        return recipe
    return "default" if recipe.backbone is None else "finetune"
