"""Confidence intervals of proportions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927, doi:10.2307/2276774): (low, high), both within 0 to 1.

    Unlike the normal approximation, it stays within 0 and 1 and does not collapse if all n are successes.

    Args:
        successes: number of successes, 0 to n.
        n: number of trials, at least 1.
        confidence: the confidence level.
    """
    # Our own, and tested against scipy's: importing scipy takes a second, which would delay every training run.
    assert 0 <= successes <= n
    assert n > 0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # For no or only successes, the formula gives exactly 0 or 1, except for rounding.
    return (0.0 if successes == 0 else middle - half), (1.0 if successes == n else middle + half)


def mean_of_shares(
    successes: Sequence[int] | np.ndarray, n: Sequence[int] | np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of the mean of independent proportions, such as the recalls in a balanced accuracy: (low, high).

    Combines the Wilson intervals of the proportions by the method of variance estimates recovery (Zou and Donner,
    "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008, doi:10.1002/sim.3095),
    which adds the squared distances from each proportion to its limits. For one proportion it equals Wilson's.

    Args:
        successes: number of successes of each kind, (K,).
        n: number of trials of each kind, at least 1, (K,).
        confidence: the confidence level.
    """
    right, all_ = np.asarray(successes), np.asarray(n)
    shares = right / all_
    limits = np.array([wilson(int(a), int(b), confidence) for a, b in zip(right, all_, strict=True)])
    below, above = (np.sqrt(((shares - limits[:, side]) ** 2).sum()) / len(shares) for side in (0, 1))
    middle = shares.mean()
    return max(float(middle - below), 0.0), min(float(middle + above), 1.0)
