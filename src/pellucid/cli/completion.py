"""Completion with the Tab key. It reads only the tables of names, so it is fast."""

from __future__ import annotations

from pathlib import Path


def networks(incomplete: str) -> list[str]:
    """Names of networks that begin with `incomplete`."""
    from pellucid.networks.catalogue import NETWORKS

    return [name for name in NETWORKS if name.startswith(incomplete)]


def datasets(incomplete: str) -> list[str]:
    """Names of data sets, and folders, that begin with `incomplete`."""
    from pellucid.data.catalogue import DATASETS

    folder = Path(incomplete) if incomplete.endswith(("/", "\\")) else Path(incomplete).parent
    start = "" if incomplete.endswith(("/", "\\")) else Path(incomplete).name
    folders = [f"{path.as_posix()}/" for path in folder.glob(f"{start}*") if path.is_dir()] if folder.is_dir() else []
    return [name for name in DATASETS if name.startswith(incomplete)] + sorted(folders)


def recipes(incomplete: str) -> list[str]:
    """Names of recipes that begin with `incomplete`."""
    from pellucid.training.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]
