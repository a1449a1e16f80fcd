"""Leaks: scored pictures that are also in the training split, unchanged or nearly so.

Each scored picture is compared with all training pictures, also mirrored, cropped and shifted (`matching`). The score
of a pair is a mean of correlations, at most 1; equal pixels have 1.

A score alone means little: two digits resemble each other more than two photos do. So a leak must also be much closer
than the scored picture is to the training pictures at large, as in `pellucid.data.checking.near_duplicates`.
"""

from __future__ import annotations

import numpy as np

from pellucid.audit.matching import closest_pairs
from pellucid.audit.subject import Subject
from pellucid.data.checking.descriptors import FINE, describe, mirrored
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.data.thumbnails import thumbnail
from pellucid.records import Figure, Finding, Metric, Remark, Split, Table
from pellucid.statistics.intervals import wilson

__all__ = ["check", "closest"]

_ROWS = 1024
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
        Its index, int64 (N,); the score of the pair, float32 (N,); and whether it is a leak, bool (N,).
    """
    usable = trained.readable & (trained.contrast >= _FLATTEST)
    match, value = closest_pairs(tested.thumbnails, trained.thumbnails, usable)
    _set_equal(tested, trained, match, value)
    flat = ~tested.readable | (tested.contrast < _FLATTEST)
    value[flat] = -1
    distance = 1 - value
    is_leak = (distance <= _DISTANCE) & (distance <= _FACTOR * _usual(tested, trained) ** 2) & ~flat
    return match, value, is_leak


def _set_equal(tested: PictureStatistics, trained: PictureStatistics, match: np.ndarray, value: np.ndarray) -> None:
    """Equal pixels have a score of exactly 1; all others have less already."""
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
    for start in range(0, len(tested), _ROWS):
        queries = describe(tested.thumbnails[start : start + _ROWS], FINE)
        similarity = np.maximum(queries @ sample.T, queries @ mirrored(sample, FINE).T)
        usual[start : start + _ROWS] = 1 - np.partition(similarity, len(sample) - rank - 1, axis=1)[:, -rank - 1]
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
