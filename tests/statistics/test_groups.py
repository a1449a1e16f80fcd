"""Group statistics, compared with scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pellucid.statistics.groups import difference, holm, is_above, is_below


def test_holm_as_in_the_textbook():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1, 1]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_is_between_one_test_and_bonferroni(values):
    p, adjusted = np.array(values), holm(values)
    assert np.all(adjusted >= p)
    assert np.all(adjusted <= np.minimum(p * len(p), 1))
    assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0)


@given(st.integers(0, 30), st.integers(0, 20), st.integers(0, 40), st.integers(0, 20))
def test_the_difference_is_fishers_test(right, wrong, others_right, others_wrong):
    n, others = right + wrong, others_right + others_wrong
    if n and others:
        table = [[right, wrong], [others_right, others_wrong]]
        expected = stats.fisher_exact(table, alternative="less").pvalue
        assert difference(right, n, others_right, others) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 50), st.integers(0, 50), st.floats(0.01, 0.99))
def test_one_sided_tests_are_the_exact_binomial_test(n, right, bound):
    right = min(right, n)
    assert is_above(right, n, bound) == pytest.approx(stats.binomtest(right, n, bound, "greater").pvalue, abs=1e-9)
    assert is_below(right, n, bound) == pytest.approx(stats.binomtest(right, n, bound, "less").pvalue, abs=1e-9)
