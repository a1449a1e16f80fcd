import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from pellucid.statistics.intervals import bootstrap_t, f1, in_words, mean_of_shares, p_of_mean, wilson


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


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98, 0.999])
def test_the_wilson_interval_holds_the_truth_as_often_as_it_says(n, truth):
    # Exact, without simulation: the probability of each count whose interval holds the truth.
    limits = np.array([wilson(count, n) for count in range(n + 1)])
    held = binom.pmf(np.arange(n + 1), n, truth)[(limits[:, 0] <= truth) & (truth <= limits[:, 1])].sum()
    assert held >= 0.89, "the coverage swings about 95 %, with its least values near 0 and 1"


@pytest.mark.parametrize(
    ("n", "support", "recall", "false"),
    [(30, 0.1, 0.9, 0.02), (200, 0.1, 0.98, 0.001), (20, 0.5, 0.99, 0.01), (1000, 0.3, 0.6, 0.1)],
)
def test_the_interval_of_f1_holds_the_truth_as_often_as_it_says(n, support, recall, false):
    cells = np.array([support * recall, support * (1 - recall), (1 - support) * false])
    truth = 2 * cells[0] / (2 * cells[0] + cells[1] + cells[2])
    counts = np.random.default_rng(0).multinomial(n, [*cells, 1 - cells.sum()], size=2000)[:, :3]
    limits = [f1(int(a), int(a + b), int(a + c)) for a, b, c in counts if a + b + c]
    held = np.mean([low <= truth <= high for low, high in limits])
    assert held >= 0.92


def test_all_hits_keep_the_doubt_of_f1():
    low, high = f1(10, 10, 10)
    assert (low, high) == (pytest.approx(0.8389, abs=1e-3), 1.0)
    assert f1(0, 3, 2)[0] == 0


@pytest.mark.parametrize(("n", "least"), [(20, 0.87), (100, 0.91), (1000, 0.92)])
def test_the_bootstrap_of_a_skewed_mean_holds_the_truth_about_as_often_as_it_says(n, least):
    random = np.random.default_rng(0)
    held = 0
    for seed in range(400):
        values = random.exponential(1, (n, 1))
        low, high = bootstrap_t(values, draws=400, seed=seed)
        held += bool(low[0] <= 1 <= high[0])
    assert least <= held / 400 <= 0.985


def test_the_bootstrap_repeats_itself_and_takes_each_column_alone():
    values = np.random.default_rng(1).random((50, 2))
    assert np.array_equal(bootstrap_t(values), bootstrap_t(values))
    assert bootstrap_t(values)[0][1] == bootstrap_t(values[:, 1:])[0][0]
    low, high = bootstrap_t(np.full((5, 1), 0.25))
    assert low[0] == high[0] == 0.25


def test_p_values_of_a_mean_are_small_where_the_bound_is_far_away():
    values = np.random.default_rng(1).normal(3, 1, 100)
    at_most, at_least = p_of_mean(values, 2.0)
    assert at_most < 0.01 < 0.9 < at_least
    assert min(p_of_mean(values, float(values.mean()))) > 0.3


def test_a_few_pictures_in_words():
    assert in_words(18, 20) == "18 of 20 right: anywhere between 70 % and 97 %"
    assert in_words(9890, 10_000) == "9,890 of 10,000 right: anywhere between 98.7 % and 99.1 %"
