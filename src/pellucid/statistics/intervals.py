"""Intervals: how far a measured share may lie from the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927, doi:10.2307/2276774): (low, high), both within 0 to 1.

    Unlike the textbook's normal interval it stays within 0 and 1 and does not collapse when all n are right.

    Args:
        successes: how many were right, 0 to n.
        n: how many there were, at least one.
        confidence: how often such intervals hold the true share.
    """
    # Written out, and tested beside scipy's: importing that takes a second, which every training would wait for.
    assert 0 <= successes <= n
    assert n > 0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # With none or all right the formula gives 0 or 1, but for rounding.
    return (0.0 if successes == 0 else middle - half), (1.0 if successes == n else middle + half)


def mean_of_shares(
    successes: Sequence[int] | np.ndarray, n: Sequence[int] | np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of the mean of independent shares, as of the recalls in a balanced accuracy: (low, high).

    Wilson's intervals of the shares, put together by the method of variance estimates recovery (Zou and Donner,
    "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008, doi:10.1002/sim.3095):
    the distances from each share to its limits are added as squares. Of one share it is Wilson's.

    Args:
        successes: how many were right of each kind: (K,).
        n: how many there were of each, at least one: (K,).
        confidence: how often such intervals hold the true mean.
    """
    right, all_ = np.asarray(successes), np.asarray(n)
    shares = right / all_
    limits = np.array([wilson(int(a), int(b), confidence) for a, b in zip(right, all_, strict=True)])
    below, above = (np.sqrt(((shares - limits[:, side]) ** 2).sum()) / len(shares) for side in (0, 1))
    middle = shares.mean()
    return max(float(middle - below), 0.0), min(float(middle + above), 1.0)
