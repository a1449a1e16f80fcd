"""What the shell offers when Tab is pressed. Reads the tables alone, so it answers at once."""

from __future__ import annotations

from pathlib import Path


def networks(incomplete: str) -> list[str]:
    """The networks of the catalogue whose names start like that."""
    from pellucid.networks.catalogue import NETWORKS

    return [name for name in NETWORKS if name.startswith(incomplete)]


def datasets(incomplete: str) -> list[str]:
    """The data sets whose names start like that, and the folders."""
    from pellucid.data.catalogue import DATASETS

    folder = Path(incomplete) if incomplete.endswith(("/", "\\")) else Path(incomplete).parent
    start = "" if incomplete.endswith(("/", "\\")) else Path(incomplete).name
    folders = [f"{path.as_posix()}/" for path in folder.glob(f"{start}*") if path.is_dir()] if folder.is_dir() else []
    return [name for name in DATASETS if name.startswith(incomplete)] + sorted(folders)


def recipes(incomplete: str) -> list[str]:
    """The recipes whose names start like that."""
    from pellucid.training.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]
