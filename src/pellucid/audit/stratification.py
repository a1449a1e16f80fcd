"""Hidden stratification: kinds of pictures within a class on which the model is reliably worse.

A class may hold several kinds of pictures, and a good average may hide a kind that fails (Oakden-Rayner et al., "Hidden
stratification causes clinically meaningful failures", 2020). The pictures of each class are clustered in feature space,
without looking at the predictions. Each cluster is compared with the others of its class by Fisher's exact test, with
Holm's correction over all clusters. Intervals hold for all clusters at once (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.audit.subject import Subject
from pellucid.data.thumbnails import thumbnail
from pellucid.records import Figure, Finding, Remark, Table
from pellucid.statistics.groups import difference, holm
from pellucid.statistics.intervals import wilson

__all__ = ["check"]

LEVEL = 0.05
_GAP = 0.1
"""A cluster is named if it is at least this much worse than the rest of its class."""
_EACH = 40
"""Pictures of a class per cluster."""
_MOST = 5
_STEPS = 20
_SHOWN = 12


@dataclass(frozen=True)
class Cluster:
    """Pictures of one class: their indices, int64, and how many are right of how many, here and in the class's rest."""

    label: int
    rows: np.ndarray
    right: int
    other_right: int
    other_n: int

    @property
    def accuracy(self) -> float:
        return self.right / len(self.rows)

    @property
    def gap(self) -> float:
        return self.other_right / self.other_n - self.accuracy


def check(subject: Subject) -> list[Finding]:
    """Compares the clusters of each class."""
    clusters = _clusters(subject)
    if not clusters:
        text = f"No class has {2 * _EACH} pictures, so there are too few to look for kinds of pictures."
        return [Remark("stratification", "info", text)]
    p_values = holm([difference(c.right, len(c.rows), c.other_right, c.other_n) for c in clusters])
    worse = [i for i, c in enumerate(clusters) if p_values[i] <= LEVEL and c.gap >= _GAP]
    worse.sort(key=lambda i: -clusters[i].gap)
    confidence = 1 - LEVEL / len(clusters)
    rows = tuple(
        (subject.classes[c.label], c.accuracy, *wilson(c.right, len(c.rows), confidence), len(c.rows), c.gap,
         float(p_values[i]), "worse" if i in worse else "no difference shown")
        for i, c in sorted(enumerate(clusters), key=lambda pair: -pair[1].gap)
    )  # fmt: skip
    columns = ("class", "accuracy %", "low %", "high %", "n", "gap %", "p", "result")
    note = f"{len(clusters):,} clusters; intervals hold for all at once, p-values are adjusted by Holm."
    table = Table("clusters", columns, rows, note)
    if not worse:
        text = (
            f"No cluster of {len(clusters):,} is shown to be {100 * _GAP:.0f} points worse than the rest of its class."
        )
        return [Remark("stratification", "info", text), table]
    items: list[Finding] = [_remark(subject, clusters, worse, confidence), table]
    if subject.pictures is not None:
        items.append(_figure(subject, clusters[worse[0]]))
    return items


def _remark(subject: Subject, clusters: list[Cluster], worse: list[int], confidence: float) -> Remark:
    cluster = clusters[worse[0]]
    low, high = wilson(cluster.right, len(cluster.rows), confidence)
    wrong = [str(subject.predictions.ids[row]) for row in cluster.rows.tolist() if not subject.right[row]]
    more = f" {len(worse) - 1:,} more clusters are worse." if len(worse) > 1 else ""
    text = (
        f"A kind of '{subject.classes[cluster.label]}' fails: {cluster.right:,} of {len(cluster.rows):,} similar "
        f"pictures are right, {100 * cluster.accuracy:.0f} % ({100 * low:.0f} to {100 * high:.0f}, corrected for "
        f"{len(clusters):,} clusters), and {100 * cluster.other_right / cluster.other_n:.0f} % of the rest of the "
        f"class. Such as {', '.join(wrong[:3])}.{more}"
    )
    advice = "Look at these pictures together, name what they share, and collect more of them for training."
    return Remark("stratification", "warning", text, advice, len(cluster.rows), tuple(wrong[:100]))


def _clusters(subject: Subject) -> list[Cluster]:
    features, labels, right = subject.features, subject.labels, subject.right
    clusters = []
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        count = min(_MOST, len(rows) // _EACH)
        if count < 2:
            continue
        assigned = _k_means(features[rows].astype(np.float64), count, subject.seed)
        hits = int(right[rows].sum())
        for number in np.unique(assigned).tolist():
            members = rows[assigned == number]
            own = int(right[members].sum())
            if len(members) < len(rows):
                clusters.append(Cluster(label, members, own, hits - own, len(rows) - len(members)))
    return clusters


def _k_means(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The cluster of each row by k-means (Lloyd 1982), started as k-means++ (Arthur and Vassilvitskii 2007): (N,)."""
    spread = features.std(axis=0)
    points = (features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    random = np.random.default_rng(seed)
    centres = points[[int(random.integers(len(points)))]]
    for _ in range(count - 1):
        distance = _distances(points, centres).min(axis=1)
        total = distance.sum()
        row = int(random.choice(len(points), p=distance / total)) if total > 0 else int(random.integers(len(points)))
        centres = np.concatenate([centres, points[[row]]])
    for _ in range(_STEPS):
        assigned = _distances(points, centres).argmin(axis=1)
        moved = np.stack([
            points[assigned == number].mean(axis=0) if (assigned == number).any() else centres[number]
            for number in range(count)
        ])  # fmt: skip
        if np.allclose(moved, centres):
            break
        centres = moved
    return _distances(points, centres).argmin(axis=1)


def _distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances, (N, number of centres)."""
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)[None, :]
    return np.maximum(squares, 0.0)


def _figure(subject: Subject, cluster: Cluster) -> Figure:
    assert subject.pictures is not None
    order = sorted(cluster.rows.tolist(), key=lambda row: bool(subject.right[row]))
    cells = [
        {
            "id": str(subject.predictions.ids[row]),
            "label": subject.classes[subject.labels[row]],
            "predicted": subject.classes[subject.predictions.predicted[row]],
            "probability": float(subject.predictions.confidence[row]),
            "png": thumbnail(subject.pictures, row),
        }
        for row in order[:_SHOWN]
    ]
    return Figure("worst_cluster", "pictures", {"cells": cells}, title="A kind of picture on which the model is worse")
