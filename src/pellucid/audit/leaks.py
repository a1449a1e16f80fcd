"""Leaks: scored pictures that are also in the training split, unchanged or nearly so.

Each scored picture is compared with all training pictures by the descriptors of `pellucid.data.checking`: correlations
of frequencies, blind to brightness and contrast, also mirrored. The closest candidates are compared again in finer
detail, also cropped and shifted. The score of a pair is that correlation, at most 1; equal pixels have 1.

A score alone means little: two digits resemble each other more than two photos do. So a leak must also be much closer
than the scored picture is to the training pictures at large, as in `pellucid.data.checking.near_duplicates`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.audit.subject import Subject
from pellucid.data.checking.descriptors import COARSE, FINE, WINDOWS, describe, mirrored, neighbours
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.data.progress import watched
from pellucid.data.thumbnails import thumbnail
from pellucid.records import Figure, Finding, Metric, Remark, Split, Table
from pellucid.statistics.intervals import wilson

__all__ = ["check", "closest"]

_CANDIDATES = 5
"""Training pictures that are compared in detail, for each scored picture and each of its two mirror images."""
_QUERIES, _ROWS = 1024, 8192
_DISTANCE, _FACTOR = 0.20, 0.17
"""A leak has at most this distance (1 − score), and at most this factor times the square of the usual distance: the
bounds of `near_duplicates`, chosen on training pictures with planted copies."""
_SAMPLE, _HUNDREDTH = 1000, 10
_LISTED = 0.35
"""Pairs up to this distance are listed in the table."""
_FLATTEST = 2.0
_SHOWN = 12


def check(subject: Subject) -> list[Finding]:
    """Compares the scored pictures with the training pictures."""
    assert subject.pictures is not None and subject.train is not None
    tested, trained = _scan(subject.pictures), _scan(subject.train)
    match, score, is_leak = closest(tested, trained)
    listed_rows = np.flatnonzero(score >= 1 - _LISTED)
    order = listed_rows[np.lexsort((listed_rows, -score[listed_rows]))]
    indices = np.arange(len(subject)) if subject.indices is None else subject.indices
    rows = tuple((int(indices[i]), int(match[i]), float(f"{score[i]:.6g}")) for i in order.tolist())
    table = Table("leaks_table", ("test_index", "train_index", "score"), rows)
    count, n = int(is_leak.sum()), len(subject)
    if not count:
        return [Remark("leaks", "info", f"None of {n:,} pictures is also among the {len(subject.train):,} of train."),
                table]  # fmt: skip
    items: list[Finding] = [table, *_without(subject, is_leak), _figure(subject, match, order[is_leak[order]])]
    labels, train_labels = subject.labels, subject.train.labels
    differ = 0 if train_labels is None else int((labels[is_leak] != train_labels[match[is_leak]]).sum())
    conflict = f" {differ:,} of them have another label there." if differ else ""
    value = f" Without them, accuracy is {_percents(subject, ~is_leak)} instead of {_percents(subject, None)}."
    text = f"{count:,} of {n:,} pictures are also in train, unchanged or nearly so.{conflict}" + value * (count < n)
    advice = "Remove one of each pair (leaks.csv with --out FOLDER), and quote the accuracy without them."
    ids = tuple(str(name) for name in subject.predictions.ids[is_leak][:100])
    return [Remark("leaks", "warning" if count < 0.02 * n else "error", text, advice, count, ids), *items]


def _percents(subject: Subject, rows: np.ndarray | None) -> str:
    right = subject.right if rows is None else subject.right[rows]
    return f"{100 * right.mean():.2f} %" if len(right) else "not defined"


def _scan(split: Split) -> PictureStatistics:
    return scan_pictures(split.pictures, [str(name) for name in split.ids])


def closest(tested: PictureStatistics, trained: PictureStatistics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The closest training picture of each scored picture.

    Args:
        tested: statistics of N scored pictures.
        trained: statistics of M training pictures.

    Returns:
        Its index, int64 (N,); the correlation, float32 (N,); and whether it is a leak, bool (N,).
    """
    queries = describe(tested.thumbnails, COARSE)
    base = _in_parts(trained.thumbnails, COARSE)
    usable = trained.readable & (trained.contrast >= _FLATTEST)
    base[~usable] = 0
    candidates = np.concatenate([_nearest(queries, base), _nearest(mirrored(queries, COARSE), base)], axis=1)
    score = np.full(candidates.shape, -1.0, dtype=np.float32)

    def work() -> Iterator[None]:
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            score[part] = _verified(tested.thumbnails[part], trained.thumbnails, candidates[part])
            yield from [None] * len(queries[part])

    for _ in watched(work(), len(queries), "Comparing with train"):
        pass
    best = score.argmax(axis=1)
    rows = np.arange(len(queries))
    match, value = candidates[rows, best], score[rows, best]
    _set_equal(tested, trained, match, value)
    flat = ~tested.readable | (tested.contrast < _FLATTEST)
    value[flat] = -1
    distance = 1 - value
    is_leak = (distance <= _DISTANCE) & (distance <= _FACTOR * _usual(tested, trained) ** 2) & ~flat
    return match, value, is_leak


def _in_parts(thumbnails: np.ndarray, frequencies: int) -> np.ndarray:
    parts = [describe(thumbnails[i : i + _ROWS], frequencies) for i in range(0, len(thumbnails), _ROWS)]
    return np.concatenate(parts)


def _nearest(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The indices of the most similar training pictures of each picture: int64 (N, _CANDIDATES)."""
    count = min(_CANDIDATES, len(base))
    nearest = np.empty((len(queries), count), dtype=np.int64)
    for start in range(0, len(queries), _QUERIES):
        similarity = queries[start : start + _QUERIES] @ base.T
        nearest[start : start + _QUERIES] = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return nearest


def _verified(thumbnails: np.ndarray, base: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The correlation with each candidate in fine detail, in its best form: float32 (N, candidates)."""
    best = np.full(candidates.shape, -1.0, dtype=np.float32)
    windows = sorted({WINDOWS[0], *WINDOWS, *(near for window in WINDOWS[1:] for near in neighbours(window)[::3])})
    plain = describe(thumbnails, FINE)
    unique, position = np.unique(candidates, return_inverse=True)
    position = position.reshape(candidates.shape)
    whole = describe(base[unique], FINE)
    for window in windows:
        forms = plain if window == WINDOWS[0] else describe(thumbnails, FINE, window)
        others = whole if window == WINDOWS[0] else describe(base[unique], FINE, window)
        for left, right in ((forms, whole), (plain, others)):
            for queries in (left, mirrored(left, FINE)):
                similarity = np.einsum("nd,ncd->nc", queries, right[position])
                np.maximum(best, similarity, out=best)
            if window == WINDOWS[0]:
                break
    return best


def _set_equal(tested: PictureStatistics, trained: PictureStatistics, match: np.ndarray, value: np.ndarray) -> None:
    """Equal pixels have a score of exactly 1, and all others less."""
    value[:] = np.minimum(value, np.float32(0.999999))
    first = {bytes(digest): i for i, digest in reversed(list(enumerate(trained.digests)))}
    for row, digest in enumerate(tested.digests):
        equal = first.get(bytes(digest))
        if equal is not None and tested.readable[row]:
            match[row], value[row] = equal, 1.0


def _usual(tested: PictureStatistics, trained: PictureStatistics) -> np.ndarray:
    """The distance of each scored picture to the most similar hundredth of a sample of train: float32 (N,)."""
    rows = np.linspace(0, len(trained) - 1, min(len(trained), _SAMPLE)).astype(np.int64)
    sample = describe(trained.thumbnails[rows], FINE)
    rank = min(_HUNDREDTH, max(2, len(sample) // 5), len(sample) - 1)
    usual = np.empty(len(tested), dtype=np.float32)
    for start in range(0, len(tested), _QUERIES):
        queries = describe(tested.thumbnails[start : start + _QUERIES], FINE)
        similarity = np.maximum(queries @ sample.T, queries @ mirrored(sample, FINE).T)
        usual[start : start + _QUERIES] = 1 - np.partition(similarity, len(sample) - rank - 1, axis=1)[:, -rank - 1]
    return usual


def _without(subject: Subject, is_leak: np.ndarray) -> list[Metric]:
    """The accuracy without the leaked pictures, and on them."""
    metrics = []
    for name, rows, note in (
        ("accuracy_without_leaks", ~is_leak, "without the pictures that are also in train"),
        ("accuracy_on_leaks", is_leak, "on the pictures that are also in train"),
    ):
        n, right = int(rows.sum()), int(subject.right[rows].sum())
        if n:
            metrics.append(Metric(name, right / n, n, *wilson(right, n), unit="fraction", note=note))
    return metrics


def _figure(subject: Subject, match: np.ndarray, rows: np.ndarray) -> Figure:
    """Each leaked picture beside its training picture."""
    assert subject.pictures is not None and subject.train is not None
    cells = []
    for row in rows[:_SHOWN].tolist():
        cells.append({"id": str(subject.pictures.ids[row]), "png": thumbnail(subject.pictures, row)})
        train_row = int(match[row])
        cells.append({"id": str(subject.train.ids[train_row]), "png": thumbnail(subject.train, train_row)})
    return Figure("leaked_pictures", "pictures", {"cells": cells}, title="Pictures that are also in train")
