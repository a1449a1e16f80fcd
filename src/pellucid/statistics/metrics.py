"""Metrics of a classifier, from labels and probabilities.

N is the number of pictures, K the number of classes. Labels are int64 (N,) with values 0 to K − 1; probabilities are
float (N, K). The rows of a confusion matrix are the labels, its columns the predicted classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST = (float(-np.log(np.finfo(np.float32).eps)), 2.0)
"""The largest log loss and Brier score of a picture."""


class PerClass(NamedTuple):
    """Scores per class, float64 (K,); NaN where a score is not defined.

    Attributes:
        precision: hits / pictures predicted as the class. Not defined if there are none.
        recall: hits / pictures of the class. Not defined if there are none.
        f1: 2 · hits / (pictures of the class + pictures predicted as it). Not defined if there are none of either.
        support: number of pictures of the class, int64 (K,).
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Number of pictures by label (row) and predicted class (column), int64 (K, K)."""
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    assert labels.shape == predicted.shape
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def per_class(confusion: np.ndarray) -> PerClass:
    """Precision, recall, F1 and support of each class, from the confusion matrix (K, K)."""
    hits = np.diagonal(confusion).astype(np.float64)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return PerClass(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),
        support=support,
    )


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rank of each picture's label among the K probabilities, 0 for the most probable, int64 (N,).

    On ties, the class with the lower index comes first, as in `Predictions.top` and `argmax`.
    """
    labels = np.asarray(labels)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    return ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)


def top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The fraction of pictures with the label among the k most probable classes, 0 to 1."""
    return float((ranks(probabilities, labels) < k).mean())


def log_loss(probabilities: np.ndarray, labels: np.ndarray, *, floor: float | None = None) -> float:
    """The mean of −log p of the label, in nats.

    Args:
        probabilities: (N, K).
        labels: (N,).
        floor: lower bound on p; by default the epsilon of float32, about 1.2e-07, so that a mistake with p = 0 costs
            15.9 nats instead of infinity.
    """
    return float(log_losses(probabilities, labels, floor=floor).mean())


def log_losses(probabilities: np.ndarray, labels: np.ndarray, *, floor: float | None = None) -> np.ndarray:
    """−log p of each picture's label, float64 (N,), as in `log_loss`."""
    floor = float(np.finfo(np.float32).eps) if floor is None else floor
    own = np.take_along_axis(probabilities, np.asarray(labels)[:, None], axis=1)[:, 0].astype(np.float64)
    return -np.log(np.clip(own, floor, 1.0)) + 0.0  # not −0.0 for a perfect score


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The squared distance of each picture's probabilities from 1 for its label and 0 else, 0 to 2, float64 (N,).

    Their mean is the Brier score (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    own = np.take_along_axis(p, np.asarray(labels)[:, None], axis=1)[:, 0]
    return (p**2).sum(axis=1) - own**2 + (1 - own) ** 2


def are_probabilities(probabilities: np.ndarray) -> bool:
    """Whether the rows are distributions over the classes, and not all of them a bare answer (one 1, else 0)."""
    p = np.asarray(probabilities, dtype=np.float64)
    sums_to_one = p.min(initial=0.0) >= 0 and np.allclose(p.sum(axis=1), 1, atol=1e-3)
    return bool(sums_to_one and not np.isin(p, (0.0, 1.0)).all())


def base_rate(labels: np.ndarray, classes: int) -> tuple[float, int]:
    """The accuracy of always predicting the most frequent class, and its index (the lowest on ties)."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes)
    index = int(counts.argmax())
    return float(counts[index] / counts.sum()), index


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
