"""Reading files that may be missing, forbidden, damaged or lying about their size."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pellucid.errors import DataError, FormatError, MissingDataError

__all__ = ["is_gzip", "read_errors", "unpacked"]


@contextlib.contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turns what goes wrong while `path` is read into a sentence.

    Raises:
        MissingDataError: it is not there.
        FormatError: it is packed with gzip, and damaged or cut off.
        DataError: it may not be read, or the disk fails.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingDataError(f"There is no file at {path}.") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read by this user. Change its permissions, or copy it.") from error
    except IsADirectoryError as error:
        raise FormatError(f"{path} is a folder, where a file is expected.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path} is damaged: its gzip packing does not unpack ({error}). Copy it again.") from error
    except EOFError as error:
        raise FormatError(f"{path} is cut off: its gzip packing ends too early. Copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}.") from error


def is_gzip(path: Path) -> bool:
    """Whether a file is packed with gzip, by its first two bytes, whatever its name says."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """Opens a plain or gzipped file for reading from its start.

    Yields:
        The stream of unpacked bytes, and how many there are; None where only reading them all would tell.
    """
    with read_errors(path):
        if is_gzip(path):
            with gzip.open(path, "rb") as stream:
                yield cast("BinaryIO", stream), None
        else:
            with path.open("rb") as stream:
                yield stream, path.stat().st_size
