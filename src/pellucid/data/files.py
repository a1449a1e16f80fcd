"""Reading of files that may be missing, unreadable or damaged, or declare a wrong size."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pellucid.errors import DataError, FormatError, MissingDataError

__all__ = ["is_gzip", "read_errors", "require_plausible", "unpacked"]

FREE_BYTES = 1 << 30
"""Unpacked bytes that are plausible for a compressed file of any size."""
MOST_RATIO = 200
"""Beyond that, a compressed file may unpack to this multiple of its size. MNIST unpacks to 5 times its size."""


@contextlib.contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Translate exceptions that occur while reading `path`.

    Raises:
        MissingDataError: the file does not exist.
        FormatError: it is a folder, or a gzip file that is damaged or cut off.
        DataError: this user may not read it, or the disk fails.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingDataError(f"There is no file at {path}.") from error
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: permission denied. Change its permissions, or copy it.") from error
    except IsADirectoryError as error:
        raise FormatError(f"{path} is a folder; a file was expected.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path} is damaged: gzip cannot unpack it ({error}). Copy it again.") from error
    except EOFError as error:
        raise FormatError(f"{path} is cut off: its gzip data ends too early. Copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}.") from error


def is_gzip(path: Path) -> bool:
    """Whether a file is gzipped, judged by its first two bytes and not by its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def require_plausible(path: Path, declared: int, what: str, *, at_most: int) -> None:
    """The rule for all headers: they declare no more than the file can hold.

    Args:
        path: the file.
        declared: the number that its header declares.
        what: what is counted: `rows`, `bytes`.
        at_most: the most that a file of this size can hold.

    Raises:
        FormatError: the number is negative or larger.
    """
    if not 0 <= declared <= at_most:
        raise FormatError(
            f"{path} declares {declared:,} {what}, but a file of its size holds at most {at_most:,}. Copy or download "
            f"it again."
        )


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a plain or gzipped file for reading.

    Yields:
        (stream of unpacked bytes, number of bytes). The number is None for a gzipped file.
    """
    with read_errors(path):
        if is_gzip(path):
            with gzip.open(path, "rb") as stream:
                yield cast("BinaryIO", stream), None
        else:
            with path.open("rb") as stream:
                yield stream, path.stat().st_size
