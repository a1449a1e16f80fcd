"""Where data lies on disk: the data root, that only downloads write to, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_root", "data_root"]


def data_root() -> Path:
    """The folder that named sets are looked for in, and downloaded to: `$PELLUCID_DATA`, or the platform's own."""
    setting = os.environ.get("PELLUCID_DATA")
    if setting:
        return Path(setting).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("pellucid", appauthor=False))


def cache_root() -> Path:
    """The folder for what can be made again (decoded pictures, features): `$PELLUCID_CACHE`, or the platform's own."""
    setting = os.environ.get("PELLUCID_CACHE")
    if setting:
        return Path(setting).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pellucid", appauthor=False))
