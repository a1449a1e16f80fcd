"""The cache: results that can be computed again, one folder per kind, with one size limit for all of them.

To use it, get the folder of a kind, write files there with `pellucid.records.atomic`, and call `used` after reading
one. Call `make_room` before writing something large: it deletes the least recently used files. A file may disappear at
any time; a file that is memory-mapped stays readable until it is unmapped.

Arrays have checksums, which their reader verifies: disks and programs change bytes, and a model that was trained on
them would look like any other. What is damaged is computed again, and `warn_of_damage` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.data.location import cache_root
from pellucid.errors import CacheWarning, DataError, StorageError, UnknownNameError
from pellucid.records import atomic
from pellucid.records.quantities import format_size, parse_size

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "KINDS",
    "Entry",
    "beneath",
    "cache_root",
    "clear",
    "discard",
    "entries",
    "folder",
    "limit",
    "locked",
    "make_room",
    "read_arrays",
    "used",
    "warn_of_damage",
    "write_arrays",
]


@dataclass(frozen=True)
class Kind:
    """One folder of the cache.

    Attributes:
        summary: its content, in a few words.
        again: whether the content can be computed again. If not, it does not count towards the limit, and is cleared
            only when its name is given.
        damaged: the sentence for the user if a file is damaged.
    """

    summary: str
    again: bool = True
    damaged: str = ""


KINDS: dict[str, Kind] = {
    "decoded": Kind(
        "pictures, decoded and resized for a network",
        damaged="Decoded pictures in the cache were damaged, and are decoded again.",
    ),
    "features": Kind(
        "features of pictures, from pretrained networks",
        damaged="Features in the cache were damaged, and are computed again.",
    ),
    "copies": Kind(
        "groups of near-duplicate pictures",
        damaged="Groups of near-duplicates in the cache were damaged, and are computed again.",
    ),
    "statistics": Kind(
        "statistics of pictures, from checks",
        damaged="Statistics of pictures in the cache were damaged, and are computed again.",
    ),
    "audits": Kind(
        "results of audits",
        damaged="Results of audits in the cache were damaged, and are computed again.",
    ),
    "hashes": Kind(
        "file hashes, and files that are not images",
        damaged="File hashes in the cache were damaged; the files are read again.",
    ),
    "splits": Kind(
        "pictures of past test and validation splits",
        again=False,
        damaged="A past split in the cache was damaged and is ignored, so pictures may move to another split.",
    ),
    "networks": Kind("hashes of your own network files that you have trained", again=False),
    "ledger": Kind("how often each test split was scored", again=False),
}
"""The folders of the cache."""

_USUAL_LIMIT = 20 * 1000**3
_MAGIC = b"pellucid-arrays1"


@dataclass(frozen=True)
class Entry:
    """One file of the cache: its kind, its size in bytes, and when it was last used (seconds since 1970)."""

    kind: str
    path: Path
    size: int
    used: float


def folder(kind: str) -> Path:
    """The folder of a kind; created if necessary.

    Raises:
        UnknownNameError: there is no such kind.
        StorageError: the folder cannot be created.
    """
    return atomic.make_folder(cache_root() / _known(kind))


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise UnknownNameError("part of the cache", kind, KINDS)
    return kind


def entries(kind: str | None = None) -> list[Entry]:
    """The readable files of one kind, or of all kinds by default; least recently used first."""
    files = []
    for name in KINDS if kind is None else [_known(kind)]:
        for path in beneath(cache_root() / name):
            # A name that begins with a dot is a lock or an unfinished file.
            if path.name.startswith("."):
                continue
            with contextlib.suppress(OSError):  # another process may just have removed it
                status = path.stat()
                if path.is_file():
                    files.append(Entry(name, path, status.st_size, status.st_mtime))
    return sorted(files, key=lambda entry: (entry.used, entry.path))


def beneath(folder_path: Path) -> list[Path]:
    """Everything below a folder; empty if this user may not read it."""
    try:
        return list(folder_path.rglob("*"))
    except PermissionError:
        return []


def used(path: Path) -> None:
    """Mark a file as used now, so that `make_room` deletes others first."""
    with contextlib.suppress(OSError):
        os.utime(path)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file that `write_arrays` wrote; None if it is missing, or damaged, which removes it."""
    import numpy as np

    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, body = content[: len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
    if head != _MAGIC + hashlib.sha256(body).digest():
        discard(path)
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    used(path)
    return arrays


def write_arrays(path: Path, **arrays: np.ndarray) -> bool:
    """Write arrays to a file of the cache atomically, with their SHA-256; False if the cache cannot be written to."""
    import numpy as np

    with contextlib.suppress(StorageError):
        folder(path.relative_to(cache_root()).parts[0])
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, **arrays)
        content = body.getvalue()
        atomic.write_bytes(path, _MAGIC + hashlib.sha256(content).digest() + content)
        return True
    return False


def discard(path: Path) -> None:
    """Remove a damaged file of the cache, and warn the user."""
    _removed(path)
    warn_of_damage(path)


def warn_of_damage(path: Path) -> None:
    """Warn the user that a file of the cache is damaged, with the same text for all files of a kind."""
    name = path.relative_to(cache_root()).parts[0]
    warnings.warn(
        f"{KINDS[name].damaged} If this happens often, check the disk of {cache_root() / name}.",
        CacheWarning,
        stacklevel=1,  # always this line, so that Python shows the text once
    )


def limit() -> int:
    """Limit of the cache in bytes: `$PELLUCID_CACHE_LIMIT`, or the smaller of 20 GB and a tenth of the disk.

    Raises:
        UsageError: the variable is not a size.
    """
    setting = os.environ.get("PELLUCID_CACHE_LIMIT")
    if setting:
        return parse_size(setting, "PELLUCID_CACHE_LIMIT")
    return min(_USUAL_LIMIT, shutil.disk_usage(_there(cache_root())).total // 10)


def _there(path: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def make_room(needed: int, what: str, keep: Collection[Path] = ()) -> None:
    """Delete the least recently used files until `needed` more bytes fit below the limit.

    Args:
        needed: number of bytes about to be written.
        what: what the bytes are, for the error message.
        keep: files that must stay.

    Raises:
        DataError: the bytes do not fit even into an empty cache.
        StorageError: the disk has too little space.
    """
    most = limit()
    files = entries()
    in_use = sum(entry.size for entry in files if entry.path in keep)
    if needed + in_use > most:
        raise DataError(
            f"{what} need {format_size(needed + in_use)}, but the cache is limited to {format_size(most)}. Raise "
            f"the limit, for example with PELLUCID_CACHE_LIMIT={-(-(needed + in_use) // 10**9) + 1}GB, or choose a "
            f"smaller size."
        )
    total = sum(entry.size for entry in files if KINDS[entry.kind].again)
    for entry in files:
        if total + needed <= most:
            break
        if KINDS[entry.kind].again and entry.path not in keep and _removed(entry.path):
            total -= entry.size
    free = shutil.disk_usage(_there(cache_root())).free
    if needed > free:
        raise StorageError(
            f"{what} need {format_size(needed)}, but the disk of {cache_root()} has {format_size(free)} left. Free "
            f"some space, or set PELLUCID_CACHE to a folder on a larger disk."
        )


def clear(kind: str | None = None) -> tuple[int, int]:
    """Delete all files of a kind; by default, everything that can be computed again.

    Returns:
        (number of deleted files, their size in bytes).
    """
    kinds = [name for name in KINDS if KINDS[name].again] if kind is None else [_known(kind)]
    gone = [entry for name in kinds for entry in entries(name) if _removed(entry.path)]
    for name in kinds:
        _sweep(cache_root() / name)
    return len(gone), sum(entry.size for entry in gone)


def _sweep(top: Path) -> None:
    """Delete the unfinished files that killed programs left, in every folder that no process is writing to."""
    for part in list(top.rglob(".*.part")):
        with contextlib.suppress(TimeoutError), locked(part.parent, wait=False):
            _removed(part)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a cache folder, so that one process at a time writes to it. A killed process releases its lock.

    Raises:
        TimeoutError: another process holds the lock, and `wait` is False.
    """
    import filelock

    with filelock.FileLock(path / ".lock", timeout=-1 if wait else 0):
        yield


def _removed(path: Path) -> bool:
    """Delete a file; False if that failed, as for a file in use on Windows."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
