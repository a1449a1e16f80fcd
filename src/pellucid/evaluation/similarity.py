"""How accurate a model is on photos that are like its training photos, and on those that are not.

A test split often comes from the same session as the training photos. A new photo will rarely be as similar, so its
accuracy is nearer to that on the dissimilar part.
"""

from __future__ import annotations

import itertools

import numpy as np

from pellucid.records import Finding, Metric, Predictions, Table
from pellucid.statistics.intervals import wilson

SIMILAR = 0.8
"""Cosine similarity of two photos' features from which on they are called similar."""
_EDGES = (-1.0, 0.6, 0.7, SIMILAR, 0.9, 1.0)
_FEWEST = 10
"""Each of both parts has at least so many photos, or nothing is reported."""
_VALUES_AT_ONCE = 20_000_000


def nearest_similarity(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Cosine similarity of each photo to the most similar training photo, float32 (N,).

    Args:
        features: features of N photos, float32 (N, D).
        train: features of M training photos, float32 (M, D), M at least 1.
    """
    train = _normalised(train)
    step = max(1, _VALUES_AT_ONCE // len(train))
    parts = [
        (_normalised(features[start : start + step]) @ train.T).max(axis=1) for start in range(0, len(features), step)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def accuracy_by_similarity(predictions: Predictions, similarity: np.ndarray) -> list[Finding]:
    """The accuracy on photos that are unlike all training photos, and a table of ranges of similarity.

    Args:
        predictions: predictions for N photos, with labels.
        similarity: of each photo to its nearest training photo, float (N,).

    Returns:
        The metric `accuracy_on_dissimilar` and the table `accuracy_by_similarity`; nothing if fewer than 10 photos are
        similar or dissimilar.
    """
    assert predictions.labels is not None
    right = np.asarray(predictions.predicted == predictions.labels)
    similar = similarity >= SIMILAR
    counts = [int(part.sum()) for part in (similar, ~similar)]
    if min(counts) < _FEWEST:
        return []
    near, far = (int(right[part].sum()) for part in (similar, ~similar))
    low, high = wilson(far, counts[1])
    note = (
        f"photos whose nearest training photo has a similarity below {SIMILAR:g}, as most new photos will; on the "
        f"{counts[0]:,} others {100 * near / counts[0]:.1f} %"
    )
    rows = []
    for start, stop in itertools.pairwise(_EDGES):
        part = (similarity >= start) & ((similarity < stop) | (stop == _EDGES[-1]))
        n = int(part.sum())
        if n:
            count = int(right[part].sum())
            name = f"below {stop:g}" if start == _EDGES[0] else f"{start:g} to {stop:g}"
            rows.append((name, n, count / n, *wilson(count, n)))
    return [
        Metric("accuracy_on_dissimilar", far / counts[1], counts[1], low, high, unit="fraction", note=note),
        Table(
            "accuracy_by_similarity",
            ("nearest training photo", "n", "accuracy %", "low %", "high %"),
            tuple(rows),
            "Cosine similarity of the features; 95 % Wilson intervals.",
        ),
    ]


def _normalised(features: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    features = np.asarray(features, dtype=np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
