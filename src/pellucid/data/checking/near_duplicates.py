"""Near-duplicates: pairs of pictures of which one is a changed copy of the other.

It may be rescaled, recompressed, mirrored, brightened, or cropped by up to a tenth.

1. Every picture gets a descriptor of 64 numbers (`descriptors`), and one for each window and its mirror image: what a
   cropped or mirrored copy of it would have.
2. Candidates: the descriptors are gathered in about √N cells around typical ones, and each of those 18 forms is
   compared, in one matrix product, with the pictures of the cell that it falls into: of the order of N√N, not of N².
3. Each candidate is verified with 256 numbers, in the form in which it was found.

How alike is alike enough depends on what surrounds a picture: two photographs with a correlation of 0.9 are one, but
two handwritten ones are as alike as that. So a pair has to be much more alike than both are to the pictures of a
sample: their distance d (one minus correlation) must be below a bound, and below a share of the square of the distance
to the most similar hundredth of the sample. Bounds and shares were chosen on the training pictures of CIFAR-10 and
MNIST and the training photographs of ants and bees; `benchmarks/duplicates.py` measures on others what they are worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.checking.descriptors import COARSE, FINE, WINDOWS, around, describe, mirrored
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.data.hashing import content_hashes
from pellucid.records import PictureFiles, Split

__all__ = ["VERSION", "Pairs", "components", "content", "copies", "families", "find_near_duplicates"]


FARTHEST_COARSE, FARTHEST_FINE = 0.14, 0.20
"""The greatest distance of a copy, in the search and in the verification."""
SHARE_COARSE, SHARE_FINE = 1.0, 0.17
"""The same as a share of the square of the distance to the most similar hundredth of the sample."""
_SAMPLE, _HUNDREDTH = 1000, 10
"""Largest sample, and the rank in it that the share refers to. Of fewer than 50 pictures it is the most similar fifth,
so that one picture more or less changes no judgement by much."""
_FEWEST = 3
"""Of fewer pictures none can be compared with others than its copy, and the bounds alone decide."""
_ONE_CELL = 2000
_CELLS_EACH = 3
_MOST_A_QUERY = 50
"""How many candidates of one picture, form and cell are followed up."""
_ROWS = 4096


@dataclass(frozen=True)
class Pairs:
    """P pairs of pictures that are copies of each other.

    Attributes:
        first, second: indices, int64 (P,), first < second, each pair once, sorted.
        similarity: their correlation, float32 (P,).
        mirrored: whether one is mirrored, bool (P,).
        cropped: whether one is a part of the other, bool (P,).
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    mirrored: np.ndarray
    cropped: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def find_near_duplicates(thumbnails: np.ndarray) -> Pairs:
    """The pairs of near-duplicates among thumbnails, uint8 (N, 32, 32).

    Exact copies are best left out but for one, since n of them are n² / 2 pairs.
    """
    if len(thumbnails) < 2:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, none.astype(np.float32), none.astype(bool), none.astype(bool))
    described = _in_rows(lambda rows: describe(rows, COARSE), thumbnails)
    nearest = _thresholds(described, described, COARSE, FARTHEST_COARSE, SHARE_COARSE)
    return _verified(thumbnails, *_candidates(thumbnails, described, nearest))


def _in_rows(function: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    """The results of a function for the rows of an array, some rows at a time."""
    parts = [function(array[start : start + _ROWS]) for start in range(0, len(array), _ROWS)]
    return np.concatenate(parts) if parts else function(array)


def _thresholds(
    described: np.ndarray, everyone: np.ndarray, frequencies: int, farthest: float, share: float
) -> np.ndarray:
    """How alike a copy of each picture has to be at least: float32 (n,).

    Args:
        described: the descriptors of n pictures.
        everyone: those of all pictures, or of an even sample, of which a sample is compared with.
        frequencies: of the descriptors.
        farthest: the greatest distance, whatever the sample says.
        share: of the square of the distance to the most similar hundredth of the sample.
    """
    least = np.full(len(described), 1 - farthest, dtype=np.float32)
    if len(everyone) < _FEWEST:
        return least
    sample = everyone[np.linspace(0, len(everyone) - 1, min(len(everyone), _SAMPLE)).astype(np.int64)]
    turned = mirrored(sample, frequencies)
    for start in range(0, len(described), _ROWS):
        rows = described[start : start + _ROWS]
        alike = np.maximum(rows @ sample.T, rows @ turned.T)
        # Of the most similar ones one may be the picture itself, and another one its copy.
        rank = min(_HUNDREDTH, max(2, len(sample) // 5))
        ranked = np.partition(alike, len(sample) - rank - 1, axis=1)[:, len(sample) - rank - 1]
        least[start : start + _ROWS] = np.maximum(least[start : start + _ROWS], 1 - share * (1 - ranked) ** 2)
    return least


def _candidates(
    thumbnails: np.ndarray, described: np.ndarray, nearest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that may be copies: (whose form was compared, with which, which form), each int64 (P,).

    Form 2w is window w, 2w + 1 its mirror image.
    """
    centres = _centres(described)
    members = _members(described, centres)
    candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
    for number, window in enumerate(WINDOWS):
        plain = _in_rows(lambda rows, window=window: describe(rows, COARSE, window), thumbnails)
        for turn, forms in enumerate((plain, mirrored(plain, COARSE))):
            for queries, among in _by_cell(forms, centres, members):
                one, other, alike = _near(forms, described, nearest, queries, among)
                candidates.append((one, other, alike, 2 * number + turn))
    return _best(candidates, len(thumbnails))


def _near(
    forms: np.ndarray, described: np.ndarray, nearest: np.ndarray, queries: np.ndarray, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of a cell that are near enough for both: (whose form, which picture, how alike), each (P,)."""
    alike = forms[queries] @ described[among].T
    # Few have anything near. Their largest value shows it, in one pass over the large array.
    hopeful = np.flatnonzero(alike.max(axis=1) >= nearest[queries])
    query, alike = queries[hopeful], alike[hopeful]
    close = alike >= nearest[query][:, np.newaxis]
    crowded = np.flatnonzero(close.sum(axis=1) > _MOST_A_QUERY)
    if len(crowded):
        nearest_of_each = np.partition(alike[crowded], -_MOST_A_QUERY, axis=1)[:, -_MOST_A_QUERY, np.newaxis]
        close[crowded] &= alike[crowded] >= nearest_of_each
    rows, columns = np.nonzero(close)
    one, other = query[rows], among[columns]
    good = (one != other) & (alike[rows, columns] >= nearest[other])
    return one[good], other[good], alike[rows, columns][good]


def _best(
    candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]], n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair once, in the form in which it was most alike."""
    one = np.concatenate([part[0] for part in candidates])
    other = np.concatenate([part[1] for part in candidates])
    alike = np.concatenate([part[2] for part in candidates])
    form = np.concatenate([np.full(len(part[0]), part[3]) for part in candidates])
    key = np.minimum(one, other) * n + np.maximum(one, other)
    # Simpler forms win where two are as good: a symmetric picture is not called mirrored.
    order = np.lexsort((form, -np.round(alike, 3), key))
    first = np.ones(len(key), dtype=bool)
    first[1:] = key[order][1:] != key[order][:-1]
    best = order[first]
    return one[best], other[best], form[best]


def _centres(described: np.ndarray) -> np.ndarray:
    """About √N typical descriptors, (cells, D): an even sample, moved twice to the mean of what is nearest to each."""
    n = len(described)
    if n <= _ONE_CELL:
        return described[:1]
    cells = int(np.sqrt(_CELLS_EACH * n))
    centres = described[np.linspace(0, n - 1, cells).astype(np.int64)]
    sample = described[np.linspace(0, n - 1, min(n, 64 * cells)).astype(np.int64)]
    for _ in range(2):
        nearest = np.argmax(sample @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-6), centres)
    return centres


def _members(described: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    """The pictures of each cell; each lies in its three nearest ones, since a copy may fall just over a border."""
    if len(centres) == 1:
        return [np.arange(len(described))]
    each = min(_CELLS_EACH, len(centres))

    def nearest(rows: np.ndarray) -> np.ndarray:
        return np.argpartition(rows @ centres.T, -each, axis=1)[:, -each:]

    return _grouped(_in_rows(nearest, described).ravel(), np.repeat(np.arange(len(described)), each), len(centres))


def _grouped(cell: np.ndarray, picture: np.ndarray, cells: int) -> list[np.ndarray]:
    order = np.argsort(cell, kind="stable")
    return np.split(picture[order], np.searchsorted(cell[order], np.arange(1, cells)))


def _by_cell(
    forms: np.ndarray, centres: np.ndarray, members: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(queries, members) of each cell; large cells in parts."""
    if len(centres) == 1:
        cells = [np.arange(len(forms))]
    else:
        cell = _in_rows(lambda rows: np.argmax(rows @ centres.T, axis=1), forms)
        cells = _grouped(cell, np.arange(len(forms)), len(centres))
    for queries, among in zip(cells, members, strict=True):
        for start in range(0, len(queries), 512):
            if len(among):
                yield queries[start : start + 512], among


def _verified(thumbnails: np.ndarray, one: np.ndarray, other: np.ndarray, form: np.ndarray) -> Pairs:
    """Those candidates that are copies in fine detail too."""
    involved, where = np.unique(np.concatenate([one, other]), return_inverse=True)
    whole = _in_rows(lambda rows: describe(rows, FINE), thumbnails[involved])
    sample = thumbnails[np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), _SAMPLE)).astype(np.int64)]
    nearest = _thresholds(whole, describe(sample, FINE), FINE, FARTHEST_FINE, SHARE_FINE)
    alike = np.full(len(one), -1, dtype=np.float32)
    for number in np.unique(form).tolist():
        for rows in np.array_split(np.flatnonzero(form == number), max(1, int((form == number).sum()) // _ROWS)):
            against = whole[where[len(one) + rows]]
            against = mirrored(against, FINE) if number % 2 else against
            for window in around(WINDOWS[number // 2]):
                described = describe(thumbnails[one[rows]], FINE, window)
                alike[rows] = np.maximum(alike[rows], (described * against).sum(axis=1))
    good = alike >= np.maximum(nearest[where[: len(one)]], nearest[where[len(one) :]])
    first, second = np.minimum(one, other)[good], np.maximum(one, other)[good]
    order = np.lexsort((second, first))
    kind = form[good][order]
    return Pairs(first[order], second[order], alike[good][order], kind % 2 == 1, kind >= 2)


VERSION = 3
"""Version of the method: cached results of another version are not used."""

FLATTEST = 2.0
"""Grey levels: a picture of less contrast shows nothing, and counts as no copy."""


def copies(statistics: PictureStatistics) -> tuple[Pairs, np.ndarray]:
    """The pairs of copies among pictures, and which of them are exact, bool (P,).

    Of n equal pictures each is paired with the first of them: n − 1 pairs, and not n² / 2.
    """
    able = np.flatnonzero(statistics.readable & (statistics.contrast >= FLATTEST))
    _, first, which = np.unique(statistics.digests[able], return_index=True, return_inverse=True)
    alone = np.sort(first)
    near = find_near_duplicates(statistics.thumbnails[able[alone]])
    leader = able[first[which]]
    again = able[leader != able]
    exact = leader[leader != able]
    joined = [
        (exact, again, np.ones(len(again), dtype=np.float32), *[np.zeros(len(again), dtype=bool)] * 2),
        (able[alone[near.first]], able[alone[near.second]], near.similarity, near.mirrored, near.cropped),
    ]
    columns = [np.concatenate(parts) for parts in zip(*joined, strict=True)]
    same = np.arange(len(columns[0])) < len(again)
    low, high = np.minimum(columns[0], columns[1]), np.maximum(columns[0], columns[1])
    order = np.lexsort((high, low))
    pairs = Pairs(low[order], high[order], *(column[order] for column in columns[2:]))
    return pairs, same[order]


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


def families(split: Split, *, exact: bool = False) -> np.ndarray:
    """The family of each picture: the least index among its copies, int64 (N,). Cached by content.

    Args:
        split: the pictures.
        exact: count only pictures with the same pixels as copies.
    """
    if len(split) < 2:
        return np.arange(len(split))
    key = hashlib.sha256(f"{VERSION} {'exact ' * exact}".encode() + content(split)).hexdigest()[:32]
    known = _recalled(key, len(split))
    if known is None:
        pairs, same = copies(scan_pictures(split.pictures, [str(name) for name in split.ids]))
        counted = same if exact else np.ones(len(pairs), dtype=bool)
        known = components(len(split), pairs.first[counted], pairs.second[counted])
        # If the cache cannot be written, this is computed every time.
        cache.write_arrays(_place(key), families=known.astype(np.int32))
    return known


def content(split: Split) -> bytes:
    """SHA-256 of the pictures of a split, in their order."""
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
