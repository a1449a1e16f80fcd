"""The cache: what can be made again, kept so that it need not be. One folder per kind, limited in size together.

Whoever keeps something asks for the folder of its kind, writes its files there through `pellucid.records.atomic`, and
calls `used` when it reads one. `make_room` is called before something large is written: what was not used for longest
goes first. Nothing may rely on a file to be still there; a file that is mapped stays readable until it is let go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.data.location import cache_root
from pellucid.errors import DataError, StorageError, UnknownNameError
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
    "entries",
    "folder",
    "limit",
    "locked",
    "make_room",
    "read_arrays",
    "used",
    "write_arrays",
]


@dataclass(frozen=True)
class Kind:
    """What lies in one folder of the cache.

    Attributes:
        summary: what it is, in a few words.
        again: whether it can be made again. What cannot is neither limited nor cleared, unless it is named.
    """

    summary: str
    again: bool = True


KINDS: dict[str, Kind] = {
    "decoded": Kind("pictures, decoded and brought to a network's size"),
    "features": Kind("what a pretrained network says of pictures"),
    "families": Kind("which pictures are copies of each other"),
    "looks": Kind("what a check saw of pictures"),
    "hashes": Kind("which file has which content, and what of it is no picture"),
    "splits": Kind("which pictures were set apart, so that they stay so", again=False),
    "ledger": Kind("how often each test split was scored", again=False),
}
"""The folders of the cache."""

_USUAL_LIMIT = 20 * 1000**3


@dataclass(frozen=True)
class Entry:
    """One file of the cache: its kind, its size in bytes, and when it was last used (seconds since 1970)."""

    kind: str
    path: Path
    size: int
    used: float


def folder(kind: str) -> Path:
    """The folder of a kind, made where it is not there.

    Raises:
        UnknownNameError: there is no such kind.
        StorageError: it cannot be made.
    """
    return atomic.make_folder(cache_root() / _known(kind))


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise UnknownNameError("part of the cache", kind, KINDS)
    return kind


def entries(kind: str | None = None) -> list[Entry]:
    """The files of the cache (of one kind, where it is given) that may be looked at, those unused for longest first."""
    files = []
    for name in KINDS if kind is None else [_known(kind)]:
        for path in beneath(cache_root() / name):
            # What begins with a dot is a lock, or is just being written.
            if path.name.startswith("."):
                continue
            with contextlib.suppress(OSError):  # another process may have removed it just now
                status = path.stat()
                if path.is_file():
                    files.append(Entry(name, path, status.st_size, status.st_mtime))
    return sorted(files, key=lambda entry: (entry.used, entry.path))


def beneath(folder_path: Path) -> list[Path]:
    """All that lies in a folder; nothing where this user may not look into it."""
    try:
        return list(folder_path.rglob("*"))
    except PermissionError:
        return []


def used(path: Path) -> None:
    """Notes that a file is used now: it will not be among the first that go."""
    with contextlib.suppress(OSError):
        os.utime(path)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file that `write_arrays` wrote; one that is not there, or damaged, is as good as none."""
    import numpy as np

    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception:  # noqa: BLE001 (damage comes as many exceptions: of zip, of NumPy, of the system)
        return None
    used(path)
    return arrays


def write_arrays(path: Path, **arrays: np.ndarray) -> bool:
    """Keeps arrays in a file of the cache, whole or not at all; whether that could be done."""
    import numpy as np

    with contextlib.suppress(StorageError):
        folder(path.relative_to(cache_root()).parts[0])
        with atomic.replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        return True
    return False


def limit() -> int:
    """How many bytes the cache may take: `$PELLUCID_CACHE_LIMIT`, or 20 GB, or a tenth of the disk, what is less.

    Raises:
        UsageError: the variable is no size.
    """
    setting = os.environ.get("PELLUCID_CACHE_LIMIT")
    if setting:
        return parse_size(setting, "PELLUCID_CACHE_LIMIT")
    return min(_USUAL_LIMIT, shutil.disk_usage(_there(cache_root())).total // 10)


def _there(path: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def make_room(needed: int, what: str, keep: Collection[Path] = ()) -> None:
    """Removes what was unused for longest, until `needed` bytes more fit below the limit.

    Args:
        needed: how many bytes are about to be written.
        what: what these are, for the error.
        keep: files that must stay.

    Raises:
        DataError: they cannot fit, however much is removed.
        StorageError: the disk has not so much room.
    """
    most = limit()
    here = entries()
    in_use = sum(entry.size for entry in here if entry.path in keep)
    if needed + in_use > most:
        raise DataError(
            f"{what} need {format_size(needed + in_use)}, and the cache is limited to {format_size(most)}. Raise "
            f"the limit, for example with PELLUCID_CACHE_LIMIT={-(-(needed + in_use) // 10**9) + 1}GB, or choose a "
            f"smaller size."
        )
    total = sum(entry.size for entry in here if KINDS[entry.kind].again)
    for entry in here:
        if total + needed <= most:
            break
        if KINDS[entry.kind].again and entry.path not in keep and _removed(entry.path):
            total -= entry.size
    free = shutil.disk_usage(_there(cache_root())).free
    if needed > free:
        raise StorageError(
            f"{what} need {format_size(needed)}, and the disk of {cache_root()} has {format_size(free)} left. Free "
            f"some space, or set PELLUCID_CACHE to a folder on a larger disk."
        )


def clear(kind: str | None = None) -> tuple[int, int]:
    """Removes all of a kind; where none is given, everything that can be made again.

    Returns:
        How many files were removed, and how many bytes these had.
    """
    kinds = [name for name in KINDS if KINDS[name].again] if kind is None else [_known(kind)]
    gone = [entry for name in kinds for entry in entries(name) if _removed(entry.path)]
    for name in kinds:
        _sweep(cache_root() / name)
    return len(gone), sum(entry.size for entry in gone)


def _sweep(top: Path) -> None:
    """Removes what killed programs left half-written, in each folder that nobody is writing to."""
    for part in list(top.rglob(".*.part")):
        with contextlib.suppress(TimeoutError), locked(part.parent, wait=False):
            _removed(part)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock of a folder of the cache, that one process writes to at a time; a kill lets it go.

    Raises:
        TimeoutError: another process holds it, and it was not to be waited for.
    """
    import filelock

    with filelock.FileLock(path / ".lock", timeout=-1 if wait else 0):
        yield


def _removed(path: Path) -> bool:
    """Whether a file could be removed: on Windows one that is in use stays."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
