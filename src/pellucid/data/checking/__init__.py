"""`check`: what is to be known of labelled pictures before anything is learned from them.

Every picture is decoded once (`looking`); copies are found among the thumbnails (`likeness`, `kinship`); then each
check of the registry says what it finds, as remarks, tables and figures. `before` is the form that runs before each
training.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.data.checking.checking import check as check

_PUBLIC = {"check": "pellucid.data.checking.checking"}

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pellucid.data.checking' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
