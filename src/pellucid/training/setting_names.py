"""The names that a recipe may contain, checked without torch, so that a wrong one is refused at once.

The functions behind the names are in the registries of `optimizers`, `losses`, `initialisation` and `augmentation`,
which import torch. The tests check that both sides have the same names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pellucid.errors import UnknownNameError, UsageError
from pellucid.training.recipes import Recipe
from pellucid.training.schedules import SCHEDULES

OPTIMIZERS = ("adagrad", "adam", "adamw", "muon", "rmsprop", "sgd")
LOSSES = ("cross-entropy", "hinge", "perceptron", "radial-basis", "squared-error")
INITIALISATIONS = (
    *("xavier-normal", "xavier-uniform", "kaiming-normal", "kaiming-uniform"),
    *("lecun-normal", "orthogonal", "zeros"),
)


@dataclass(frozen=True)
class Amount:
    """The number behind the name of an augmentation, as in `rotate:10`.

    Attributes:
        default: the number if none is given.
        meaning: what it means, with its unit.
        maximum: the largest number that makes sense.
    """

    default: float
    meaning: str
    maximum: float = math.inf


AUGMENTATIONS: dict[str, Amount] = {
    "alternating-flip": Amount(0.5, "the share of pictures that are mirrored in the first epoch, up to 1", 1),
    "brightness": Amount(0.2, "the largest change of brightness, as a share up to 1", 1),
    "erase": Amount(8, "the side of the square, in pixels"),
    "flip": Amount(0.5, "the share of pictures that are mirrored, up to 1", 1),
    "rotate": Amount(10, "the largest angle, in degrees"),
    "shift": Amount(2, "the largest shift in each direction, in pixels"),
    "shift-mirrored": Amount(
        2, "the largest shift in each direction, in pixels; edges are filled with the mirrored picture"
    ),
    "zoom": Amount(0.1, "the largest change of size, as a share"),
}


def parse_augmentation(text: str) -> tuple[str, float]:
    """Parses `rotate:15` as ("rotate", 15.0); `rotate` alone takes the default amount.

    Raises:
        UnknownNameError: the augmentation is unknown.
        UsageError: the amount is not a number between 0 and the maximum.
    """
    name, separator, number = text.partition(":")
    _require("augmentation", name, AUGMENTATIONS)
    amount = AUGMENTATIONS[name]
    try:
        value = float(number) if separator else amount.default
    except ValueError:
        value = math.nan
    if not (0 <= value <= amount.maximum and math.isfinite(value)):
        raise UsageError(f"'{text}' should be '{name}' or '{name}:NUMBER'; the number is {amount.meaning}.")
    return name, value


def require_known(recipe: Recipe) -> None:
    """Checks every name in a recipe.

    Raises:
        UnknownNameError: a name is unknown.
        UsageError: an augmentation has a wrong amount, or label smoothing goes with another loss than cross-entropy.
    """
    _require("optimizer", recipe.optimizer, OPTIMIZERS)
    _require("schedule", recipe.schedule, SCHEDULES)
    if recipe.loss is not None:
        _require("loss", recipe.loss, LOSSES)
        require_smoothing_fits(recipe.loss, recipe.label_smoothing)
    if recipe.initialisation is not None:
        _require("initialisation", recipe.initialisation, INITIALISATIONS)
    for text in recipe.augmentation:
        parse_augmentation(text)


def require_smoothing_fits(loss: str, smoothing: float) -> None:
    """Raises UsageError if labels are smoothed for another loss than cross-entropy."""
    if smoothing and loss != "cross-entropy":
        raise UsageError(f"Label smoothing works with the loss cross-entropy only, not with {loss}; set it to 0.")


def _require(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UnknownNameError(kind, name, known)
