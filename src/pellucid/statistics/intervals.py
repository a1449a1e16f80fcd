"""Intervals: how far a measured share may lie from the true one."""

from __future__ import annotations


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927, doi:10.2307/2276774): (low, high), both within 0 to 1.

    Unlike the textbook's normal interval it stays within 0 and 1 and does not collapse when all n are right.

    Args:
        successes: how many were right, 0 to n.
        n: how many there were, at least one.
        confidence: how often such intervals hold the true share.
    """
    from scipy.stats import binomtest

    assert 0 <= successes <= n
    assert n > 0
    interval = binomtest(int(successes), int(n)).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)
