"""Statistics of groups: tests of proportions, and Holm's correction for many tests.

A group is a set of pictures, such as those of one camera. Arrays in, numbers out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["difference", "holm", "is_above", "is_below"]


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
