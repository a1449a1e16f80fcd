"""The metrics that groups can be compared by, with their intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.errors import UnknownNameError, UsageError
from pellucid.records import Predictions
from pellucid.statistics import metrics
from pellucid.statistics.groups import bootstrap, is_above, is_below
from pellucid.statistics.intervals import wilson

__all__ = ["GroupMetric", "GroupValue", "measure", "require_metric"]

NAMES = ("accuracy", "error_rate", "top_K_accuracy", "recall:CLASS", "precision:CLASS", "f1:CLASS", "balanced_accuracy",
         "log_loss", "brier")  # fmt: skip
_FORM = re.compile(r"(?P<name>accuracy|error_rate|balanced_accuracy|log_loss|brier)|top_(?P<k>\d+)_accuracy|"
                   r"(?P<kind>recall|precision|f1):(?P<of>.+)")  # fmt: skip


@dataclass(frozen=True)
class GroupMetric:
    """A metric by its name; for `recall:ill`, `kind` is `recall` and `of` is `ill`."""

    name: str
    kind: str
    of: str = ""
    k: int = 1

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.kind not in ("log_loss", "brier")


@dataclass(frozen=True)
class GroupValue:
    """A metric on one group.

    Attributes:
        value: the metric; NaN if it is not defined, as the recall of a class that does not occur.
        low, high: its 95 % interval.
        n: number of pictures that it counts; for a recall, those of the class.
        right: number of successes if it is a proportion, else None.
        proves: the p-values of "it is at most the bound" and of "it is at least the bound", as a function of the bound.
    """

    value: float
    low: float
    high: float
    n: int
    right: int | None
    proves: Callable[[float], tuple[float, float]]


def require_metric(name: str) -> GroupMetric:
    """The metric with that name.

    Raises:
        UnknownNameError: there is none.
    """
    name = name.strip()
    match = _FORM.fullmatch(name)
    if match is None:
        raise UnknownNameError("metric", name, NAMES)
    if match["k"]:
        return GroupMetric(name, "top_k", k=int(match["k"]))
    return GroupMetric(name, match["name"] or match["kind"], match["of"] or "")


def measure(metric: GroupMetric, predictions: Predictions, rows: np.ndarray) -> GroupValue:
    """The metric on some of the pictures.

    Args:
        metric: the metric.
        predictions: of N pictures, with labels.
        rows: indices of the pictures of the group, int64.

    Raises:
        UsageError: the metric is of a class that the model does not know.
    """
    assert predictions.labels is not None
    labels, predicted = predictions.labels[rows], predictions.predicted[rows]
    if metric.of and metric.of not in predictions.classes:
        raise UsageError(f"There is no class '{metric.of}'; the classes are {', '.join(predictions.classes[:20])}.")
    of = predictions.classes.index(metric.of) if metric.of else -1
    if metric.kind in ("accuracy", "error_rate", "top_k", "recall", "precision"):
        hits = predicted == labels
        if metric.kind == "error_rate":
            hits = ~hits
        elif metric.kind == "top_k":
            hits = metrics.ranks(predictions.probabilities[rows], labels) < metric.k
        elif metric.kind == "recall":
            hits = hits[labels == of]
        elif metric.kind == "precision":
            hits = hits[predicted == of]
        return _share(int(hits.sum()), len(hits))
    return _sampled(_function(metric.kind, of, labels, predicted, predictions.probabilities[rows]), len(rows))


def _share(right: int, n: int) -> GroupValue:
    if n == 0:
        return GroupValue(math.nan, 0.0, 1.0, 0, 0, lambda _: (1.0, 1.0))
    low, high = wilson(right, n)
    return GroupValue(
        right / n, low, high, n, right, lambda bound: (is_above(right, n, bound), is_below(right, n, bound))
    )


def _function(
    kind: str, of: int, labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray
) -> Callable[[np.ndarray], float]:
    """The metric of the pictures at some indices of the group."""
    classes = probabilities.shape[1]
    if kind == "log_loss":
        own = np.clip(np.take_along_axis(probabilities, labels[:, None], 1)[:, 0].astype(float), 1.2e-7, 1)
        losses = -np.log(own)
        return lambda rows: float(losses[rows].mean())
    if kind == "brier":
        squares = ((probabilities - np.eye(classes)[labels]) ** 2).sum(axis=1)
        return lambda rows: float(squares[rows].mean())

    def of_confusion(rows: np.ndarray) -> float:
        scores = metrics.per_class(metrics.confusion_matrix(labels[rows], predicted[rows], classes))
        if kind == "f1":
            return float(scores.f1[of])
        recalls = scores.recall[scores.support > 0]
        return float(recalls.mean()) if len(recalls) else math.nan

    return of_confusion


_DRAWS = 1000


def _sampled(function: Callable[[np.ndarray], float], n: int) -> GroupValue:
    if n == 0:
        return GroupValue(math.nan, math.nan, math.nan, 0, None, lambda _: (1.0, 1.0))
    value = function(np.arange(n))
    low, high = bootstrap(function, n, draws=_DRAWS)

    def proves(bound: float) -> tuple[float, float]:
        # A small group hardly varies between draws, so a bootstrap proves nothing about it.
        if n < 20 or math.isnan(value):
            return 1.0, 1.0
        random = np.random.default_rng(0)
        values = np.array([function(random.integers(0, n, n)) for _ in range(_DRAWS)])
        return float((1 + (values <= bound).sum()) / (_DRAWS + 1)), float((1 + (values >= bound).sum()) / (_DRAWS + 1))

    return GroupValue(value, low, high, n, None, proves)
