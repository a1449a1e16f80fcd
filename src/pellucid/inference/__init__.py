"""model + data = predictions. Importing this package does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.inference.building import build as build
    from pellucid.inference.runner import predict as predict

_PUBLIC = {"build": "pellucid.inference.building", "predict": "pellucid.inference.runner"}

__all__ = ["build", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
