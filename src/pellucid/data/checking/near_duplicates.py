"""Near-duplicates: pairs of pictures of which one is a changed copy of the other.

The copy may be rescaled, recompressed, mirrored, brightened, or cropped by up to a tenth of each side.

1. Every picture has a descriptor of 64 numbers (`descriptors`), and one for each window and its mirror image: the
   descriptors that a cropped or mirrored copy would have.
2. Candidates: descriptors are clustered into about √N cells. Each of the 18 forms of a picture is compared, in one
   matrix product, with the pictures of the cell that it falls into. This takes on the order of N√N operations, not N².
3. Each candidate is verified with 256 numbers, in the form in which it matched.

The similarity that makes a copy depends on the data: two photographs with a correlation of 0.9 are copies, but two
handwritten digits may well have one. So a pair has to be much more similar than both are to a sample of the pictures:
its distance d (one minus the correlation) must be below a bound, and below a multiple of the square of the distance to
the most similar hundredth of the sample. Bounds and factors were chosen on the training pictures of CIFAR-10 and MNIST
and the training photographs of ants and bees; `benchmarks/duplicates.py` measures recall and precision on others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.checking.descriptors import COARSE, FINE, WINDOWS, describe, mirrored, neighbours
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.data.hashing import content_hashes
from pellucid.records import PictureFiles, Split

__all__ = ["VERSION", "Pairs", "components", "content", "copies", "copy_groups", "find_near_duplicates"]


_MAX_DISTANCE_COARSE, _MAX_DISTANCE_FINE = 0.14, 0.20
"""Upper bound on the distance of a copy, in the search and in the verification."""
_FACTOR_COARSE, _FACTOR_FINE = 1.0, 0.17
"""The second bound: this factor times the square of the distance to the most similar hundredth of the sample."""
_SAMPLE, _HUNDREDTH = 1000, 10
"""Largest sample, and the rank in it that the second bound refers to. With fewer than 50 pictures the rank is a fifth
of their number, so that one more or less makes little difference."""
_MIN_PICTURES = 3
"""With fewer pictures there is nothing to compare a pair with, and only the first bound applies."""
_ONE_CELL = 2000
_CELLS_EACH = 3
_MAX_CANDIDATES = 50
"""Number of candidates to follow up for one picture, form and cell."""
_ROWS = 4096


@dataclass(frozen=True)
class Pairs:
    """P pairs of pictures that are copies of each other.

    Attributes:
        first, second: indices, int64 (P,); first < second; sorted, each pair once.
        similarity: correlation of the two, float32 (P,).
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
    """Pairs of near-duplicates among thumbnails, uint8 (N, 32, 32).

    Pass only one of several exact copies: n of them would make n² / 2 pairs.
    """
    if len(thumbnails) < 2:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, none.astype(np.float32), none.astype(bool), none.astype(bool))
    descriptors = _in_chunks(lambda rows: describe(rows, COARSE), thumbnails)
    thresholds = _thresholds(descriptors, descriptors, COARSE, _MAX_DISTANCE_COARSE, _FACTOR_COARSE)
    return _verified(thumbnails, *_candidates(thumbnails, descriptors, thresholds))


def _in_chunks(function: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    """Applies a function to the rows of an array, a few thousand at a time."""
    parts = [function(array[start : start + _ROWS]) for start in range(0, len(array), _ROWS)]
    return np.concatenate(parts) if parts else function(array)


def _thresholds(
    descriptors: np.ndarray, reference: np.ndarray, frequencies: int, max_distance: float, factor: float
) -> np.ndarray:
    """Lowest similarity at which a picture counts as a copy of each picture: float32 (n,).

    Args:
        descriptors: of n pictures.
        reference: descriptors of all pictures, or of an even sample; the sample is drawn from them.
        frequencies: of the descriptors.
        max_distance: upper bound on the distance, whatever the sample.
        factor: of the square of the distance to the most similar hundredth of the sample.
    """
    thresholds = np.full(len(descriptors), 1 - max_distance, dtype=np.float32)
    if len(reference) < _MIN_PICTURES:
        return thresholds
    sample = reference[np.linspace(0, len(reference) - 1, min(len(reference), _SAMPLE)).astype(np.int64)]
    mirror_images = mirrored(sample, frequencies)
    for start in range(0, len(descriptors), _ROWS):
        rows = descriptors[start : start + _ROWS]
        similarity = np.maximum(rows @ sample.T, rows @ mirror_images.T)
        # The two most similar may be the picture itself and its copy.
        rank = min(_HUNDREDTH, max(2, len(sample) // 5))
        ranked = np.partition(similarity, len(sample) - rank - 1, axis=1)[:, len(sample) - rank - 1]
        bound = 1 - factor * (1 - ranked) ** 2
        thresholds[start : start + _ROWS] = np.maximum(thresholds[start : start + _ROWS], bound)
    return thresholds


def _candidates(
    thumbnails: np.ndarray, descriptors: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidate pairs: (picture whose form was compared, its match, form), each int64 (P,).

    Form 2w is window w, form 2w + 1 its mirror image.
    """
    centres = _centres(descriptors)
    members = _members(descriptors, centres)
    candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
    for number, window in enumerate(WINDOWS):
        plain = _in_chunks(lambda rows, window=window: describe(rows, COARSE, window), thumbnails)
        for mirror, forms in enumerate((plain, mirrored(plain, COARSE))):
            for queries, among in _by_cell(forms, centres, members):
                query, match, similarity = _similar(forms, descriptors, thresholds, queries, among)
                candidates.append((query, match, similarity, 2 * number + mirror))
    return _best_forms(candidates, len(thumbnails))


def _similar(
    forms: np.ndarray, descriptors: np.ndarray, thresholds: np.ndarray, queries: np.ndarray, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a cell that pass the thresholds of both pictures: (query, match, similarity), each (P,)."""
    similarity = forms[queries] @ descriptors[among].T
    # Most queries have no match. Their largest similarity shows it, in one pass over the large array.
    promising = np.flatnonzero(similarity.max(axis=1) >= thresholds[queries])
    query, similarity = queries[promising], similarity[promising]
    passes = similarity >= thresholds[query][:, np.newaxis]
    crowded = np.flatnonzero(passes.sum(axis=1) > _MAX_CANDIDATES)
    if len(crowded):
        best = np.partition(similarity[crowded], -_MAX_CANDIDATES, axis=1)[:, -_MAX_CANDIDATES, np.newaxis]
        passes[crowded] &= similarity[crowded] >= best
    rows, columns = np.nonzero(passes)
    first, second = query[rows], among[columns]
    good = (first != second) & (similarity[rows, columns] >= thresholds[second])
    return first[good], second[good], similarity[rows, columns][good]


def _best_forms(
    candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]], n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair once, in its most similar form."""
    query = np.concatenate([part[0] for part in candidates])
    match = np.concatenate([part[1] for part in candidates])
    similarity = np.concatenate([part[2] for part in candidates])
    form = np.concatenate([np.full(len(part[0]), part[3]) for part in candidates])
    key = np.minimum(query, match) * n + np.maximum(query, match)
    # The simpler of two equally similar forms wins, so a symmetric picture is not reported as mirrored.
    order = np.lexsort((form, -np.round(similarity, 3), key))
    is_first = np.ones(len(key), dtype=bool)
    is_first[1:] = key[order][1:] != key[order][:-1]
    best = order[is_first]
    return query[best], match[best], form[best]


def _centres(descriptors: np.ndarray) -> np.ndarray:
    """About √N cluster centres, (cells, D): an even sample, moved twice to the mean of the closest descriptors."""
    n = len(descriptors)
    if n <= _ONE_CELL:
        return descriptors[:1]
    cells = int(np.sqrt(_CELLS_EACH * n))
    centres = descriptors[np.linspace(0, n - 1, cells).astype(np.int64)]
    sample = descriptors[np.linspace(0, n - 1, min(n, 64 * cells)).astype(np.int64)]
    for _ in range(2):
        nearest = np.argmax(sample @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-6), centres)
    return centres


def _members(descriptors: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    """Pictures of each cell. Each picture is in its three closest cells, since a copy may fall just over a border."""
    if len(centres) == 1:
        return [np.arange(len(descriptors))]
    each = min(_CELLS_EACH, len(centres))

    def closest(rows: np.ndarray) -> np.ndarray:
        return np.argpartition(rows @ centres.T, -each, axis=1)[:, -each:]

    cells = _in_chunks(closest, descriptors).ravel()
    return _grouped(cells, np.repeat(np.arange(len(descriptors)), each), len(centres))


def _grouped(cell: np.ndarray, picture: np.ndarray, cells: int) -> list[np.ndarray]:
    """Pictures by their cell."""
    order = np.argsort(cell, kind="stable")
    return np.split(picture[order], np.searchsorted(cell[order], np.arange(1, cells)))


def _by_cell(
    forms: np.ndarray, centres: np.ndarray, members: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (queries, members) of each cell; large cells in parts."""
    if len(centres) == 1:
        cells = [np.arange(len(forms))]
    else:
        cell = _in_chunks(lambda rows: np.argmax(rows @ centres.T, axis=1), forms)
        cells = _grouped(cell, np.arange(len(forms)), len(centres))
    for queries, among in zip(cells, members, strict=True):
        for start in range(0, len(queries), 512):
            if len(among):
                yield queries[start : start + 512], among


def _verified(thumbnails: np.ndarray, query: np.ndarray, match: np.ndarray, form: np.ndarray) -> Pairs:
    """The candidates that are also similar in fine detail."""
    pictures, position = np.unique(np.concatenate([query, match]), return_inverse=True)
    descriptors = _in_chunks(lambda rows: describe(rows, FINE), thumbnails[pictures])
    sample = thumbnails[np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), _SAMPLE)).astype(np.int64)]
    thresholds = _thresholds(descriptors, describe(sample, FINE), FINE, _MAX_DISTANCE_FINE, _FACTOR_FINE)
    similarity = np.full(len(query), -1, dtype=np.float32)
    for number in np.unique(form).tolist():
        for rows in np.array_split(np.flatnonzero(form == number), max(1, int((form == number).sum()) // _ROWS)):
            matches = descriptors[position[len(query) + rows]]
            matches = mirrored(matches, FINE) if number % 2 else matches
            for window in neighbours(WINDOWS[number // 2]):
                queries = describe(thumbnails[query[rows]], FINE, window)
                similarity[rows] = np.maximum(similarity[rows], (queries * matches).sum(axis=1))
    good = similarity >= np.maximum(thresholds[position[: len(query)]], thresholds[position[len(query) :]])
    first, second = np.minimum(query, match)[good], np.maximum(query, match)[good]
    order = np.lexsort((second, first))
    forms = form[good][order]
    return Pairs(first[order], second[order], similarity[good][order], forms % 2 == 1, forms >= 2)


VERSION = 3
"""Version of the method: cached results of other versions are ignored."""

FLATTEST = 2.0
"""Grey levels: a picture with less contrast is blank, and never a copy."""


def copies(statistics: PictureStatistics) -> tuple[Pairs, np.ndarray]:
    """Pairs of copies among pictures, and which of them are exact, bool (P,).

    Each of n equal pictures is paired with the first of them: n − 1 pairs instead of n² / 2.
    """
    usable = np.flatnonzero(statistics.readable & (statistics.contrast >= FLATTEST))
    _, first, which = np.unique(statistics.digests[usable], return_index=True, return_inverse=True)
    distinct = np.sort(first)
    near = find_near_duplicates(statistics.thumbnails[usable[distinct]])
    original = usable[first[which]]
    repeated = usable[original != usable]
    originals = original[original != usable]
    parts = [
        (originals, repeated, np.ones(len(repeated), dtype=np.float32), *[np.zeros(len(repeated), dtype=bool)] * 2),
        (usable[distinct[near.first]], usable[distinct[near.second]], near.similarity, near.mirrored, near.cropped),
    ]
    columns = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    exact = np.arange(len(columns[0])) < len(repeated)
    low, high = np.minimum(columns[0], columns[1]), np.maximum(columns[0], columns[1])
    order = np.lexsort((high, low))
    pairs = Pairs(low[order], high[order], *(column[order] for column in columns[2:]))
    return pairs, exact[order]


def components(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Connected components of n nodes with edges (first, second): the least index in each one's, int64 (n,)."""
    component = np.arange(n)
    while len(first):
        least = np.minimum(component[first], component[second])
        previous = component.copy()
        np.minimum.at(component, first, least)
        np.minimum.at(component, second, least)
        component = component[component]
        if np.array_equal(component, previous):
            break
    return component


def copy_groups(split: Split, *, exact: bool = False) -> np.ndarray:
    """The group of copies of each picture: the least index among them, int64 (N,). Cached by content.

    Args:
        split: the pictures.
        exact: count only pictures with the same pixels as copies.
    """
    if len(split) < 2:
        return np.arange(len(split))
    key = hashlib.sha256(f"{VERSION} {'exact ' * exact}".encode() + content(split)).hexdigest()[:32]
    groups = _cached(key, len(split))
    if groups is None:
        pairs, is_exact = copies(scan_pictures(split.pictures, [str(name) for name in split.ids]))
        counted = is_exact if exact else np.ones(len(pairs), dtype=bool)
        groups = components(len(split), pairs.first[counted], pairs.second[counted])
        # If the cache cannot be written, this is computed every time.
        cache.write_arrays(_path(key), groups=groups.astype(np.int32))
    return groups


def content(split: Split) -> bytes:
    """SHA-256 of the pictures of a split, in their order."""
    if isinstance(split.pictures, PictureFiles):
        return hashlib.sha256(content_hashes(split.pictures).tobytes()).digest()
    # In large blocks: sixty thousand small hashes would take a second.
    digest = hashlib.sha256(repr(split.pictures.shape).encode())
    for start in range(0, len(split), _ROWS):
        digest.update(np.ascontiguousarray(split.pictures[start : start + _ROWS]).data)
    return digest.digest()


def _path(key: str) -> Path:
    return cache.cache_root() / "copies" / f"{key}.arrays"


def _cached(key: str, n: int) -> np.ndarray | None:
    groups = (cache.read_arrays(_path(key)) or {}).get("groups")
    return groups.astype(np.int64) if groups is not None and groups.shape == (n,) else None
