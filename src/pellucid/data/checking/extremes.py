"""Pictures that are far from the rest in size, shape, brightness or sharpness, and those that show nothing.

The measure is a robust z-score: the distance from the median, divided by 1.4826 times the median of all such
distances (which is the standard deviation, where values are spread normally). Sizes and shapes are compared by their
logarithms. Pictures farther than 5 are named; of normal values that would be one in two million.
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
_FEWEST, _SHOWN, _ROWS = 20, 6, 1000


@dataclass(frozen=True)
class _Measure:
    """Something to be far from the rest in.

    Attributes:
        values: the quantity to compare, from the statistics.
        least: a difference that is never remarkable: the standard deviation is taken to be at least a fifth of it.
        low, high: words for a picture below, and above, the others.
        said: the value in words, of one picture.
    """

    values: Callable[[PictureStatistics], np.ndarray]
    least: float
    low: str
    high: str
    said: Callable[[PictureStatistics, int], str]


def _area(statistics: PictureStatistics) -> np.ndarray:
    return np.log(statistics.width.astype(np.float64) * statistics.height)


def _aspect(statistics: PictureStatistics) -> np.ndarray:
    return np.log(statistics.width / statistics.height.astype(np.float64))


def _pixels(statistics: PictureStatistics, index: int) -> str:
    return f"{statistics.width[index]}×{statistics.height[index]} pixels"


MEASURES: dict[str, _Measure] = {
    "size": _Measure(_area, np.log(2), "smaller", "larger", _pixels),
    "shape": _Measure(_aspect, np.log(1.5), "narrower", "wider", _pixels),
    "brightness": _Measure(
        lambda statistics: statistics.brightness.astype(np.float64),
        25.0,
        "darker",
        "brighter",
        lambda statistics, i: f"mean grey level {statistics.brightness[i]:.0f} of 255",
    ),
    "sharpness": _Measure(
        lambda statistics: statistics.sharpness.astype(np.float64),
        1.0,
        "more blurred",
        "more grainy or sharp",
        lambda statistics, i: f"log sharpness {statistics.sharpness[i]:.1f}",
    ),
}


def extremes(evidence: Evidence) -> list[Finding]:
    """A remark for each measure, a table of the named pictures, and a figure of the most extreme ones."""
    statistics = evidence.statistics
    findings: list[Finding] = _flat(evidence)
    which = np.flatnonzero(statistics.readable & (statistics.contrast >= FLATTEST))
    rows: list[tuple[Any, ...]] = []
    groups: list[dict[str, Any]] = []
    for name, measure in MEASURES.items() if len(which) >= _FEWEST else ():
        with np.errstate(divide="ignore", invalid="ignore"):  # of unreadable ones, which are left out
            scores = robust_scores(measure.values(statistics)[which], measure.least / BOUND)
        far = np.flatnonzero(np.abs(scores) > BOUND)
        if not len(far):
            continue
        far = far[np.argsort(-np.abs(scores[far]), kind="stable")]
        findings.append(_remark(evidence, name, measure, which[far], scores[far]))
        rows += [
            (evidence.name(int(which[i])), name, measure.said(statistics, int(which[i])), round(float(scores[i]), 1))
            for i in far.tolist()[:_ROWS]
        ]
        cells = [cell(evidence, int(which[i]), measure.said(statistics, int(which[i]))) for i in far[:_SHOWN].tolist()]
        groups.append({"caption": f"{name}: the {len(cells)} farthest of {len(far):,}", "cells": cells})
    if rows:
        columns = ("picture", "in", "value", "robust z")
        findings.append(Table("extreme_pictures", columns, tuple(rows)))
        findings.append(Figure("extremes", "picture-rows", {"groups": groups}, title="Pictures far from the rest"))
    return findings


def robust_scores(values: np.ndarray, least: float) -> np.ndarray:
    """Robust z-scores of values, float64 (N,); `least` is the smallest standard deviation that is believed."""
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return (values - middle) / max(spread, least)


def _remark(evidence: Evidence, name: str, measure: _Measure, far: np.ndarray, scores: np.ndarray) -> Remark:
    n, low = len(far), int((scores < 0).sum())
    sides = [f"{count:,} {word}" for count, word in ((low, measure.low), (n - low, measure.high)) if count]
    text = (
        f"{n:,} picture{'s are' if n > 1 else ' is'} far from the rest in {name} ({', '.join(sides)}; robust z beyond "
        f"{BOUND:g}): {evidence.named(far, 3)}."
    )
    return Remark(
        f"extreme_{name}", "info", text, "Look at them: some may be of something else.", n, evidence.all_names(far)
    )


def _flat(evidence: Evidence) -> list[Finding]:
    statistics = evidence.statistics
    flat = np.flatnonzero(statistics.readable & (statistics.contrast < FLATTEST))
    if not len(flat):
        return []
    n = len(flat)
    text = (
        f"{n:,} picture{'s show' if n > 1 else ' shows'} nothing: all of it is one colour (contrast below {FLATTEST:g} "
        f"grey levels): {evidence.named(flat, 3)}."
    )
    return [Remark("blank", "warning", text, "Remove what holds nothing to learn from.", n, evidence.all_names(flat))]
