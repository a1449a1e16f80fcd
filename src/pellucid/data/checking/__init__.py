"""Checks of labelled pictures before a training.

`scan` decodes every picture once and keeps its statistics; `near_duplicates` finds copies among the thumbnails; each
check of the registry then returns remarks, tables and figures. `check_before_training` caches the result.
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
