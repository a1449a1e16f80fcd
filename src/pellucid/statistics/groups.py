"""Statistics of groups: tests of proportions, Holm's correction for many tests, and bootstrap intervals.

A group is a set of pictures, such as those of one camera. Arrays in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["bootstrap", "difference", "holm", "is_above", "is_below", "pictures_needed"]


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values adjusted for their number, float64 (T,), in the given order (Holm 1979, jstor.org/stable/4615733).

    Calling everything with an adjusted p-value of at most 0.05 an effect is wrong about any of them in at most 5 % of
    all cases, however the tests depend on each other.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(p) else scaled
    return adjusted


def is_below(right: int, n: int, bound: float) -> float:
    """The exact p-value of "this proportion is at least `bound`": P(X ≤ right) of n trials. Small means below."""
    from scipy.stats import binom

    return float(binom.cdf(right, n, bound))


def is_above(right: int, n: int, bound: float) -> float:
    """The exact p-value of "this proportion is at most `bound`": P(X ≥ right) of n trials. Small means above."""
    from scipy.stats import binom

    return float(binom.sf(right - 1, n, bound))


def difference(right: int, n: int, right_of_others: int, n_of_others: int) -> float:
    """The p-value of "this proportion is not lower than that of the others": Fisher's exact test, one-sided."""
    from scipy.stats import hypergeom

    if n == 0 or n_of_others == 0:
        return 1.0
    return float(hypergeom.cdf(right, n + n_of_others, right + right_of_others, n))


def bootstrap(
    metric: Callable[[np.ndarray], float], n: int, *, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of a metric (Efron 1979): (low, high); NaN if no draw gives a number.

    Args:
        metric: the value on the pictures at these indices, int64 (n,).
        n: number of pictures.
        confidence: the confidence level.
        draws: number of samples, drawn with replacement.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    values = np.array([metric(random.integers(0, n, n)) for _ in range(draws)])
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def pictures_needed(share: float, bound: float, *, limit: int = 1_000_000) -> int | None:
    """Number of pictures at which a proportion of `share` is shown to be above a bound; None if it never is.

    The smallest n for which the exact one-sided test at 5 % rejects "at most `bound`", if the share stays as it is.
    """
    if share <= bound:
        return None
    low, high = 1, 16
    while is_above(math.floor(share * high + 1e-9), high, bound) > 0.05:
        low, high = high, high * 2
        if high > limit:
            return None
    while low + 1 < high:
        middle = (low + high) // 2
        enough = is_above(math.floor(share * middle + 1e-9), middle, bound) <= 0.05
        low, high = (low, middle) if enough else (middle, high)
    return high
