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
from pellucid.statistics.groups import is_above, is_below
from pellucid.statistics.intervals import bootstrap_t, f1, mean_of_shares, p_of_mean, wilson

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
    if metric.kind == "f1":
        return _f1(int(((predicted == of) & (labels == of)).sum()), int(((predicted == of) | (labels == of)).sum()))
    if metric.kind == "balanced_accuracy":
        return _balanced(labels, predicted == labels)
    scores = metrics.log_losses if metric.kind == "log_loss" else metrics.brier_scores
    return _mean(scores(predictions.probabilities[rows], labels))


def _share(right: int, n: int) -> GroupValue:
    if n == 0:
        return GroupValue(math.nan, 0.0, 1.0, 0, 0, lambda _: (1.0, 1.0))
    low, high = wilson(right, n)
    return GroupValue(
        right / n, low, high, n, right, lambda bound: (is_above(right, n, bound), is_below(right, n, bound))
    )


def _f1(hits: int, union: int) -> GroupValue:
    """F1 = 2 J / (1 + J) of J = hits / union, so that tests and intervals of the proportion J are those of F1."""
    share = _share(hits, union)
    if not union:
        return share
    low, high = f1(hits, union, hits)
    value = 2 * share.value / (1 + share.value)
    return GroupValue(value, low, high, union, None, lambda bound: share.proves(bound / (2 - bound)))


def _balanced(labels: np.ndarray, hits: np.ndarray) -> GroupValue:
    """The mean recall; the p-value of a bound is the level at which the interval just excludes it."""
    n = np.bincount(labels)
    right = np.bincount(labels[hits], minlength=len(n))[n > 0]
    n = n[n > 0]
    if not len(n):
        return _share(0, 0)
    value = float((right / n).mean())

    def proves(bound: float) -> tuple[float, float]:
        p_at_most, p_at_least = (_excluded(right, n, bound, side) for side in (0, 1))
        return (p_at_most, 1.0) if value > bound else (1.0, p_at_least)

    return GroupValue(value, *mean_of_shares(right, n), len(labels), None, proves)


def _excluded(right: np.ndarray, n: np.ndarray, bound: float, side: int) -> float:
    """The smallest one-sided level at which the limit on this side (0 low, 1 high) excludes the bound, by bisection."""
    low, high = 0.0, 0.5
    for _ in range(30):
        level = (low + high) / 2
        limit = mean_of_shares(right, n, 1 - 2 * level)[side]
        excludes = limit > bound if side == 0 else limit < bound
        low, high = (low, level) if excludes else (level, high)
    return high


def _mean(values: np.ndarray) -> GroupValue:
    n = len(values)
    if n < 2:
        value = float(values[0]) if n else math.nan
        return GroupValue(value, math.nan, math.nan, n, None, lambda _: (1.0, 1.0))
    low, high = bootstrap_t(values[:, None])
    # A small group hardly varies between samples, so a bootstrap proves nothing about it.
    few = n < _LEAST
    return GroupValue(
        float(values.mean()), max(float(low[0]), 0.0), float(high[0]), n, None,
        lambda bound: (1.0, 1.0) if few else p_of_mean(values, bound),
    )  # fmt: skip


_LEAST = 20
