"""What makes networks and trainings quietly worse: found, with the reason and the mend.

    pellucid.lint.lint("deep-convnet")       a network: run on random pictures, every call noted
    pellucid.lint.lint("mynet.py:Net")       one of the user's own
    pellucid.lint.lint("train.py")           a training script or notebook: read, never run

Importing this package imports no torch.
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
