"""data + network = model. Importing this package imports no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.training.recipes import RECIPES as RECIPES
    from pellucid.training.recipes import Recipe as Recipe
    from pellucid.training.training import train as train

_PUBLIC = {
    "RECIPES": "pellucid.training.recipes",
    "Recipe": "pellucid.training.recipes",
    "train": "pellucid.training.training",
}

__all__ = ["RECIPES", "Recipe", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
