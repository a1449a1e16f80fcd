"""Atomic writing: a half-written file never has the real name.

A file is written under a temporary name in the same folder, flushed to the disk, and renamed. The previous file stays
until the new one is durable. A full disk or a read-only folder raises StorageError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from pellucid.errors import StorageError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path; if the block succeeds, the file written there replaces `path`.

    If the block fails, the temporary file is removed and `path` is unchanged.

    Raises:
        StorageError: the disk is full, or the folder is missing or not writable.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with storage_errors(path):
        try:
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            _replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    _sync_folder(path.parent)


_PATIENCE = 5.0
"""Seconds to wait for another program to close the file."""


def _replace(temporary: Path, path: Path, *, windows: bool = os.name == "nt") -> None:
    """Renames the temporary file to `path`. Windows refuses this while another program has that file open."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            temporary.replace(path)
            return
        except PermissionError as error:
            if not windows:
                raise
            if time.monotonic() >= deadline:
                raise StorageError(
                    f"{path} cannot be written: another program has it open, or you have no permission. Close it "
                    f"there, or choose a folder of your own (--out)."
                ) from error
        time.sleep(0.05)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes bytes to a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Writes text to a file as UTF-8 with Unix line ends, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def make_folder(path: str | Path, *, exist_ok: bool = True) -> Path:
    """Makes a folder and its parents, and returns its path.

    Raises:
        FileExistsError: it exists and `exist_ok` is false.
        StorageError: it cannot be made.
    """
    path = Path(path)
    with storage_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=exist_ok)
        except FileExistsError as error:
            if not exist_ok:
                raise
            raise StorageError(
                f"{path} is a file, but a folder is needed. Move it, or work in another folder."
            ) from error
    return path


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an OSError from writing `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk is full: {path} could not be written. Free some space, or choose another folder."
            ) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise StorageError(f"{path} is not writable. Choose a folder of your own (--out).") from error
        if isinstance(error, IsADirectoryError):
            raise StorageError(f"{path} cannot be written: it is a folder. Give a file name.") from error
        if isinstance(error, (NotADirectoryError, FileNotFoundError)):
            raise StorageError(f"{path} cannot be written: {_folder_problem(path, error)}") from error
        if isinstance(error, FileExistsError):
            raise
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error


def _folder_problem(path: Path, error: OSError) -> str:
    """A sentence on the folder of a file that could not be made; the system reports "no such file" for all of these."""
    target = Path(error.filename) if isinstance(error.filename, str) else path
    folder = target.parent
    while not folder.exists() and folder.parent.exists() and not folder.parent.is_dir():
        folder = folder.parent  # one of the folders is a file
    if folder.is_dir():
        return (
            f"the folder {folder} exists, but the system cannot make a file in it ({error.strerror}). Choose another "
            f"folder."
        )
    return f"{folder} is not a folder." if folder.exists() else f"there is no folder {folder}. Make it first."


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable. Windows and some network drives cannot flush a folder.

    The file is whole under its name by now, so an error here does not matter.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
