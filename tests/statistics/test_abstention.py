import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from pellucid.statistics import abstention
from pellucid.statistics.abstention import choose_threshold, fewest_pictures


def test_299_right_answers_show_an_error_of_one_percent() -> None:
    assert fewest_pictures(0.01) == 299
    right, confidence = np.ones(299, dtype=bool), np.linspace(0.5, 1, 299)
    assert choose_threshold(confidence, right, 0.01).below == 0.0
    assert choose_threshold(confidence[1:], right[1:], 0.01).below is None


def test_too_few_pictures_are_told_how_many_are_needed() -> None:
    sentence = choose_threshold(np.ones(20), np.ones(20, dtype=bool), 0.01).sentence("validation picture")
    assert sentence.startswith("no threshold can be shown to keep the error at 1 % on 20 validation pictures")
    assert "At least 299 right answers without a wrong one are needed" in sentence


@settings(max_examples=500)
@example(1180, 0.46484375, 1.0)
@given(st.integers(1, 3000), st.floats(0.001, 0.6), st.floats(0, 1))
def test_the_tail_of_the_binomial_equals_scipys(n: int, probability: float, share: float) -> None:
    errors = int(share * n)
    expected = stats.binom.cdf(errors, n, probability)
    assert abstention._cumulative(errors, n, probability) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 1500), st.sampled_from([0.02, 0.1, 0.3]), st.integers(1, 40))
def test_what_is_accepted_is_above_the_threshold(seed: int, n: int, max_error: float, levels: int) -> None:
    generator = np.random.default_rng(seed)
    confidence = (generator.integers(1, levels + 1, n) / levels).astype(np.float32)  # with ties
    right = generator.random(n) < confidence
    chosen = choose_threshold(confidence, right, max_error)
    if chosen.below is None:
        assert (chosen.accepted, chosen.wrong) == (0, 0)
        return
    accepted = confidence >= np.float32(chosen.below)
    assert chosen.accepted == accepted.sum()
    assert chosen.wrong == (accepted & ~right).sum()
    assert chosen.wrong <= max_error * chosen.accepted


@pytest.mark.parametrize(("n", "a"), [(800, 12), (2000, 60), (4000, 25)])
def test_the_error_is_kept_as_often_as_stated(n: int, a: int) -> None:
    """Honest confidences from a beta distribution, for which the error above each threshold is known."""
    generator = np.random.default_rng(0)
    population = np.sort(generator.beta(a, 1, 200_000))
    error_above = np.cumsum((1 - population)[::-1])[::-1] / np.arange(len(population), 0, -1)
    exceeded = promised = 0
    for _ in range(200):
        confidence = generator.beta(a, 1, n).astype(np.float32)
        chosen = choose_threshold(confidence, generator.random(n) < confidence, 0.02)
        if chosen.below is not None:
            promised += 1
            exceeded += error_above[np.searchsorted(population, chosen.below)] > 0.02
    assert promised > 20
    # At most 5 % of 200, with room for chance: more has a probability of 0.001.
    assert exceeded <= stats.binom.ppf(0.999, 200, abstention.RISK)


def test_a_certain_but_wrong_model_never_answers() -> None:
    assert choose_threshold(np.ones(5000), np.arange(5000) % 20 > 0, 0.01).below is None
