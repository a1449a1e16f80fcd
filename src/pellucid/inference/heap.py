"""How the C library keeps memory that is given back."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 64 * 2**20
_MAPPED_FROM = 32 * 2**20
"""The most that the C library takes."""


@cache
def keep_freed_memory() -> bool:
    """Has the C library keep up to 64 MiB that were given back, for the next to ask; whether it was told so.

    Each step of a training asks for the same arrays of some megabytes and gives them back. By default they go back to
    the system between two steps, which zeroes them page by page when they are asked for again: a fifth of the time of
    LeNet-5. Only glibc on Linux is told (`mallopt`), and not where the environment says how it is to be.
    """
    said = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or said:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MAPPED_FROM) and mallopt(_TRIM_THRESHOLD, _KEPT))
