"""Loading, decoding, preprocessing, splitting and downloading of data.

Names load on first use: importing `pellucid.data` imports neither torch, NumPy nor Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.data.arrays import from_arrays as from_arrays
    from pellucid.data.catalogue import describe as describe
    from pellucid.data.checking import check as check
    from pellucid.data.loading import load as load
    from pellucid.data.writing import write_parquet as write_parquet

_PUBLIC = {
    "check": "pellucid.data.checking",
    "describe": "pellucid.data.catalogue",
    "from_arrays": "pellucid.data.arrays",
    "load": "pellucid.data.loading",
    "write_parquet": "pellucid.data.writing",
}

__all__ = ["check", "describe", "from_arrays", "load", "write_parquet"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pellucid.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
