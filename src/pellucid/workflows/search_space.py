"""What `pellucid tune` searches, and how a search is written. Imports neither torch nor optuna.

learning_rate=1e-4..1e-1     a range, searched on a logarithmic scale where it spans a factor of 100 or more
label_smoothing=0..0.2       a range, searched evenly
batch_size=32,64,128         choices
augmentation=none,flip,flip+shift:2     choices, each of several augmentations
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.errors import UnknownNameError, UsageError
from pellucid.training.recipes import Recipe

NOT_SEARCHED = {
    "keep": "it says which epoch counts",
    "scaling": "it belongs to the data",
    "fit": "it belongs to the data",
    "validation_fraction": "the trials have to be compared on the same pictures",
    "split_seed": "the trials have to be compared on the same pictures",
}
LOGARITHMIC = 100
DIGITS = 3
"""A number is tried as it can be typed: with so many digits."""


def default_space(recipe: Recipe, loss: str) -> dict[str, str]:
    """What is searched where nothing else is said: around a plan, whose own values are among it.

    Args:
        recipe: the plan.
        loss: the loss that it is trained with.
    """
    rate = recipe.learning_rate
    space = {
        "learning_rate": f"{rate / 30:.2g}..{10 * rate:.2g}",
        "weight_decay": "0,0.0001,0.001,0.01,0.1",
        "batch_size": "16,32,64,128,256",
        "warmup": f"0..{max(0.4, recipe.warmup):g}",
        "augmentation": "none,shift:1,shift:2,flip,shift:2+flip",
    }
    if loss == "cross-entropy":  # other losses have no label smoothing
        space["label_smoothing"] = f"0..{max(0.2, recipe.label_smoothing):g}"
    for name in ("weight_decay", "batch_size", "augmentation"):
        own = as_text(getattr(recipe, name))
        if own not in space[name].split(","):
            space[name] += f",{own}"
    return space


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool
    whole: bool

    def rounded(self, value: float) -> float:
        """The value as it is tried: a whole number, or one of few digits; still within the range."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def nearest(self, value: Any) -> float | None:
        """The value where it lies within the range, else None."""
        return value if isinstance(value, (int, float)) and self.low <= value <= self.high else None

    def setting(self, value: float) -> Any:
        return value


@dataclass(frozen=True)
class Choices:
    """Some values: the texts that they were given as, and what the recipe takes for each."""

    values: Mapping[str, Any]

    def rounded(self, value: str) -> str:
        return value

    def nearest(self, value: Any) -> str | None:
        """The text of the value where it is among the choices, else None."""
        return next((text for text, known in self.values.items() if known == value), None)

    def setting(self, text: str) -> Any:
        return self.values[text]


Dimension = Range | Choices
Space = dict[str, Dimension]


def parse(given: Iterable[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Splits `NAME=LOW..HIGH`, `NAME=A,B,C`, or `NAME` alone for its default range; without arguments, all defaults.

    Raises:
        UsageError: one makes no sense, or is given twice.
    """
    found: dict[str, str] = {}
    for one in given:
        name, separator, text = one.partition("=")
        name = name.strip().replace("-", "_")
        if name in found:
            raise UsageError(f"The search of {name} was given twice. Give it once.")
        if not separator:
            if name not in defaults:
                raise UnknownNameError(
                    "default_space search", name, defaults, f"For others say where: {name}=LOW..HIGH."
                )
            text = defaults[name]
        found[name] = text.strip()
    return found or dict(defaults)


def space(texts: Mapping[str, str], recipe: Recipe) -> Space:
    """The dimensions that the texts describe, each of whose values the recipe takes.

    Raises:
        UsageError: a setting that does not exist or is not searched, an empty range, a value that it cannot have.
    """
    return {name: _dimension(name, text, recipe) for name, text in texts.items()}


def _dimension(name: str, text: str, recipe: Recipe) -> Dimension:
    if name not in Recipe.model_fields:
        raise UnknownNameError("training setting", name, Recipe.model_fields)
    if name in NOT_SEARCHED:
        raise UsageError(f"{name} is not searched: {NOT_SEARCHED[name]}. Leave it out.")
    if ".." in text:
        return _range(name, text, recipe)
    values: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        values[word] = getattr(recipe.but(**{name: _value(name, word)}), name)
    if len(values) < 2:
        raise UsageError(
            f"The search of {name} was given as '{text}', but takes two values at least: {name}=LOW..HIGH, or A,B."
        )
    return Choices(values)


def _range(name: str, text: str, recipe: Recipe) -> Range:
    ends = text.split("..")
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            f"The search of {name} was given as '{text}', but a range is LOW..HIGH, two numbers, the lower one first."
        )
    kind = str(Recipe.model_fields[name].annotation)
    whole = "int" in kind and "float" not in kind
    for end in (low, high):
        recipe.but(**{name: int(end) if whole and end.is_integer() else end})
    return Range(low, high, log=low > 0 and high / low >= LOGARITHMIC, whole=whole)


def _value(name: str, word: str) -> Any:
    """A choice as the recipe takes it."""
    if name == "augmentation":
        return () if word == "none" else tuple(word.split("+"))
    if word == "none":
        return None
    try:
        return json.loads(word)
    except ValueError:
        return word


def as_text(value: Any) -> str:
    """A value of a recipe as it is written in a search and shown in a table."""
    if value is None or value in ((), []):
        return "none"
    if isinstance(value, tuple | list):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
