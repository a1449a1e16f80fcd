"""The search space of `pellucid tune`, and its notation. Imports neither torch nor optuna.

learning_rate=1e-4..1e-1     a range; logarithmic if it spans a factor of 100 or more
label_smoothing=0..0.2       a range, linear
batch_size=32,64,128         choices
augmentation=none,flip,flip+shift:2     choices, each a list of augmentations
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.errors import UnknownNameError, UsageError
from pellucid.training.recipes import SETTING_SYNONYMS, Recipe

NOT_SEARCHED = {
    "keep": "it decides which epoch counts",
    "scaling": "it belongs to the data",
    "fit": "it belongs to the data",
    "validation_fraction": "all trials must be compared on the same pictures",
    "split_seed": "all trials must be compared on the same pictures",
}
PRUNERS = ("median", "hyperband", "none")
"""Rules that end a trial early if it falls behind the others."""
LOGARITHMIC = 100
DIGITS = 3
"""Number of significant digits of a value that is tried, so that it can be typed."""


def require_sound(arguments: Iterable[str], recipe: Recipe, pruner: str) -> None:
    """Checks what a search was given, before any picture is loaded.

    Args:
        arguments: as for `parse`.
        recipe: the recipe where the search starts.
        pruner: name of the rule that ends trials early.

    Raises:
        UsageError: the text says what to change.
    """
    if pruner not in PRUNERS:
        raise UnknownNameError("pruner", pruner, PRUNERS)
    ranges = [argument for argument in arguments if "=" in argument]
    space(parse(ranges, {}), recipe)


def default_space(recipe: Recipe, loss: str) -> dict[str, str]:
    """The default search space: around a recipe, and including its values.

    Args:
        recipe: the recipe.
        loss: the loss of the training.
    """
    rate = recipe.learning_rate
    space = {
        "learning_rate": f"{rate / 30:.2g}..{10 * rate:.2g}",
        "weight_decay": "0,0.0001,0.001,0.01,0.1",
        "batch_size": "16,32,64,128,256",
        "warmup": f"0..{max(0.4, recipe.warmup):g}",
        "augmentation": "none,shift:1,shift:2,flip,shift:2+flip",
    }
    if loss == "cross-entropy":  # the only loss with label smoothing
        space["label_smoothing"] = f"0..{max(0.2, recipe.label_smoothing):g}"
    for name in ("weight_decay", "batch_size", "augmentation"):
        value = as_text(getattr(recipe, name))
        if value not in space[name].split(","):
            space[name] += f",{value}"
    return space


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; logarithmic or linear, integers or not."""

    low: float
    high: float
    log: bool
    integer: bool

    def rounded(self, value: float) -> float:
        """The value to try: an integer, or rounded to few digits, within the range."""
        if self.integer:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def find(self, value: Any) -> float | None:
        """The value if it is within the range, else None."""
        return value if isinstance(value, (int, float)) and self.low <= value <= self.high else None

    def setting(self, value: float) -> Any:
        return value


@dataclass(frozen=True)
class Choices:
    """A set of values: the text of each → its value in the recipe."""

    values: Mapping[str, Any]

    def rounded(self, value: str) -> str:
        return value

    def find(self, value: Any) -> str | None:
        """The text of a value if it is among the choices, else None."""
        return next((text for text, known in self.values.items() if known == value), None)

    def setting(self, text: str) -> Any:
        return self.values[text]


Dimension = Range | Choices
Space = dict[str, Dimension]


def parse(arguments: Iterable[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Splits `NAME=LOW..HIGH`, `NAME=A,B,C`, or `NAME` alone for its default range; without arguments, all defaults.

    Raises:
        UsageError: an argument is invalid, or is given twice.
    """
    texts: dict[str, str] = {}
    for argument in arguments:
        name, separator, text = argument.partition("=")
        name = name.strip().replace("-", "_")
        if name in texts:
            raise UsageError(f"The search of {name} was given twice. Give it once.")
        if not separator:
            if name not in defaults:
                raise UnknownNameError(
                    "default search", name, defaults, f"For other settings give a range: {name}=LOW..HIGH."
                )
            text = defaults[name]
        texts[name] = text.strip()
    return texts or dict(defaults)


def space(texts: Mapping[str, str], recipe: Recipe) -> Space:
    """The search space that the texts describe. The recipe accepts all of its values.

    Raises:
        UsageError: a setting is unknown or not searched, a range is empty, or a value is invalid.
    """
    return {name: _dimension(name, text, recipe) for name, text in texts.items()}


def _dimension(name: str, text: str, recipe: Recipe) -> Dimension:
    if name not in Recipe.model_fields:
        raise UnknownNameError("training setting", name, Recipe.model_fields, synonyms=SETTING_SYNONYMS)
    if name in NOT_SEARCHED:
        raise UsageError(f"{name} is not searched: {NOT_SEARCHED[name]}. Leave it out.")
    if ".." in text:
        return _range(name, text, recipe)
    values: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        values[word] = getattr(recipe.but(**{name: _value(name, word)}), name)
    if len(values) < 2:
        raise UsageError(
            f"The search of {name} was given as '{text}', but needs at least two values: {name}=LOW..HIGH, or A,B."
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
    integer = "int" in kind and "float" not in kind
    for end in (low, high):
        recipe.but(**{name: int(end) if integer and end.is_integer() else end})
    return Range(low, high, log=low > 0 and high / low >= LOGARITHMIC, integer=integer)


def _value(name: str, word: str) -> Any:
    """The value of a choice in the recipe."""
    if name == "augmentation":
        return () if word == "none" else tuple(word.split("+"))
    if word == "none":
        return None
    try:
        return json.loads(word)
    except ValueError:
        return word


def as_text(value: Any) -> str:
    """Formats a value of a recipe for a search argument or a table."""
    if value is None or value in ((), []):
        return "none"
    if isinstance(value, tuple | list):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
