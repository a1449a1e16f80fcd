"""Paired comparison: against published worked examples, an independent likelihood, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from pellucid.statistics.comparison import Cells, cells, mcnemar, tango

Z = 1.959963984540054

tables = st.tuples(*[st.integers(0, 60)] * 4).filter(lambda table: sum(table) > 0)


def test_the_four_cells():
    a = np.array([1, 1, 1, 0, 0, 0, 1, 0], dtype=bool)
    b = np.array([1, 1, 0, 1, 1, 1, 1, 0], dtype=bool)
    found = cells(a, b)
    assert found == Cells(both=3, only_a=1, only_b=3, neither=1)
    assert found.n == 8
    assert found.difference == b.mean() - a.mean()


@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "confidence", "low", "high", "digits"),
    [
        # Airway hyper-responsiveness before and after a transplantation (Bentur et al. 2009): the first worked example
        # of Fagerland, Lydersen and Laake 2014, with 1, 1, 7 and 12 children.
        (7, 1, 21, 0.95, -0.517, -0.026, 3),
        (1, 7, 21, 0.95, 0.026, 0.517, 3),
        # Complete response before and after a therapy (Cavo et al. 2012), with 59, 6, 16 and 80 patients: the second.
        (16, 6, 161, 0.95, -0.1240, -0.0054, 4),
        # What R's PropCIs::scoreci.mp(25, 28, 618, 0.9) gives.
        (25, 28, 618, 0.90, -0.0148, 0.0247, 4),
    ],
)
def test_published_examples(only_a, only_b, n, confidence, low, high, digits):
    found = tango(only_a, only_b, n, confidence)
    assert [round(limit, digits) for limit in found] == [low, high]


@pytest.mark.parametrize("n", [1, 10, 360, 10_000])
def test_who_never_disagree_may_still_differ(n):
    """Without a disagreement the limits solve n d² = z² (d − d²)."""
    low, high = tango(0, 0, n)
    assert high == pytest.approx(Z**2 / (n + Z**2), rel=1e-6)
    assert low == -high


def test_the_ends():
    assert tango(0, 10, 10)[1] == 1
    assert tango(10, 0, 10)[0] == -1
    assert tango(0, 10, 10)[0] == pytest.approx(0.445, abs=0.001)
    low, high = tango(3, 9, 10**7)
    assert low == pytest.approx(6e-7 - Z * math.sqrt(12) / 1e7, abs=2e-7)
    assert high == pytest.approx(6e-7 + Z * math.sqrt(12) / 1e7, abs=2e-7)


@pytest.mark.parametrize("table", [(1, 4, 30), (9, 23, 360), (20, 5, 25), (0, 3, 40), (40, 41, 100)])
def test_the_limits_are_where_the_score_test_rejects(table):
    """The same statistic, with the share found by a numerical search for the highest likelihood."""
    only_a, only_b, n = table
    for limit, sign in zip(tango(only_a, only_b, n), (1, -1), strict=True):

        def surprise(share: float, limit: float = limit) -> float:
            terms = ((only_a, share), (only_b, share + limit), (n - only_a - only_b, 1 - 2 * share - limit))
            return -sum(count * math.log(max(p, 1e-300)) for count, p in terms if count)

        bounds = (max(0.0, -limit), (1 - limit) / 2)
        share = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        z = (only_b - only_a - n * limit) / math.sqrt(n * (2 * share + limit - limit**2))
        assert z == pytest.approx(sign * Z, abs=2e-3)


@given(tables)
def test_an_interval_is_one(table):
    _, only_a, only_b, _ = table
    n = sum(table)
    low, high = tango(only_a, only_b, n)
    assert -1 <= low <= (only_b - only_a) / n <= high <= 1
    assert low < high
    assert tango(only_b, only_a, n) == pytest.approx((-high, -low))
    surer_low, surer_high = tango(only_a, only_b, n, 0.99)
    assert surer_low <= low
    assert surer_high >= high


@given(tables.filter(lambda table: table[1] + table[2] > 0))
def test_zero_lies_outside_where_the_score_test_of_mcnemar_rejects(table):
    _, only_a, only_b, _ = table
    low, high = tango(only_a, only_b, sum(table))
    z = abs(only_b - only_a) / math.sqrt(only_a + only_b)
    assert (low > 0 or high < 0) == (z > Z)


@pytest.mark.parametrize(
    ("right_a", "right_b", "correlation", "n"),
    [(0.90, 0.90, 0.3, 100), (0.98, 0.99, 0.3, 360), (0.6, 0.7, 0.5, 60), (0.989, 0.991, 0.4, 2000)],
)
def test_ninety_five_of_a_hundred_intervals_hold_the_true_difference(right_a, right_b, correlation, n):
    spread = correlation * math.sqrt(right_a * (1 - right_a) * right_b * (1 - right_b))
    both = right_a * right_b + spread
    shares = [both, right_a - both, right_b - both, 1 - right_a - right_b + both]
    assert min(shares) >= 0
    drawn = np.random.default_rng(20261121).multinomial(n, shares, size=20_000)[:, 1:3]
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    held = 0
    for (only_a, only_b), count in zip(seen.tolist(), counts.tolist(), strict=True):
        low, high = tango(only_a, only_b, n)
        held += count * (low <= right_b - right_a <= high)
    # 20,000 draws leave 0.15 points of chance; the score interval itself comes within a point or so of its promise.
    assert held / len(drawn) == pytest.approx(0.95, abs=0.012)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_test_is_a_fair_coin(only_a, only_b):
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(only_a, only_b) == pytest.approx(min(1.0, 2 * tail))


def test_known_p_values():
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == 0.0625
    assert mcnemar(5, 5) == 1
    # The two worked examples of Fagerland, Lydersen and Laake.
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(6, 16) == pytest.approx(0.0525, abs=5e-5)


def test_the_exact_test_seldom_sees_a_difference_where_there_is_none():
    drawn = np.random.default_rng(7).multinomial(300, [0.85, 0.05, 0.05, 0.05], size=20_000)[:, 1:3]
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    rejected = sum(count for (a, b), count in zip(seen.tolist(), counts.tolist(), strict=True) if mcnemar(a, b) < 0.05)
    assert 0.01 < rejected / len(drawn) < 0.05
