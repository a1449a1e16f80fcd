"""On which side of a carved split each picture was, by content: there it stays when others are added, moved or removed.

A hash alone cannot hold pictures in place and share out the classes evenly too: where a class grows, new pictures would
push out some that were set apart. So each carving is recorded in the cache, and the next one of the same name, seed and
fraction holds to the record that has most of its pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache

__all__ = ["CARVED", "REST", "UNKNOWN", "kept", "recalled", "remember"]

CARVED, REST, UNKNOWN = 1, 0, -1
"""The sides: set apart, not set apart, not known."""

_MOST_LOST = 0.5
"""Which part of a record's pictures may be gone, and it is still a record of the same set of pictures."""


@dataclass(frozen=True)
class _Record:
    """Attributes: pictures, sorted uint64 (N,); carved, bool (N,); how many were held to an earlier record."""

    pictures: np.ndarray
    carved: np.ndarray
    kept: int


def recalled(contents: np.ndarray, settings: str) -> np.ndarray:
    """The side of each picture in the record that has most of them, int8 (N,).

    Args:
        contents: SHA-256 of each picture, S32 (N,); empty where there is none.
        settings: all that a carving depends on beside the pictures.
    """
    pictures = _numbers(contents)
    best = _read(_place(pictures, settings)) or _nearest(pictures, settings)
    sides = np.full(len(contents), UNKNOWN, dtype=np.int8)
    if best is not None and len(best.pictures):
        at = np.minimum(np.searchsorted(best.pictures, pictures), len(best.pictures) - 1)
        sides = np.where(best.pictures[at] == pictures, best.carved[at], sides).astype(np.int8)
    return sides


def remember(contents: np.ndarray, settings: str, carved: np.ndarray, before: np.ndarray) -> None:
    """Records a carving; without a cache that can be written to, nothing.

    Args:
        contents: as above.
        settings: as above.
        carved: which of the pictures were set apart, bool (N,).
        before: what was recalled of them.
    """
    pictures = _numbers(contents)
    known = contents != b""
    if np.array_equal(before[known], carved[known]):
        return
    place = _place(pictures, settings)
    _, first, which = np.unique(pictures, return_index=True, return_inverse=True)
    # Copies on both sides, where they were not looked for, are nobody's record.
    torn = np.bincount(which, carved) % np.bincount(which) != 0
    first = first[known[first] & ~torn]
    still = np.array((before[first] == carved[first]).sum())
    if cache.write_arrays(place, pictures=pictures[first], carved=carved[first], kept=still):
        _drop_those_within(pictures[first], place)


def kept(contents: np.ndarray, settings: str) -> int:
    """How many pictures of a recorded carving are where an earlier one of other pictures had them."""
    pictures = _numbers(contents)
    record = _read(_place(pictures, settings))
    if record is not None:
        return record.kept
    # Of those that are left of a larger set there is no record of their own.
    nearest = _nearest(pictures, settings)
    return 0 if nearest is None else int(np.isin(pictures, nearest.pictures).sum())


def _numbers(contents: np.ndarray) -> np.ndarray:
    """The first eight bytes of each hash: among ten million, two agree with a probability of 3 in a million."""
    return np.frombuffer(contents.astype("S8").tobytes(), dtype="<u8")


def _place(pictures: np.ndarray, settings: str) -> Path:
    same_settings = hashlib.sha256(settings.encode()).hexdigest()[:16]
    same_pictures = hashlib.sha256(np.sort(pictures).tobytes()).hexdigest()[:16]
    return cache.cache_root() / "splits" / f"{same_settings}-{same_pictures}.npz"


def _alike(place: Path) -> list[Path]:
    """The records with the settings of one, the newest last."""
    return [one.path for one in cache.entries("splits") if one.path.name.startswith(place.name.split("-")[0])]


def _nearest(pictures: np.ndarray, settings: str) -> _Record | None:
    best, most = None, 0
    for path in _alike(_place(pictures, settings)):
        record = _read(path)
        if record is not None:
            shared = int(np.isin(record.pictures, pictures).sum())
            if shared >= most and shared > (1 - _MOST_LOST) * len(record.pictures):
                best, most = record, shared
    return best


def _drop_those_within(pictures: np.ndarray, place: Path) -> None:
    """Removes the records that have nothing beyond a new one: else a set that grows daily would leave one each day."""
    for path in _alike(place):
        record = _read(path)
        if path != place and (record is None or np.isin(record.pictures, pictures).all()):
            with contextlib.suppress(OSError):
                path.unlink()


def _read(path: Path) -> _Record | None:
    arrays = cache.read_arrays(path)
    return None if arrays is None else _Record(arrays["pictures"], arrays["carved"], int(arrays["kept"]))
