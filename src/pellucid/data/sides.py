"""Records of past splits, by content, so that a picture stays in its split when others are added, moved or removed.

A hash alone cannot both fix the split of each picture and keep classes balanced: when a class grows, new pictures would
push others out of the test split. So the cache records each split. The next one of the same name, seed and fraction
follows the records of which most pictures still exist.
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
"""The sides: split off, in the rest, unknown."""

_MOST_LOST = 0.5
"""Fraction of the pictures of a record that may be missing, if it is to count as a record of the same data."""


@dataclass(frozen=True)
class Stay:
    """Comparison of a split with earlier ones.

    Attributes:
        kept: number of pictures that stayed on their side.
        entered: number of pictures that moved from the rest to the part split off.
        recorded: whether the split is recorded in the cache.
    """

    kept: int = 0
    entered: int = 0
    recorded: bool = True


@dataclass(frozen=True)
class _Record:
    """A split of N pictures. It replaces the records of splits of parts of them, and so stands for M splits.

    Attributes:
        pictures: hashes of the pictures, sorted, uint64 (N,).
        carved: whether each is split off, bool (N,).
        names: names of the M splits, S16 (M,).
        kept, entered: as in `Stay`, for each of the M splits, int64 (M,).
        made: time of the record, in nanoseconds since 1970.
    """

    pictures: np.ndarray
    carved: np.ndarray
    names: np.ndarray
    kept: np.ndarray
    entered: np.ndarray
    made: np.ndarray

    def sides(self, pictures: np.ndarray) -> np.ndarray:
        """The side of each picture in this record, int8 (N,)."""
        index = np.minimum(np.searchsorted(self.pictures, pictures), len(self.pictures) - 1)
        return np.where(self.pictures[index] == pictures, self.carved[index], UNKNOWN).astype(np.int8)

    def replaces(self, other: _Record) -> bool:
        """Whether it has all pictures of another record, and splits off none of its rest: models may know the rest."""
        sides = self.sides(other.pictures)
        return not (sides == UNKNOWN).any() and not (other.carved < sides).any()


@contextlib.contextmanager
def alone(contents: np.ndarray) -> Iterator[None]:
    """Keep other processes from recording between `recalled` and `remember`, if the cache can be written to."""
    with contextlib.ExitStack() as locks:
        if contents.any():
            with contextlib.suppress(StorageError, OSError, NotImplementedError):
                locks.enter_context(cache.locked(cache.folder("splits")))
        yield


def recalled(contents: np.ndarray, settings: str, name: str) -> tuple[np.ndarray, Stay | None]:
    """Look up the side of each picture in the record of this split, or else in similar records.

    Args:
        contents: SHA-256 of each picture, S32 (N,); empty for a picture without one.
        settings: settings of the split; only records with the same settings are used.
        name: name of the split, 16 characters: a hash of everything else that it depends on.

    Returns:
        (side of each picture, int8 (N,); the comparison of this very split with earlier ones, None if it is new).
        Several similar records may know a picture; the one that shares most pictures wins.
    """
    pictures = _numbers(contents)
    similar: list[tuple[int, int, np.ndarray]] = []
    for _, record in _records(settings) if contents.any() else ():
        matches = np.flatnonzero(record.names == name.encode())
        if len(matches):
            return record.sides(pictures), Stay(int(record.kept[matches[0]]), int(record.entered[matches[0]]))
        shared = int(np.isin(record.pictures, pictures).sum())
        if shared > (1 - _MOST_LOST) * len(record.pictures):
            similar.append((shared, int(record.made), record.sides(pictures)))
    sides = np.full(len(contents), UNKNOWN, dtype=np.int8)
    for _, _, matches in sorted(similar, key=lambda record: record[:2]):
        sides = np.where(matches == UNKNOWN, sides, matches)
    return sides, None


def remember(contents: np.ndarray, settings: str, name: str, carved: np.ndarray, before: np.ndarray) -> Stay:
    """Record a split, if the cache can be written to.

    Args:
        contents: as in `recalled`.
        settings: as in `recalled`.
        name: as in `recalled`.
        carved: whether each picture is split off, bool (N,).
        before: the sides from `recalled`.
    """
    pictures = _numbers(contents)
    _, first, which = np.unique(pictures, return_index=True, return_inverse=True)
    # A content on both sides (if the split ignores copies) is not recorded.
    on_both_sides = np.bincount(which, carved) % np.bincount(which) != 0
    known = (contents != b"") & ~on_both_sides[which]
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
    # Replace old records, or data that grow daily would leave one record a day.
    replaced = [(path, record) for path, record in _records(settings) if new.replaces(record)]
    several = {
        key: np.concatenate([getattr(record, key) for record in (new, *(record for _, record in replaced))])
        for key in ("names", "kept", "entered")
    }
    # Each name once: without locks, two processes may replace the same record.
    once = np.unique(several["names"], return_index=True)[1]
    new_path = cache.cache_root() / "splits" / f"{_prefix(settings)}{name}.arrays"
    recorded = cache.write_arrays(new_path, **vars(new) | {key: values[once] for key, values in several.items()})
    for path in [path for path, _ in replaced if recorded and path != new_path]:
        with contextlib.suppress(OSError):
            path.unlink()
    return Stay(int(stayed.sum()), int(entered.sum()), recorded)


def _numbers(contents: np.ndarray) -> np.ndarray:
    """The first eight bytes of each hash; for ten million pictures, a collision has a probability of 3 in a million."""
    return np.frombuffer(contents.astype("S8").tobytes(), dtype="<u8")


def _prefix(settings: str) -> str:
    return hashlib.sha256(settings.encode()).hexdigest()[:16] + "-"


def _records(settings: str) -> list[tuple[Path, _Record]]:
    records = []
    for path in cache.beneath(cache.cache_root() / "splits"):
        arrays = cache.read_arrays(path) if path.name.startswith(_prefix(settings)) else None
        with contextlib.suppress(TypeError):  # a file with other arrays is not a record
            records += [] if arrays is None else [(path, _Record(**arrays))]
    return records
