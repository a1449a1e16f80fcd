import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pellucid.statistics.intervals import mean_of_shares, wilson


@settings(deadline=None)  # the first call imports a library
@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_agrees_with_scipy(case, confidence):
    successes, n = case
    expected = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    low, high = wilson(successes, n, confidence)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= successes / n + 1e-15
    assert successes / n - 1e-15 <= high <= 1


def test_all_right_is_not_certainty():
    low, high = wilson(10, 10)
    assert low == pytest.approx(0.722, abs=5e-4)  # Wilson 1927; the normal interval would be 1 to 1
    assert high == 1


def test_more_confidence_is_a_wider_interval():
    assert wilson(90, 100, 0.99)[0] < wilson(90, 100, 0.95)[0] < wilson(90, 100, 0.5)[0]


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_a_programmers_mistake(successes, n):
    with pytest.raises(AssertionError):
        wilson(successes, n)


def test_statistics_import_neither_torch_nor_scipy():
    code = (
        "import sys, pellucid.statistics.metrics, pellucid.statistics.intervals;"
        "bad = {'torch', 'scipy', 'sklearn'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_interval_of_a_mean_of_one_share_is_wilsons():
    assert mean_of_shares([7], [9]) == pytest.approx(wilson(7, 9))


def test_the_interval_of_a_mean_of_shares_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    truth, n = np.array([0.95, 0.7, 0.5]), np.array([400, 60, 25])
    held = 0
    for _ in range(1000):
        low, high = mean_of_shares(generator.binomial(n, truth), n)
        held += low <= truth.mean() <= high
    assert 0.93 <= held / 1000 <= 0.98


def test_a_mean_of_shares_that_are_all_one_keeps_its_doubt():
    low, high = mean_of_shares([10, 2], [10, 2])
    assert high == pytest.approx(1.0)
    assert 0.5 < low < 0.9
