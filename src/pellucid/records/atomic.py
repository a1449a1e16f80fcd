"""Writing files so that at no moment a half-written one stands under its real name.

A file is written beside its place under a temporary name, flushed to the disk, and renamed. The previous file stays
until the new one is durable. A disk that is full or a folder that may not be written becomes one sentence.
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
    """Yields a temporary path beside `path`; when the block ends well, what was written there takes the name `path`.

    When the block fails, the temporary file is removed and `path` is as it was before.

    Raises:
        StorageError: the disk is full, the folder is missing, or may not be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with storage_errors(path):
        try:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            _replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    _sync_folder(path.parent)


_PATIENCE = 5.0
"""Seconds for which a file that another program has open is waited for."""


def _replace(temporary: Path, path: Path, *, windows: bool = os.name == "nt") -> None:
    """Gives the temporary file the name `path`, which Windows refuses as long as another program has that file open."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            temporary.replace(path)
            return
        except PermissionError as error:
            if not windows:
                raise
            if time.monotonic() >= until:
                raise StorageError(
                    f"{path} cannot be written: another program has it open, or it may not be written by this user. "
                    f"Close it there, or choose a folder of your own (--out)."
                ) from error
        time.sleep(0.05)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` to `path`, all of it or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Writes `content` to `path` as UTF-8 with Unix line ends, all of it or nothing."""
    write_bytes(path, content.encode("utf-8"))


def make_folder(path: str | Path, *, exist_ok: bool = True) -> Path:
    """Makes a folder and its parents.

    Raises:
        FileExistsError: it is there already and `exist_ok` is false.
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
                f"{path} is a file, where a folder is needed. Move it, or work in another folder."
            ) from error
    return path


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's complaints about writing `path` into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"The disk is full: {path} could not be written. Free some space, or choose another folder."
            ) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise StorageError(
                f"{path} may not be written by this user. Choose a folder of your own (--out)."
            ) from error
        if isinstance(error, IsADirectoryError):
            raise StorageError(f"{path} cannot be written: it is a folder. Give the name of a file.") from error
        if isinstance(error, (NotADirectoryError, FileNotFoundError)):
            raise StorageError(f"{path} cannot be written: {_why_not_there(path, error)}") from error
        if isinstance(error, FileExistsError):
            raise
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error


def _why_not_there(path: Path, error: OSError) -> str:
    """What is wrong with the folder that a file was to be made in; "no such file" is said of all of these."""
    refused = Path(error.filename) if isinstance(error.filename, str) else path
    folder = refused.parent
    while not folder.exists() and folder.parent.exists() and not folder.parent.is_dir():
        folder = folder.parent  # a file stands where one of the folders should
    if folder.is_dir():
        return (
            f"the folder {folder} is there, but the system makes nothing in it ({error.strerror}). Choose another "
            f"folder."
        )
    return f"{folder} is not a folder." if folder.exists() else f"there is no folder {folder}. Make it first."


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable, where the system can: Windows has no such call for folders, some network drives neither.

    The file stands whole under its name by now, so a refusal is no failure of the writing.
    """
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
