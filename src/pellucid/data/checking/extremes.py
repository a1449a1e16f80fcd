"""Outliers in size, shape, brightness or sharpness, and blank pictures.

The measure is a robust z-score: the distance from the median, divided by 1.4826 times the median absolute deviation
(which equals the standard deviation of normally distributed values). Sizes and shapes are compared by their logarithms.
Pictures with a score beyond 5 are named; of normally distributed values that would be one in two million. If more than
one picture in a hundred is beyond 5, the set simply varies: then the remark gives the distribution, and names the few
most extreme pictures only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data.checking.evidence import Evidence, cell
from pellucid.data.checking.near_duplicates import FLATTEST
from pellucid.data.checking.scan import PictureStatistics
from pellucid.records import Figure, Finding, Remark, Table

__all__ = ["extremes", "robust_scores"]

BOUND = 5.0
COMMON = 0.01
"""If a larger share of the pictures is beyond the bound, they are not outliers."""
_MIN_PICTURES, _MAX_CELLS, _MAX_ROWS = 20, 6, 1000
_FEW = 3
"""So few pictures are always named, however few there are in all."""


@dataclass(frozen=True)
class _Measure:
    """A quantity in which pictures can be outliers.

    Attributes:
        values: the quantity, from the statistics.
        negligible: a difference that is never reported: the standard deviation counts as at least a fifth of it.
        low, high: words for a picture below and above the others.
        in_words: the value of one picture in words.
        quantile: a value of the quantity in words.
    """

    values: Callable[[PictureStatistics], np.ndarray]
    negligible: float
    low: str
    high: str
    in_words: Callable[[PictureStatistics, int], str]
    quantile: Callable[[float], str]


def _area(statistics: PictureStatistics) -> np.ndarray:
    return np.log(statistics.width.astype(np.float64) * statistics.height)


def _aspect(statistics: PictureStatistics) -> np.ndarray:
    return np.log(statistics.width / statistics.height.astype(np.float64))


def _pixels(statistics: PictureStatistics, index: int) -> str:
    return f"{statistics.width[index]}×{statistics.height[index]} pixels"


MEASURES: dict[str, _Measure] = {
    "size": _Measure(_area, np.log(2), "smaller", "larger", _pixels, lambda v: f"{np.exp(v / 2):,.0f} pixels a side"),
    "shape": _Measure(
        _aspect, np.log(1.5), "narrower", "wider", _pixels, lambda v: f"{np.exp(v):.2f} times as wide as high"
    ),
    "brightness": _Measure(
        lambda statistics: statistics.brightness.astype(np.float64),
        25.0,
        "darker",
        "brighter",
        lambda statistics, i: f"mean grey level {statistics.brightness[i]:.0f} of 255",
        lambda v: f"grey level {v:.0f} of 255",
    ),
    "sharpness": _Measure(
        lambda statistics: statistics.sharpness.astype(np.float64),
        1.0,
        "more blurred",
        "more grainy or sharp",
        lambda statistics, i: f"log sharpness {statistics.sharpness[i]:.1f}",
        lambda v: f"log sharpness {v:.1f}",
    ),
}


def extremes(evidence: Evidence) -> list[Finding]:
    """A remark for each measure, a table of the outliers, and a figure of the farthest ones."""
    statistics = evidence.statistics
    findings: list[Finding] = _blank(evidence)
    which = np.flatnonzero(statistics.readable & (statistics.contrast >= FLATTEST))
    rows: list[tuple[Any, ...]] = []
    groups: list[dict[str, Any]] = []
    for name, measure in MEASURES.items() if len(which) >= _MIN_PICTURES else ():
        with np.errstate(divide="ignore", invalid="ignore"):  # unreadable pictures have size 0; they are left out
            quantity = measure.values(statistics)[which]
        scores = robust_scores(quantity, measure.negligible / BOUND)
        far = np.flatnonzero(np.abs(scores) > BOUND)
        if not len(far):
            continue
        far = far[np.argsort(-np.abs(scores[far]), kind="stable")]
        varies = len(far) > max(_FEW, COMMON * len(which))
        far = far[:_MAX_CELLS] if varies else far
        indices, scores = which[far], scores[far]
        if varies:
            findings.append(_spread(evidence, name, measure, indices, quantity))
        else:
            findings.append(_remark(evidence, name, measure, indices, scores))
        values = [measure.in_words(statistics, index) for index in indices.tolist()]
        rows += [
            (evidence.name(index), name, value, round(score, 1))
            for index, value, score in zip(indices.tolist(), values, scores.tolist(), strict=True)
        ][:_MAX_ROWS]
        shown = zip(indices.tolist(), values[:_MAX_CELLS], strict=False)
        cells = [cell(evidence, index, value) for index, value in shown]
        caption = f"{name}: the {len(cells)} farthest of {len(which if varies else far):,}"
        groups.append({"caption": caption, "cells": cells})
    if rows:
        columns = ("picture", "in", "value", "robust z")
        findings.append(Table("extreme_pictures", columns, tuple(rows)))
        findings.append(Figure("extremes", "picture-rows", {"groups": groups}, title="Pictures far from the rest"))
    return findings


def robust_scores(values: np.ndarray, min_deviation: float) -> np.ndarray:
    """Robust z-scores of values, float64 (N,); `min_deviation` is a lower bound on the standard deviation."""
    median = np.median(values)
    deviation = 1.4826 * np.median(np.abs(values - median))
    return (values - median) / max(deviation, min_deviation)


def _remark(evidence: Evidence, name: str, measure: _Measure, indices: np.ndarray, scores: np.ndarray) -> Remark:
    n, low = len(indices), int((scores < 0).sum())
    sides = [f"{count:,} {word}" for count, word in ((low, measure.low), (n - low, measure.high)) if count]
    text = (
        f"{n:,} picture{'s are' if n > 1 else ' is'} far from the rest in {name} ({', '.join(sides)}; robust z beyond "
        f"{BOUND:g}): {evidence.named(indices, 3)}."
    )
    advice = "Look at them: some may show something else."
    return Remark(f"extreme_{name}", "info", text, advice, n, evidence.all_names(indices))


def _spread(evidence: Evidence, name: str, measure: _Measure, indices: np.ndarray, quantity: np.ndarray) -> Remark:
    """The distribution of a quantity that varies widely, and the most extreme pictures."""
    low, middle, high = (measure.quantile(value) for value in np.quantile(quantity, (0.05, 0.5, 0.95)))
    text = (
        f"The pictures vary widely in {name}: the median is {middle}, and nine in ten are between {low} and {high}. "
        f"The most extreme: {evidence.named(indices, 3)}."
    )
    advice = "Look at these: some may show something else."
    return Remark(f"extreme_{name}", "info", text, advice, len(indices), evidence.all_names(indices))


def _blank(evidence: Evidence) -> list[Finding]:
    statistics = evidence.statistics
    blank = np.flatnonzero(statistics.readable & (statistics.contrast < FLATTEST))
    if not len(blank):
        return []
    n = len(blank)
    text = (
        f"{n:,} picture{'s are' if n > 1 else ' is'} blank, of a single colour (contrast below {FLATTEST:g} grey "
        f"levels): {evidence.named(blank, 3)}."
    )
    advice = "Remove them: there is nothing to learn from them."
    return [Remark("blank", "warning", text, advice, n, evidence.all_names(blank))]
