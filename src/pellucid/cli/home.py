"""`~` as a person's own folder, where the shell has left it as it is: bash does in `--out=~/run`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any


def expand(path: Path) -> Path:
    """The path, from the person's folder where it begins with `~`; what is nobody's (`~draft.png`) stays as it is."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def expanding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, given every path from the person's own folder where it begins with `~`."""

    @functools.wraps(command)
    def call(**given: Any) -> Any:
        return command(**{name: expand(value) if isinstance(value, Path) else value for name, value in given.items()})

    return call
