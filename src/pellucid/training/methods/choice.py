"""What is trained where no network is named: photos start from a backbone. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.data.decoding import is_grey, size_of
from pellucid.errors import DataError, UsageError
from pellucid.records import Dataset, PictureFiles
from pellucid.records.pictures import Members
from pellucid.training.recipes import NO_NETWORK, RECIPE_NETWORKS, Recipe

USUAL_BACKBONE = "lite0"
SMALLEST_PHOTO = 64
"""Files whose shorter sides are mostly above this are photos; smaller ones hold too little for a backbone to see."""
TRANSFER = ("features", "finetune", "scratch")
"""The recipes that need no network, since they have one."""

_LOOKED_AT = 100
_MEANT = {
    "backbone",
    "freeze_backbone",
    "class_weights",
    "balance_above_ratio",
    "fit",
    "split_seed",
    "validation_fraction",
}
"""The settings of a recipe that mean something where only the last layer learns."""


def are_photos(data: Dataset) -> bool:
    """Whether the training pictures are photos: files in colour, most of them larger than 64 pixels.

    Of many, a hundred spread over all are looked at, by their headers alone.
    """
    held = data.train.pictures if "train" in data.splits else None
    if not isinstance(held, PictureFiles) or not len(held):
        return False
    if isinstance(held.paths, Members):
        return _are_photos_within(held)
    places = np.unique(np.linspace(0, len(held) - 1, min(len(held), _LOOKED_AT)).astype(int))
    sides, colours = [], 0
    for path in (held.paths[place] for place in places):
        try:
            sides.append(min(size_of(path)))
            colours += not is_grey(path)
        except DataError:  # what cannot be read says nothing, and is named later
            continue
    return bool(sides) and colours > len(sides) / 2 and float(np.median(sides)) > SMALLEST_PHOTO


def _are_photos_within(held: PictureFiles) -> bool:
    """The same for members of larger files, which are opened for it."""
    from pellucid.data.decoding import open_upright

    sides = []
    for place in np.unique(np.linspace(0, len(held) - 1, min(len(held), 10)).astype(int)):
        try:
            sides.append(min(open_upright(held.paths[place].read_bytes(), 3).size))
        except DataError:
            continue
    return bool(sides) and float(np.median(sides)) > SMALLEST_PHOTO


def settle(
    data: Dataset, network: Any, recipe: str | Recipe, *, started: bool, changes: Mapping[str, Any]
) -> tuple[Any, str | Recipe, dict[str, Any]]:
    """(network, recipe, changes) with what was left to us.

    Args:
        data: what is trained on.
        network: what was given, or None.
        recipe: a name, or a plan.
        started: whether a model to start from was given, which says the network.
        changes: settings of the recipe that were given, among them perhaps the backbone.

    Raises:
        UsageError: a network is needed, or what was given does not go together.
    """
    if not isinstance(recipe, (str, Recipe)):
        raise UsageError(f"A recipe is the name of one, or a pellucid.Recipe; given: {recipe!r}.")
    changes = dict(changes)
    if network is None and not started and isinstance(recipe, str) and recipe in RECIPE_NETWORKS:
        network = RECIPE_NETWORKS[recipe][0]
    given = changes.get("backbone")
    best_within = changes.get("best_within") is not None
    if best_within and "epochs" in changes:
        raise UsageError("What is tried within a time settles how many epochs there are; leave them out (--epochs).")
    if best_within and recipe == "default" and not started:
        if network is None and given is None and not are_photos(data):
            raise UsageError(NO_NETWORK)
        recipe = "finetune"
    if recipe == "default" and network is None and not started and (given is not None or are_photos(data)):
        recipe = "features"
    transfers = recipe in TRANSFER if isinstance(recipe, str) else recipe.backbone is not None
    if best_within and (started or not transfers or recipe == "scratch"):
        raise UsageError(
            "What fits into a time is tried for photos that start from a backbone, with the recipe finetune and no "
            "model to start from. For as many epochs as fit give --budget instead of --best-within."
        )
    if not transfers:
        if given is not None:
            raise UsageError(
                f"A backbone goes with the recipes features and finetune, not with '{recipe}'. Leave the recipe out, "
                f"or the backbone."
            )
        if network is None and not started:
            raise UsageError(NO_NETWORK)
        return network, recipe, changes
    if started:
        raise UsageError(f"A model to start from goes with other recipes, not with '{_name(recipe)}'. Leave one out.")
    if network is not None and given is not None and network != given:
        raise UsageError(f"The network '{network}' and the backbone '{given}' are two; give one of them.")
    named = network if network is not None else given if given is not None else USUAL_BACKBONE
    if not isinstance(named, str):
        raise UsageError(f"A backbone is named: lite0, or timm:NAME; given: {named!r}.")
    if recipe == "scratch":
        changes.pop("backbone", None)
        return named, recipe, changes
    _require_meaning(recipe, changes)
    return named, recipe, changes | {"backbone": named}


def is_frozen(recipe: str | Recipe, changes: Mapping[str, Any]) -> bool:
    """Whether only the last layer learns."""
    return bool(
        changes.get("freeze_backbone", recipe == "features" if isinstance(recipe, str) else recipe.freeze_backbone)
    )


def _require_meaning(recipe: str | Recipe, changes: Mapping[str, Any]) -> None:
    frozen = is_frozen(recipe, changes)
    idle = [name for name in changes if frozen and name in Recipe.model_fields and name not in _MEANT]
    if idle:
        raise UsageError(
            f"The setting {idle[0].replace('_', ' ')} means nothing where only the last layer learns, which is solved "
            f"for at once. Leave it out, or train the whole network with --recipe finetune."
        )


def _name(recipe: str | Recipe) -> str:
    return recipe if isinstance(recipe, str) else "features" if recipe.freeze_backbone else "finetune"
