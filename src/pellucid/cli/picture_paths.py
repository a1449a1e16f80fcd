"""Which pictures a person means by the paths on the command line: files, folders, globs, and standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pellucid.errors import DataError, MissingDataError

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"RIFF")
"""How files of pictures begin."""


def gather(paths: Sequence[str], *, spool: Path) -> dict[str, str]:
    """The pictures that are meant, in order, each once: from the path that can be opened to what it is called.

    Args:
        paths: files; folders, of which all pictures within are meant; globs, which the shell may not have expanded;
            and `-`, standard input: the bytes of one picture, or a list of paths, one a line.
        spool: a folder where a picture from standard input may be put.

    Raises:
        MissingDataError: a path is not there, or a glob or folder has no picture.
    """
    found: dict[str, str] = {}
    for path in paths:
        if path == "-":
            found |= _standard_input(spool)
        else:
            found |= {one: one for one in _expand(path)}
    return found


def _expand(path: str) -> Iterable[str]:
    here = Path(path)
    if here.is_dir():
        from pellucid.data.decoding import SUFFIXES

        inside = [str(file) for file in sorted(here.rglob("*")) if _is_picture(file, below=here, suffixes=SUFFIXES)]
        if not inside:
            raise MissingDataError(
                f"The folder {path} has no pictures: no file within ends in {', '.join(SUFFIXES)}. Give another folder."
            )
        return inside
    if here.exists():
        return [path]
    if glob.has_magic(path):
        matched = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (an absolute pattern, which Path.glob refuses)
        if not matched:
            raise MissingDataError(f"Nothing matches {path}. Give files, folders, or a pattern such as 'scans/*.png'.")
        return [one for match in matched for one in (_expand(match) if Path(match).is_dir() else [match])]
    raise MissingDataError(
        f"There is no file or folder {path}. Give files, folders, or a pattern such as 'scans/*.png'."
    )


def _is_picture(file: Path, *, below: Path, suffixes: Iterable[str]) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(below).parts)
    return not hidden and file.suffix.lower() in suffixes and file.is_file()


def _standard_input(spool: Path) -> dict[str, str]:
    content = sys.stdin.buffer.read()
    if content.startswith(_SIGNATURES):
        file = spool / "standard-input"
        file.write_bytes(content)
        return {str(file): "-"}
    try:
        lines = [line for line in content.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise DataError(
            "Standard input is neither a picture nor a list of paths, one a line. Try `ls scans/*.png | pellucid "
            "predict MODEL -`."
        ) from None
    if not lines:
        raise MissingDataError("Standard input is empty. Give a picture's bytes, or a list of paths, one a line.")
    return {one: one for line in lines for one in _expand(line)}
