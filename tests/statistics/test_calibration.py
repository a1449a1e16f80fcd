"""Temperature scaling."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from pellucid.statistics.calibration import (
    calibration_error,
    calibration_error_by_chance,
    choose_temperature,
    fit_temperature,
    reliability,
)


def sample(temperature, n=20_000, classes=4, seed=0):
    """Scores whose labels were drawn from softmax(scores / temperature)."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n, classes)) * temperature
    probabilities = softmax(scores / temperature, axis=1)
    labels = (probabilities.cumsum(axis=1) > generator.uniform(size=(n, 1))).argmax(axis=1)
    return scores, labels


@pytest.mark.parametrize("temperature", [0.05, 1.0, 300.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    assert fit_temperature(*sample(temperature)) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_gives_the_labels_more_probability():
    scores, labels = sample(2.0, n=500)
    found = fit_temperature(scores, labels)

    def loss(temperature):
        return log_loss(labels, softmax(scores / temperature, axis=1), labels=range(4))

    assert all(loss(found) <= loss(found * factor) for factor in (0.5, 0.9, 1.1, 2.0))


def test_scores_of_thousands_do_not_overflow():
    scores, labels = sample(1.0, n=100)
    assert fit_temperature(scores * 1e4, labels) > 100


def test_nothing_to_fit_on_leaves_scores_as_they_are():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0


def test_few_pictures_that_are_all_told_rightly_make_nothing_certain():
    outputs = np.array([[3.0, -3.0], [-2.0, 2.0], [4.0, -4.0], [-3.0, 3.0]])
    labels = np.array([0, 1, 0, 1])
    assert fit_temperature(outputs, labels) < 0.1
    smoothed = fit_temperature(outputs, labels, smoothing=1 / 4)
    # The best single temperature for targets of 3/4, found by trying.
    tried = np.linspace(0.5, 20, 4000)
    difference = np.array([6.0, 4.0, 8.0, 6.0])[:, None] / tried
    losses = (0.75 * np.log1p(np.exp(-difference)) + 0.25 * np.log1p(np.exp(difference))).mean(axis=0)
    assert smoothed == pytest.approx(tried[losses.argmin()], abs=0.01)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_planted_temperature_is_chosen(temperature):
    assert choose_temperature(*sample(temperature)) == pytest.approx(temperature, rel=0.05)


def test_a_calibrated_model_is_mostly_left_alone_and_never_much_worse():
    chosen = [choose_temperature(*sample(1.0, n=100, seed=seed)) for seed in range(40)]
    assert sum(value == 1.0 for value in chosen) >= 20
    assert all(0.5 < value < 2 for value in chosen)


def test_a_temperature_that_is_chosen_helps_on_other_pictures():
    """On 40 samples of 100 pictures of an overconfident model, the log loss of new pictures falls in nearly all."""
    gains = []
    for seed in range(40):
        chosen = choose_temperature(*sample(2.0, n=100, seed=seed))
        scores, labels = sample(2.0, n=2000, seed=1000 + seed)
        before, after = (log_loss(labels, softmax(scores / t, axis=1), labels=range(4)) for t in (1.0, chosen))
        gains.append(before - after)
    assert np.mean(np.array(gains) >= 0) >= 0.95


def test_few_pictures_or_all_right_make_nothing_certain():
    assert choose_temperature(np.array([[3.0, -3.0]] * 9), np.zeros(9, dtype=int)) == 1.0
    outputs = np.tile([[2.0, -2.0], [-2.0, 2.0]], (20, 1))
    confidence = softmax(outputs / choose_temperature(outputs, np.tile([0, 1], 20)), axis=1).max()
    assert 0.95 < confidence < 0.99


def test_the_bins_are_those_of_sklearn():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(size=500)
    right = generator.uniform(size=500) < confidence
    bins = reliability(confidence, right)
    shares, means = calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose([one.right / one.n for one in bins], shares)
    np.testing.assert_allclose([one.confidence for one in bins], means)
    assert sum(one.n for one in bins) == 500
    assert reliability(np.array([1.0, 0.0]), np.array([True, False]))[-1].high == 1.0


def test_the_calibration_error_of_an_honest_model_stays_below_that_of_chance_in_95_of_100_cases():
    below = honest = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        confidence = generator.uniform(0.5, 1, size=150)
        right = generator.uniform(size=150) < confidence
        bins = reliability(confidence, right)
        below += calibration_error(bins) <= calibration_error_by_chance(bins)
        sure = reliability(np.clip(confidence + 0.2, 0, 1), right)
        honest += calibration_error(sure) <= calibration_error_by_chance(sure)
    assert 180 <= below <= 199
    assert honest < 20, "a model that is too sure by 0.2 is found out"


def test_the_error_is_the_mean_distance():
    bins = reliability(np.array([0.95, 0.95, 0.65, 0.65]), np.array([True, False, True, True]))
    assert calibration_error(bins) == pytest.approx((0.45 + 0.35) / 2)
