"""The training picture that each scored picture is closest to, also if one is mirrored, cropped, shifted or recoloured.

1. Search: the descriptors of `pellucid.data.checking` (8×8 frequencies, blind to brightness and contrast) of each
   scored picture are compared with those of all training pictures, in 19 forms: whole, one of them cropped to 85 %, or
   both cropped at opposite sides, as one of two shifted copies would be; and mirrored.
2. Alignment: the closest five are compared in 16×16 frequencies, with crops of 78 % to 97 % and shifts of up to an
   eighth.
3. Score: with the best alignment, the mean of three correlations: of the frequencies; of the grey levels without the
   border, because framed pictures resemble each other by their frames; and of the square roots of the gradients,
   because two silhouettes before a plain sky resemble each other by their outlines alone.

Forms and score were measured on the training pictures of CIFAR-10 with planted copies (`benchmarks/leaks.py`). The idea
of the second and the third correlation came from looking at its test pairs (figures: LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.data.checking.descriptors import COARSE, FINE, SIDE, WINDOWS, Window, cut_out, describe, mirrored
from pellucid.data.progress import watched

__all__ = ["closest_pairs"]

_CANDIDATES = 5
_QUERIES, _ROWS = 512, 8192
_BORDER = 5
"""Width of the border that the second and the third correlation leave out, in pixels of 32."""
_LEAST_SQUARES, _LEAST_ROOTS = 30.0, 1.0
"""Lengths below which grey levels and gradients count as flat, so that noise does not match noise."""

Form = tuple[Window, Window]
"""The windows of the scored and of the training picture that are compared."""


def _grid(side: float) -> list[Window]:
    """Nine windows of this side: at the corners, at the middles of the edges, and in the centre."""
    starts = (0.0, (1 - side) / 2, 1 - side)
    return [(top, left, side) for top in starts for left in starts]


def _crops(windows: list[Window]) -> list[Form]:
    return [form for window in windows for form in ((window, WINDOWS[0]), (WINDOWS[0], window))]


def _shifts(side: float) -> list[Form]:
    """Both cropped, at opposite sides."""
    pairs = [(window, (1 - side - window[0], 1 - side - window[1], side)) for window in _grid(side)]
    return pairs[:4] + pairs[5:]


_WHOLE: Form = (WINDOWS[0], WINDOWS[0])
_SEARCHED: list[Form] = [_WHOLE, *_crops(_grid(0.85)[::2]), *_shifts(0.88)]
_ALIGNED: list[Form] = [
    _WHOLE,
    *(form for side in (0.97, 0.93, 0.88, 0.83, 0.78) for form in _crops(_grid(side))),
    *(form for side in (0.97, 0.93, 0.88) for form in _shifts(side)),
]


def closest_pairs(tested: np.ndarray, trained: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The closest training picture of each scored picture.

    Args:
        tested: thumbnails of N scored pictures, uint8 (N, 32, 32).
        trained: thumbnails of M training pictures, uint8 (M, 32, 32).
        usable: which training pictures may match, bool (M,).

    Returns:
        Its index, int64 (N,); and the score of the pair, below 1, float32 (N,).
    """
    parts = {window: _halves(trained, window, usable) for _, window in _SEARCHED}
    match, score = np.zeros(len(tested), dtype=np.int64), np.zeros(len(tested), dtype=np.float32)

    def work() -> Iterator[None]:
        for start in range(0, len(tested), _QUERIES):
            rows = tested[start : start + _QUERIES]
            candidates = _candidates(rows, parts)
            values = _scores(rows, trained, candidates)
            best = values.argmax(axis=1)
            each = np.arange(len(rows))
            match[start : start + _QUERIES] = candidates[each, best]
            score[start : start + _QUERIES] = values[each, best]
            yield from [None] * len(rows)

    for _ in watched(work(), len(tested), "Comparing with train"):
        pass
    return match, score


def _halves(thumbnails: np.ndarray, window: Window, usable: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The descriptors in two halves, (32, N) each: the even and the odd horizontal frequencies."""
    chunks = [describe(thumbnails[i : i + _ROWS], COARSE, window) for i in range(0, len(thumbnails), _ROWS)]
    whole = np.concatenate(chunks)
    if usable is not None:
        whole[~usable] = 0
    odd = np.arange(COARSE**2) % COARSE % 2 == 1
    return np.ascontiguousarray(whole[:, ~odd].T), np.ascontiguousarray(whole[:, odd].T)


def _candidates(thumbnails: np.ndarray, parts: dict[Window, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The indices of the most similar training pictures in any form: int64 (n, _CANDIDATES)."""
    count = min(_CANDIDATES, next(iter(parts.values()))[0].shape[1])
    best: np.ndarray | None = None
    for window, other in _SEARCHED:
        even, odd = _halves(thumbnails, window)
        # Mirroring changes the sign of the odd frequencies alone, so this is the greater of both similarities.
        similarity = odd.T @ parts[other][1]
        np.abs(similarity, out=similarity)
        similarity += even.T @ parts[other][0]
        best = similarity if best is None else np.maximum(best, similarity, out=best)
    assert best is not None
    return np.argpartition(-best, count - 1, axis=1)[:, :count]


def _scores(thumbnails: np.ndarray, base: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The score of each candidate in its best form: float32 (n, candidates)."""
    unique, position = np.unique(candidates, return_inverse=True)
    position = position.reshape(candidates.shape)
    others = base[unique]
    best = np.full(candidates.shape, -1.0, dtype=np.float32)
    number, is_mirrored = np.zeros(candidates.shape, dtype=np.int64), np.zeros(candidates.shape, dtype=bool)
    for i, (window, other) in enumerate(_ALIGNED):
        plain, against = describe(thumbnails, FINE, window), describe(others, FINE, other)[position]
        for mirror, queries in ((False, plain), (True, mirrored(plain, FINE))):
            similarity = np.einsum("nd,ncd->nc", queries, against)
            better = similarity > best
            best[better], number[better], is_mirrored[better] = similarity[better], i, mirror
    rows = np.repeat(np.arange(len(thumbnails)), candidates.shape[1])
    detail = _in_detail(thumbnails[rows], others[position.ravel()], number.ravel(), is_mirrored.ravel())
    return np.minimum((best + detail.reshape(candidates.shape)) / 3, np.float32(0.999999))


def _in_detail(first: np.ndarray, second: np.ndarray, number: np.ndarray, is_mirrored: np.ndarray) -> np.ndarray:
    """The sum of the second and the third correlation of P aligned pairs: float32 (P,)."""
    left, right = (np.empty((len(first), SIDE, SIDE), dtype=np.float32) for _ in range(2))
    for i in np.unique(number).tolist():
        rows, (window, other) = number == i, _ALIGNED[i]
        left[rows], right[rows] = cut_out(first[rows], window), cut_out(second[rows], other)
    left[is_mirrored] = left[is_mirrored][:, :, ::-1]
    inside = [pixels[:, _BORDER:-_BORDER, _BORDER:-_BORDER].reshape(len(first), -1) for pixels in (left, right)]
    centred = [pixels - pixels.mean(axis=1, keepdims=True) for pixels in inside]
    return _correlation(centred[0], centred[1], _LEAST_SQUARES) + _correlation(
        _roots(left), _roots(right), _LEAST_ROOTS
    )


def _roots(pixels: np.ndarray) -> np.ndarray:
    """The square roots of the gradients inside the border, with their signs: float32 (P, D)."""
    near, far, inside = (slice(_BORDER + step, SIDE - _BORDER + step) for step in (-1, 1, 0))
    across, down = pixels[:, inside, far] - pixels[:, inside, near], pixels[:, far, inside] - pixels[:, near, inside]
    both = np.concatenate([across.reshape(len(pixels), -1), down.reshape(len(pixels), -1)], axis=1)
    return np.sign(both) * np.sqrt(np.abs(both))


def _correlation(first: np.ndarray, second: np.ndarray, least: float) -> np.ndarray:
    """The scalar product of each two rows of length one; smaller for rows shorter than `least`."""
    lengths = [np.maximum(np.linalg.norm(rows, axis=1), least) for rows in (first, second)]
    return (first * second).sum(axis=1) / (lengths[0] * lengths[1])
