"""Paths as people write them: with `~` for their own folder."""

from __future__ import annotations

from pathlib import Path

from pellucid.errors import UsageError


def expanded(path: str | Path) -> Path:
    """The path, from the person's folder where it begins with `~`; a file that is called `~draft.png` stays as it is.

    Raises:
        UsageError: it begins with `~NAME/`, and nobody here is called so.
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError as error:
        if len(path.parts) == 1:
            return path
        raise UsageError(
            f"{path} begins with the folder of a user '{path.parts[0][1:]}', and this machine has none. For a file "
            f"that is called so, write ./{path.as_posix()}."
        ) from error
