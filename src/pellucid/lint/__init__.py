"""Finds mistakes that silently make a network or a training worse, with the reason and the fix.

    pellucid.lint.lint("deep-convnet")       a network: runs on random pictures, and every call is recorded
    pellucid.lint.lint("mynet.py:Net")       your own network
    pellucid.lint.lint("train.py")           a training script or notebook: read, never run

Importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.lint.linting import lint as lint
    from pellucid.lint.registry import RULES as RULES

_PUBLIC = {"lint": "pellucid.lint.linting", "RULES": "pellucid.lint.registry"}

__all__ = ["RULES", "lint"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
