"""Comparison of two classifiers on the same pictures: counts in, numbers out.

Every picture falls into one of four cells: both classifiers are right, only A, only B, or neither. Only the middle two
show which is better, so an unpaired comparison wastes most of the information.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Cells(NamedTuple):
    """Numbers of pictures that both, one or neither of two models get right.

    Attributes:
        both: both are right.
        only_a: A is right and B is wrong.
        only_b: B is right and A is wrong.
        neither: both are wrong.
    """

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def n(self) -> int:
        return sum(self)

    @property
    def difference(self) -> float:
        """The accuracy of B minus that of A, −1 to 1."""
        return (self.only_b - self.only_a) / self.n


def cells(right_a: np.ndarray, right_b: np.ndarray) -> Cells:
    """The four cells, from whether A and B are right on each of N pictures, bool (N,) each."""
    right_a, right_b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    assert right_a.shape == right_b.shape
    kinds = (right_a & right_b, right_a & ~right_b, ~right_a & right_b, ~right_a & ~right_b)
    return Cells(*(int(kind.sum()) for kind in kinds))


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p value of McNemar's exact test of equal accuracies (McNemar 1947, doi:10.1007/BF02295996).

    If A and B are equally good, each picture that only one of them gets right is equally likely to be A's or B's. So
    this is a binomial test on those pictures; 1 if there are none.
    """
    from scipy.stats import binomtest

    discordant = only_a + only_b
    return float(binomtest(int(only_b), discordant, 0.5).pvalue) if discordant else 1.0


def tango(only_a: int, only_b: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of the difference B − A of two paired proportions: (low, high), both within −1 to 1.

    It contains every difference that the score test does not reject (Tango, "Equivalence test and confidence interval
    for the difference in proportions for the paired-sample design", Statistics in Medicine 17, 1998, pages 891 to 908).
    Its coverage is good for few pictures, for proportions near 1, and if A and B never disagree; Fagerland, Lydersen
    and Laake recommend it ("Recommended tests and confidence intervals for paired binomial proportions", Statistics in
    Medicine 33, 2014, pages 2850 to 2875).

    Args:
        only_a: number of pictures that only A gets right.
        only_b: number of pictures that only B gets right.
        n: number of pictures, at least 1.
        confidence: the confidence level, above 0 and below 1.
    """
    from scipy.special import ndtri

    assert n > 0
    assert min(only_a, only_b) >= 0
    assert only_a + only_b <= n
    assert 0 < confidence < 1
    z = float(ndtri((1 + confidence) / 2))
    return -_upper(only_b, only_a, n, z), _upper(only_a, only_b, n, z)


def _upper(only_a: int, only_b: int, n: int, z: float) -> float:
    """The largest difference B − A that the score test does not reject."""
    from scipy.optimize import brentq

    if only_b == n:
        return 1.0

    def excess(difference: float) -> float:
        return _score(difference, only_a, only_b, n) + z

    # The score is 0 at the observed difference, and falls without bound towards a difference of 1.
    root: Any = brentq(excess, (only_b - only_a) / n, 1 - 1e-12, xtol=1e-12)
    return float(root)


def _score(difference: float, only_a: int, only_b: int, n: int) -> float:
    """The observed difference minus a hypothetical one, in standard errors."""
    # The maximum-likelihood share of pictures that only A gets right, given the hypothetical difference (Tango's q21).
    b = (2 * n - only_b + only_a) * difference - only_a - only_b
    c = -only_a * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    above = only_b - only_a - n * difference
    return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above) if above else 0.0
