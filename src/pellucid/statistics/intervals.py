"""Confidence intervals: of proportions, of their mean, of F1, and of the mean of any values."""

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


def f1(hits: int, support: int, predicted: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of F1: (low, high), both within 0 to 1.

    F1 is 2 J / (1 + J), where J is the share of hits among the pictures that are of the class, or are predicted as it.
    So the Wilson interval of J gives one of F1. Unlike a bootstrap, it does not collapse if all are hits.

    Args:
        hits: pictures of the class that are predicted as it.
        support: pictures of the class.
        predicted: pictures predicted as the class; not both are 0.
        confidence: the confidence level.
    """
    low, high = wilson(hits, support + predicted - hits, confidence)
    return 2 * low / (1 + low), 2 * high / (1 + high)


DRAWS = 2000
"""Samples of a bootstrap."""
_VALUES_AT_ONCE = 4_000_000


def bootstrap_t(
    values: np.ndarray, *, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The bootstrap-t intervals of the means of the columns: (low, high), each float64 (M,).

    Each sample is drawn with replacement; its distance from the mean is measured in its own standard error (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5). For skewed values such as losses, it contains
    the truth more often than the percentile bootstrap. Small samples without a rare large value remain too narrow.

    Args:
        values: float (N, M), N at least 2; one row per picture.
        confidence: the confidence level.
        draws: number of samples.
        seed: of the samples.
    """
    values = np.asarray(values, dtype=np.float64)
    mean, spread, t = _studentised(values, draws, seed)
    low, high = np.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return mean - high * spread, mean - low * spread


def p_of_mean(values: np.ndarray, bound: float, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """The bootstrap-t p-values of "the mean is at most the bound" and of "it is at least the bound".

    Args:
        values: float (N,), N at least 2.
        bound: the bound.
        draws: number of samples.
        seed: of the samples.
    """
    mean, spread, t = _studentised(np.asarray(values, dtype=np.float64)[:, None], draws, seed)
    observed = (mean[0] - bound) / spread[0] if spread[0] > 0 else math.copysign(math.inf, mean[0] - bound)
    above, below = int((t[:, 0] >= observed).sum()), int((t[:, 0] <= observed).sum())
    return (1 + above) / (draws + 1), (1 + below) / (draws + 1)


def _studentised(values: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (M,), standard deviations (M,), and the distances of the samples' means in their own (draws, M)."""
    n = len(values)
    assert n >= 2
    random = np.random.default_rng(seed)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    # Means and standard deviations need sums of values and of squares alone.
    moments = np.concatenate([values - mean, (values - mean) ** 2], axis=1)
    parts, step = [], max(1, _VALUES_AT_ONCE // n)
    for start in range(0, draws, step):
        chosen = random.integers(0, n, (min(step, draws - start), n), dtype=np.int32)
        parts.append(np.stack([column[chosen].mean(axis=1) for column in moments.T], axis=1))
    first, second = np.split(np.concatenate(parts), 2, axis=1)
    own = np.sqrt(np.maximum(second - first**2, 0.0))
    return mean, spread, first / np.maximum(own, np.maximum(spread * 1e-6, 1e-300))


def in_words(right: int, n: int) -> str:
    """A proportion for readers who do not know intervals: `18 of 20 right: anywhere between 70 % and 97 %`."""
    low, high = (100 * limit for limit in wilson(right, n))
    digits = 0 if high - low >= 2 else 1 if high - low >= 0.2 else 2
    return f"{right:,} of {n:,} right: anywhere between {low:.{digits}f} % and {high:.{digits}f} %"
