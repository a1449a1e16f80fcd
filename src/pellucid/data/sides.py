"""On which side of a carved split each picture was, by content: there it stays when others are added, moved or removed.

A hash alone cannot hold pictures in place and share out the classes evenly too: where a class grows, new pictures would
push out some that were set apart. So each carving is recorded in the cache, and the next one of the same name, seed and
fraction holds to those records of which most is still there.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.errors import StorageError

__all__ = ["CARVED", "REST", "UNKNOWN", "Stay", "alone", "recalled", "remember"]

CARVED, REST, UNKNOWN = 1, 0, -1
"""The sides: set apart, not set apart, not known."""

_MOST_LOST = 0.5
"""Which part of a record's pictures may be gone, and it is still a record of the same set of pictures."""


@dataclass(frozen=True)
class Stay:
    """How the pictures of a carving stand to an earlier one of others.

    Attributes:
        kept: how many are on the side that they had.
        entered: how many are set apart, and were not.
        recorded: whether the carving is recorded.
    """

    kept: int = 0
    entered: int = 0
    recorded: bool = True


@dataclass(frozen=True)
class _Record:
    """A carving of N pictures; it stands for M carvings: its own, and those of parts of it, whose records it replaced.

    Attributes:
        pictures: sorted, uint64 (N,).
        carved: bool (N,).
        names: of the carvings, S16 (M,).
        kept, entered: as in `Stay`, of each of them, int64 (M,).
        made: when, in nanoseconds since 1970.
    """

    pictures: np.ndarray
    carved: np.ndarray
    names: np.ndarray
    kept: np.ndarray
    entered: np.ndarray
    made: np.ndarray

    def sides(self, pictures: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self.pictures, pictures), len(self.pictures) - 1)
        return np.where(self.pictures[at] == pictures, self.carved[at], UNKNOWN).astype(np.int8)

    def replaces(self, other: _Record) -> bool:
        """Whether it has all pictures of another one, and sets none apart that was not: a model may know that one."""
        sides = self.sides(other.pictures)
        return not (sides == UNKNOWN).any() and not (other.carved < sides).any()


@contextlib.contextmanager
def alone(contents: np.ndarray) -> Iterator[None]:
    """Lets no other process record between `recalled` and `remember`, where the cache can be written to."""
    with contextlib.ExitStack() as locks:
        if contents.any():
            with contextlib.suppress(StorageError, OSError, NotImplementedError):
                locks.enter_context(cache.locked(cache.folder("splits")))
        yield


def recalled(contents: np.ndarray, settings: str, name: str) -> tuple[np.ndarray, Stay | None]:
    """The side of each picture in the record of this carving, or else in that with most of these pictures, int8 (N,).

    Args:
        contents: SHA-256 of each picture, S32 (N,); empty where there is none.
        settings: all that carvings have in common whose pictures are held to each other.
        name: of the carving: a hash of all that it depends on beside the settings, 16 characters.

    Returns:
        (the sides, how they stand to an earlier carving); None where this carving was not made before.
    """
    pictures = _numbers(contents)
    alike: list[tuple[int, int, np.ndarray]] = []
    for _, record in _records(settings) if contents.any() else ():
        matches = np.flatnonzero(record.names == name.encode())
        if len(matches):
            return record.sides(pictures), Stay(int(record.kept[matches[0]]), int(record.entered[matches[0]]))
        shared = int(np.isin(record.pictures, pictures).sum())
        if shared > (1 - _MOST_LOST) * len(record.pictures):
            alike.append((shared, int(record.made), record.sides(pictures)))
    sides = np.full(len(contents), UNKNOWN, dtype=np.int8)
    for _, _, matches in sorted(alike, key=lambda one: one[:2]):
        sides = np.where(matches == UNKNOWN, sides, matches)
    return sides, None


def remember(contents: np.ndarray, settings: str, name: str, carved: np.ndarray, before: np.ndarray) -> Stay:
    """Records a carving; without a cache that can be written to, nothing.

    Args:
        contents: as above.
        settings: as above.
        name: as above.
        carved: which of the pictures were set apart, bool (N,).
        before: what was recalled of them.
    """
    pictures = _numbers(contents)
    _, first, which = np.unique(pictures, return_index=True, return_inverse=True)
    # Copies on both sides, where they were not looked for, are nobody's record.
    torn = np.bincount(which, carved) % np.bincount(which) != 0
    known = (contents != b"") & ~torn[which]
    first = first[known[first]]
    stayed, entered = (before == carved) & known, (before == REST) & carved & known
    if not len(first):
        return Stay()
    new = _Record(
        pictures[first],
        carved[first],
        np.array([name], dtype="S16"),
        np.array([stayed.sum()]),
        np.array([entered.sum()]),
        np.array(time.time_ns()),
    )
    # Else a set that grows daily would leave a record each day.
    replaced = [(path, record) for path, record in _records(settings) if new.replaces(record)]
    several = {
        key: np.concatenate([getattr(record, key) for record in (new, *(record for _, record in replaced))])
        for key in ("names", "kept", "entered")
    }
    # Each once: where nothing can be locked, two processes may have replaced the same record.
    once = np.unique(several["names"], return_index=True)[1]
    new_path = cache.cache_root() / "splits" / f"{_prefix(settings)}{name}.npz"
    recorded = cache.write_arrays(new_path, **vars(new) | {key: values[once] for key, values in several.items()})
    for path in [path for path, _ in replaced if recorded and path != new_path]:
        with contextlib.suppress(OSError):
            path.unlink()
    return Stay(int(stayed.sum()), int(entered.sum()), recorded)


def _numbers(contents: np.ndarray) -> np.ndarray:
    """The first eight bytes of each hash: among ten million, two agree with a probability of 3 in a million."""
    return np.frombuffer(contents.astype("S8").tobytes(), dtype="<u8")


def _prefix(settings: str) -> str:
    return hashlib.sha256(settings.encode()).hexdigest()[:16] + "-"


def _records(settings: str) -> list[tuple[Path, _Record]]:
    records = []
    for path in cache.beneath(cache.cache_root() / "splits"):
        arrays = cache.read_arrays(path) if path.name.startswith(_prefix(settings)) else None
        with contextlib.suppress(TypeError):  # what has other arrays is no record
            records += [] if arrays is None else [(path, _Record(**arrays))]
    return records
