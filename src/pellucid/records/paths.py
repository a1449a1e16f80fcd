"""Paths as people write them: with `~` for their own folder, in UTF-8, and in quotes where a shell needs them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from pellucid.errors import UsageError


def expand_user(path: str | Path) -> Path:
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


def require_utf8(*paths: str) -> None:
    """Refuses paths that could not be written down beside what is learned, where all text is UTF-8.

    Raises:
        UsageError: one has bytes that are no text, as the name of a file may have on Linux.
    """
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"The name {os.fsencode(path).decode('utf-8', 'backslashreplace')} is not UTF-8, in which all that is "
                f"kept of a training is written. Rename it, and give the new name."
            ) from error


def command_line(*words: str | Path, windows: bool = os.name == "nt") -> str:
    """Words of a command as they are to be typed: in the quotes of cmd.exe on Windows, in those of a shell elsewhere.

    >>> command_line("pellucid", "train", "my photos", windows=False)
    "pellucid train 'my photos'"
    >>> command_line("pellucid", "train", "my photos", windows=True)
    'pellucid train "my photos"'
    """
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if windows else shlex.join(texts)
