"""Which pictures belong together because they are copies of each other: the families that no split may tear apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.checking.likeness import Pairs, likenesses
from pellucid.data.checking.looking import Looks, look
from pellucid.data.hashing import content_hashes
from pellucid.records import PictureFiles, Split

__all__ = ["VERSION", "components", "content", "copies", "families"]

VERSION = 2
"""Of the method: what was remembered of another one is not used."""
_ROWS = 4096
FLATTEST = 2.0
"""Grey levels: a picture of less contrast shows nothing, and is nobody's copy."""


def copies(looks: Looks) -> tuple[Pairs, np.ndarray]:
    """The pairs of copies among pictures, and which of them are exact, bool (P,).

    Of n equal pictures each is paired with the first of them: n − 1 pairs, and not n² / 2.
    """
    able = np.flatnonzero(looks.readable & (looks.contrast >= FLATTEST))
    _, first, which = np.unique(looks.digests[able], return_index=True, return_inverse=True)
    alone = np.sort(first)
    near = likenesses(looks.thumbnails[able[alone]])
    leader = able[first[which]]
    again = able[leader != able]
    exact = leader[leader != able]
    joined = [
        (exact, again, np.ones(len(again), dtype=np.float32), *[np.zeros(len(again), dtype=bool)] * 2),
        (able[alone[near.first]], able[alone[near.second]], near.likeness, near.mirrored, near.cropped),
    ]
    columns = [np.concatenate(parts) for parts in zip(*joined, strict=True)]
    same = np.arange(len(columns[0])) < len(again)
    low, high = np.minimum(columns[0], columns[1]), np.maximum(columns[0], columns[1])
    order = np.lexsort((high, low))
    found = Pairs(low[order], high[order], *(column[order] for column in columns[2:]))
    return found, same[order]


def components(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of n things of which some are paired: the least index in each one's family, int64 (n,)."""
    family = np.arange(n)
    while len(first):
        least = np.minimum(family[first], family[second])
        before = family.copy()
        np.minimum.at(family, first, least)
        np.minimum.at(family, second, least)
        family = family[family]
        if np.array_equal(family, before):
            break
    return family


def families(split: Split) -> np.ndarray:
    """The family of each picture: the least index among its copies, int64 (N,). Remembered in the cache by content."""
    if len(split) < 2:
        return np.arange(len(split))
    key = hashlib.sha256(f"{VERSION} ".encode() + content(split)).hexdigest()[:32]
    known = _recalled(key, len(split))
    if known is None:
        pairs, _ = copies(look(split.pictures, [str(one) for one in split.ids]))
        known = components(len(split), pairs.first, pairs.second)
        # Where the cache cannot be written to, it is found anew every time.
        cache.write_arrays(_place(key), families=known.astype(np.int32))
    return known


def content(split: Split) -> bytes:
    """What the pictures of a split are known by, in their order: a SHA-256."""
    if isinstance(split.pictures, PictureFiles):
        return hashlib.sha256(content_hashes(split.pictures).tobytes()).digest()
    # As one stretch of memory: sixty thousand small hashes would take a second.
    digest = hashlib.sha256(repr(split.pictures.shape).encode())
    for start in range(0, len(split), _ROWS):
        digest.update(np.ascontiguousarray(split.pictures[start : start + _ROWS]).data)
    return digest.digest()


def _place(key: str) -> Path:
    return cache.cache_root() / "families" / f"{key}.npz"


def _recalled(key: str, n: int) -> np.ndarray | None:
    known = (cache.read_arrays(_place(key)) or {}).get("families")
    return known.astype(np.int64) if known is not None and known.shape == (n,) else None
