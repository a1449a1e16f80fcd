"""Paths as people type them: with `~` for the home folder, in UTF-8, and quoted for a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from pellucid.errors import UsageError


def expand_user(path: str | Path) -> Path:
    """Replaces `~` at the beginning of a path by the home folder; a file named `~draft.png` stays as it is.

    Raises:
        UsageError: it begins with `~NAME/`, and this machine has no such user.
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError as error:
        if len(path.parts) == 1:
            return path
        raise UsageError(
            f"{path} begins with the folder of the user '{path.parts[0][1:]}', and this machine has no such user. For "
            f"a file of that name, write ./{path.as_posix()}."
        ) from error


def require_utf8(*paths: str) -> None:
    """Refuses paths that are not valid UTF-8, since all files of a run are written in UTF-8.

    Raises:
        UsageError: a path has bytes that are not text, which Linux allows.
    """
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"The name {os.fsencode(path).decode('utf-8', 'backslashreplace')} is not UTF-8, and the "
                f"files of a training are written in UTF-8. Rename it, and give the new name."
            ) from error


def command_line(*words: str | Path, windows: bool = os.name == "nt") -> str:
    """Joins the words of a command, quoted for cmd.exe on Windows and for a POSIX shell elsewhere.

    >>> command_line("pellucid", "train", "my photos", windows=False)
    "pellucid train 'my photos'"
    >>> command_line("pellucid", "train", "my photos", windows=True)
    'pellucid train "my photos"'
    """
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if windows else shlex.join(texts)
