"""Label errors: pictures whose label is probably wrong, the most suspicious first.

Three judges, none of which has seen the label that it judges:

1. the model, if it did not learn from these pictures;
2. a linear head on the model's features, trained on the other pictures of the split (5-fold cross-validation);
3. the labels of the nearest other pictures in feature space.

Each gives the label a probability p. The score of a picture is the sum of −log p over the judges: a wrong label
contradicts all of them. With the first judge alone, the order is that of self-confidence, by which cleanlab ranks; on
planted errors, the three together put more of them first (figures: LOG.md).

Confident learning estimates how many labels are wrong (Northcutt, Jiang and Chuang, "Confident learning: estimating
uncertainty in dataset labels", 2021). A label counts if another class reaches the mean probability that pictures with
that other label have for it, and the label itself does not reach its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.audit.subject import Subject
from pellucid.data.progress import watched
from pellucid.data.thumbnails import thumbnail
from pellucid.records import Figure, Finding, Remark, Table
from pellucid.training.methods.head import fit

__all__ = ["Suspects", "check", "judge", "ranked"]

_FOLDS = 5
_PENALTY = 300.0
_NEIGHBOURS = 20
_LEAST = 50
"""With fewer pictures, the second and the third judge have too little to learn from."""
_ROWS = 1024
_MOST_LISTED = 10_000
_SHOWN = 24


class Suspects:
    """N pictures with the probabilities of the judges.

    Args:
        labels: int64 (N,).
        judges: probabilities of each judge, float64 (N, K).
    """

    def __init__(self, labels: np.ndarray, judges: list[np.ndarray]) -> None:
        logs = [np.log(np.clip(probabilities, 1e-7, 1.0)) for probabilities in judges]
        own = np.arange(len(labels)), labels
        self.labels = labels
        self.scores = -np.sum([log[own] for log in logs], axis=0)
        """How suspicious each label is: near 0 if all judges are sure of it, float64 (N,)."""
        mean = np.sum(logs, axis=0)
        mean[own] = -np.inf
        self.suggested = mean.argmax(axis=1)
        """The most probable other class, int64 (N,)."""
        shares = np.exp(np.mean(logs, axis=0))
        self.probabilities = shares / shares.sum(axis=1, keepdims=True)
        """The judges together, float64 (N, K)."""

    def are_errors(self) -> np.ndarray:
        """Which labels are wrong by confident learning: bool (N,)."""
        classes = self.probabilities.shape[1]
        thresholds = np.ones(classes)
        for label in np.unique(self.labels).tolist():
            thresholds[label] = self.probabilities[self.labels == label, label].mean()
        reached = self.probabilities >= thresholds
        rows = np.arange(len(self.labels))
        likely = np.where(reached, self.probabilities, -1).argmax(axis=1)
        return reached.any(axis=1) & (likely != self.labels) & ~reached[rows, self.labels]


def ranked(scores: np.ndarray) -> np.ndarray:
    """Indices by score, the highest first; equal ones in their order: int64 (N,)."""
    return np.argsort(-scores, kind="stable")


def judge(features: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> list[np.ndarray]:
    """The probabilities of the second and the third judge, each float64 (N, K).

    Args:
        features: float32 (N, D).
        labels: int64 (N,).
        classes: K.
        seed: of the folds.
    """
    scaled = (features - features.mean(axis=0)) / (features.std() or 1.0)
    head = np.full((len(labels), classes), 1.0 / classes)
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS

    def work() -> Iterator[None]:
        for fold in range(_FOLDS):
            out = folds == fold
            logits = fit(scaled[~out], labels[~out], classes, _PENALTY)(scaled[out])
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            head[out] = shares / shares.sum(axis=1, keepdims=True)
            yield None

    for _ in watched(work(), _FOLDS, "Judging labels"):
        pass
    return [head, _of_neighbours(features, labels, classes)]


def _of_neighbours(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The shares of the classes among the nearest other pictures by angle, smoothed by one picture of each class."""
    count = min(_NEIGHBOURS, len(labels) - 1)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    votes = np.zeros((len(labels), classes))
    for start in range(0, len(unit), _ROWS):
        similarity = unit[start : start + _ROWS] @ unit.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        nearest = labels[np.argpartition(-similarity, count - 1, axis=1)[:, :count]]
        np.add.at(votes, (start + np.repeat(rows, count), nearest.ravel()), 1)
    return (votes + 1) / (count + classes)


def check(subject: Subject) -> list[Finding]:
    """Ranks the labels of the scored pictures."""
    judges = [] if subject.predictions.split == "train" else [subject.predictions.probabilities.astype(np.float64)]
    if subject.model is not None and subject.pictures is not None and len(subject) >= _LEAST:
        judges += judge(subject.features, subject.labels, len(subject.classes), subject.seed)
    if not judges:
        return [Remark("label_errors", "info", f"{len(subject):,} training pictures are too few to judge labels by.")]
    suspects = Suspects(subject.labels, judges)
    order = ranked(suspects.scores)
    wrong = int(suspects.are_errors().sum())
    split, classes = subject.predictions.split or "all", subject.classes
    indices = np.arange(len(subject)) if subject.indices is None else subject.indices
    rows = tuple(
        (split, int(indices[i]), float(f"{suspects.scores[i]:.6g}"), classes[subject.labels[i]],
         classes[suspects.suggested[i]])
        for i in order[:_MOST_LISTED].tolist()
    )  # fmt: skip
    table = Table("label_errors_table", ("split", "index", "score", "given", "suggested"), rows)
    items: list[Finding] = [_remark(subject, suspects, order, wrong), table]
    if subject.pictures is not None:
        items.append(_figure(subject, suspects, order[: min(_SHOWN, max(wrong, 8))]))
    return items


def _remark(subject: Subject, suspects: Suspects, order: np.ndarray, wrong: int) -> Remark:
    if not wrong:
        return Remark("label_errors", "info", f"No label of {len(subject):,} is contradicted.")
    ids, classes = subject.predictions.ids, subject.classes
    first = [
        f"{ids[i]} ('{classes[subject.labels[i]]}', probably '{classes[suspects.suggested[i]]}')"
        for i in order[: min(wrong, 3)].tolist()
    ]
    share = wrong / len(subject)
    text = (
        f"{wrong:,} of {len(subject):,} labels ({100 * share:.2g} %) are probably wrong. The most suspicious: "
        f"{', '.join(first)}."
    )
    advice = (
        "Look at them in label_errors.csv (--out FOLDER), write your decisions into a table, and apply it: "
        "pellucid relabel DATA decisions.csv."
    )
    names = tuple(str(ids[i]) for i in order[: min(wrong, 100)].tolist())
    return Remark("label_errors", "warning", text, advice, wrong, names)


def _figure(subject: Subject, suspects: Suspects, rows: np.ndarray) -> Figure:
    assert subject.pictures is not None
    cells = [
        {
            "id": str(subject.predictions.ids[i]),
            "label": subject.classes[subject.labels[i]],
            "predicted": subject.classes[suspects.suggested[i]],
            "probability": float(suspects.probabilities[i, suspects.suggested[i]]),
            "png": thumbnail(subject.pictures, i),
        }
        for i in rows.tolist()
    ]
    return Figure("label_error_pictures", "pictures", {"cells": cells}, title="The most suspicious labels")
