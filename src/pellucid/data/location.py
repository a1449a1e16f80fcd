"""Folders on disk: the data root, which only downloads write to, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_root", "data_root"]


def data_root() -> Path:
    """The folder of the named sets and their downloads: `$PELLUCID_DATA`, or the platform's user data folder."""
    setting = os.environ.get("PELLUCID_DATA")
    if setting:
        return Path(setting).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("pellucid", appauthor=False))


def cache_root() -> Path:
    """The cache folder (decoded pictures, features): `$PELLUCID_CACHE`, or the platform's user cache folder."""
    setting = os.environ.get("PELLUCID_CACHE")
    if setting:
        return Path(setting).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pellucid", appauthor=False))
