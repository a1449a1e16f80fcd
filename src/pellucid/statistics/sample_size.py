"""How many test pictures settle a question: planning from the rates that were measured so far.

The numbers are estimates: they hold if the measured rates are the true ones. "Settles" means that a sample of this size
shows the answer in four of five cases, by the test that the comparison or the requirement uses.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

__all__ = ["more_pictures", "to_compare", "to_meet", "to_narrow"]

POWER = 0.8
"""Probability of showing what is so."""
LIMIT = 10_000_000
"""More pictures than this are no plan."""


def to_narrow(share: float, half_width: float, confidence: float = 0.95) -> int:
    """Number of pictures at which the Wilson interval of a proportion is at most `half_width` to either side.

    Args:
        share: the proportion, 0 to 1.
        half_width: above 0 and below 0.5.
        confidence: the confidence level.
    """
    assert 0 <= share <= 1
    assert 0 < half_width < 0.5
    z = NormalDist().inv_cdf((1 + confidence) / 2)

    def half(n: int) -> float:
        return z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))

    low, high = 0, 1
    while half(high) > half_width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half(middle) > half_width else (low, middle)
    return high


def to_compare(only_a: int, only_b: int, n: int) -> int | None:
    """Number of pictures at which McNemar's test at 5 % tells A from B; None if both are right equally often.

    The formula of Connor ("Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43, 1987), with Fleiss's correction for an exact test.

    Args:
        only_a: number of pictures that only A gets right.
        only_b: number of pictures that only B gets right.
        n: number of pictures, at least 1.
    """
    discordant, gap = (only_a + only_b) / n, abs(only_b - only_a) / n
    if gap == 0:
        return None
    significant, shown = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(POWER)
    plain = (significant * math.sqrt(discordant) + shown * math.sqrt(max(discordant - gap * gap, 0.0))) ** 2 / gap**2
    corrected = plain / 4 * (1 + math.sqrt(1 + 4 / (plain * gap))) ** 2
    needed = math.ceil(max(corrected, 6 / discordant))  # six of six is the first significant split
    return needed if needed <= LIMIT else None


def to_meet(share: float, bound: float) -> int | None:
    """Number of pictures at which the exact test at 5 % shows on which side of a bound a proportion is.

    None if it is on the bound, or so close that no usual number shows it.

    Args:
        share: the proportion as measured, 0 to 1.
        bound: the bound, above 0 and below 1.
    """
    if share < bound:
        share, bound = 1 - share, 1 - bound
    if share <= bound:
        return None
    high = 1
    while not _is_shown(share, bound, high):
        high *= 2
        if high > LIMIT:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_shown(share, bound, middle) else (middle, high)
    return high


def _is_shown(share: float, bound: float, n: int) -> bool:
    from scipy.stats import binom

    least = int(binom.isf(0.05, n, bound)) + 1  # P(X ≥ least) ≤ 5 % at the bound
    return bool(np.asarray(binom.sf(least - 1, n, share)) >= POWER)


def more_pictures(needed: int | None, n: int) -> str:
    """`about 120 more test pictures`, rounded as an estimate is; empty if no number is known or n suffices."""
    if needed is None or needed <= n:
        return ""
    more = needed - n
    step = 10 ** max(len(str(more)) - 2, 0)
    more = -(-more // step) * step
    return f"about {more:,} more test picture{'s' * (more != 1)}"
