"""Finds the pictures that the command line names: files, folders, globs and standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.cli import arguments
from pellucid.errors import DataError, MissingDataError
from pellucid.records.names import counted

_SIGNATURES = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"RIFF"),
    *(b"II*\0", b"MM\0*", b"\0\0\0"),
)
"""First bytes of picture files. AVIF and HEIC begin with the length of their first box, in four bytes."""

_EXPECTED = "Give files, folders, or a pattern such as 'scans/*.png'."


@dataclass
class Gathered:
    """The pictures of a command line.

    Attributes:
        pictures: path to open → name to print, in order, each once.
        problems: path that is not a picture that can be opened → a sentence that says why.
        notes: sentences about files that were left out of folders.
    """

    pictures: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Adds a file, the pictures in a folder, or the matches of a pattern."""
        here = arguments.expand(Path(path))
        path = path if here == Path(path) else str(here)
        if here.is_dir():
            self._add_folder(path)
        elif os.path.lexists(here):
            self._add_file(path)
        elif not glob.has_magic(path):
            self.problems[path] = f"There is no file or folder {path}. {_EXPECTED}"
        elif matched := sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 (an absolute pattern, which Path.glob refuses)
            for match in matched:
                (self._add_folder if Path(match).is_dir() else self._add_file)(match)
        else:
            self.problems[path] = f"Nothing matches {path}. {_EXPECTED}"

    def _add_file(self, path: str) -> None:
        here = Path(path)
        if here.is_file():
            self.pictures[path] = path
        elif here.exists():  # opening a pipe could wait for ever
            self.problems[path] = (
                f"{path} is a pipe or a device, not a file. To read a picture from another program, use -, standard "
                f"input."
            )
        else:
            self.problems[path] = f"{path} is a broken link. Remove or repair it."

    def _add_folder(self, folder: str) -> None:
        """Adds all pictures below a folder, except hidden files and folders behind links."""
        from pellucid.data.decoding import SUFFIXES

        hidden, linked, inside = 0, [], []
        for directory, folders, files in os.walk(folder, onerror=self._note_unread):
            named = [name for name in files if Path(name).suffix.lower() in SUFFIXES]
            hidden += sum(name.startswith(".") for name in named)
            inside += [Path(directory, name) for name in named if not name.startswith(".")]
            linked += [str(Path(directory, name)) for name in folders if Path(directory, name).is_symlink()]
            hidden += sum(name.startswith(".") for name in folders)
            folders[:] = [name for name in folders if not name.startswith(".")]
        for file in sorted(inside):
            self._add_file(str(file))
        if not inside and folder not in self.problems:
            self.problems[folder] = (
                f"The folder {folder} has no pictures: no file within ends in {', '.join(SUFFIXES)}. "
                f"Give another folder."
            )
        if hidden:
            self.notes.append(
                f"{folder}: {_count(hidden, 'hidden file or folder', 'hidden files and folders')} left out."
            )
        if linked:
            names = ", ".join(sorted(linked)[:5]) + (f" and {len(linked) - 5} more" if len(linked) > 5 else "")
            self.notes.append(f"{folder}: links to folders are not followed: {names}.")

    def _note_unread(self, error: OSError) -> None:
        self.problems[str(error.filename)] = f"{error.filename} cannot be read: {error.strerror}."


def gather(paths: Sequence[str], *, spool: Path) -> Gathered:
    """Gathers pictures. Paths that cannot be used become `problems`, and the others are gathered.

    Args:
        paths: files, folders (searched recursively), globs, and `-` for standard input: the bytes of one picture, or
            a list of paths, one a line.
        spool: folder for a picture from standard input.

    Raises:
        MissingDataError: the only path has no picture, or standard input is empty.
        DataError: standard input is neither a picture nor a list.
    """
    gathered = Gathered()
    for path in paths:
        if path == "-":
            _add_standard_input(gathered, spool)
        else:
            gathered.add(path)
    if not gathered.pictures and len(gathered.problems) == 1:
        raise MissingDataError(next(iter(gathered.problems.values())))
    return gathered


def _add_standard_input(gathered: Gathered, spool: Path) -> None:
    content = sys.stdin.buffer.read()
    lines = _as_lines(content)
    if lines is None:
        file = spool / "standard-input"
        file.write_bytes(content)
        gathered.pictures[str(file)] = "-"
        return
    if not lines:
        raise MissingDataError("Standard input is empty. Give a picture's bytes, or a list of paths, one a line.")
    for line in lines:
        gathered.add(line)


def _as_lines(content: bytes) -> list[str] | None:
    """The paths in standard input, one a line; None if it is a picture.

    Lists are tried first, because a path may begin like a picture (`BMW.png`). No picture is valid text without a zero
    byte.

    Raises:
        DataError: the content is neither.
    """
    if b"\0" not in content:
        try:
            return _lines(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            # On Linux, names may be invalid text. In a list with such a name, some path exists.
            lines = _lines(os.fsdecode(content))
            if not content.startswith(_SIGNATURES) and any(os.path.lexists(line) for line in lines):
                return lines
    if content.startswith(_SIGNATURES):
        return None
    raise DataError(
        "Standard input is neither a picture nor a list of paths, one a line. Try `ls scans/*.png | pellucid "
        "predict MODEL -`."
    )


def _lines(text: str) -> list[str]:
    """Splits at line feeds (also of Windows). Other line separators may be part of a name."""
    return [line for line in (line.removesuffix("\r") for line in text.split("\n")) if line.strip()]


def _count(n: int, one: str, many: str) -> str:
    return f"{counted(n, one, many)} {'was' if n == 1 else 'were'}"
