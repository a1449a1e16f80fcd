"""The last layer is what scikit-learn's and SciPy's solvers find, and its penalty what cross-validation says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from pellucid.training.methods import head
from pellucid.training.methods.features import folds


def blobs(n: int, width: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features around one centre a class, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = generator.normal(size=(classes, width))
    return (centres[labels] + 1.5 * generator.normal(size=(n, width)) + 3).astype(np.float32), labels


@pytest.mark.parametrize(("n", "width"), [(90, 20), (30, 80)], ids=["more pictures", "more numbers"])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_what_scikit_learn_finds(n, width, weighted):
    features, labels = blobs(n, width, 3)
    weights = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else None
    found = head.fit(features, labels, 3, 5.0, weights)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    scale = centred.std()
    reference = LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=10_000).fit(centred / scale, labels, weights)
    expected = reference.decision_function(centred / scale)
    logits = found(features.astype(np.float64))
    # The bias of all classes together is free: scikit-learn's outputs are compared without it.
    np.testing.assert_allclose(
        logits - logits.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=2e-3
    )


def test_two_classes_too():
    features, labels = blobs(40, 5, 2)
    found = head.fit(features, labels, 2, 2.0)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # Of two outputs with opposite weights, the penalty on their difference is half as strong.
    reference = LogisticRegression(C=2 / 2.0, tol=1e-10, max_iter=10_000).fit(centred / centred.std(), labels)
    difference = np.diff(found(features.astype(np.float64)), axis=1)[:, 0]
    np.testing.assert_allclose(difference, reference.decision_function(centred / centred.std()), atol=2e-3)


def test_the_gradient_is_that_of_the_value():
    features, labels = blobs(12, 4, 3)
    objective = head._Objective(features.astype(np.float64), labels, 3, 0.7, np.linspace(0.5, 2, 12))
    at = np.random.default_rng(2).normal(size=15)
    step = 1e-6 * np.eye(15)
    numeric = [(objective(at + one)[0] - objective(at - one)[0]) / 2e-6 for one in step]
    np.testing.assert_allclose(objective(at)[1], numeric, rtol=1e-5, atol=1e-6)


def test_lbfgs_ends_where_scipys_does():
    def banana(x):
        """Rosenbrock's, along a convex stretch, plus a bowl."""
        value = (x[0] - 1) ** 2 + 10 * (x[1] - 0.3 * x[0]) ** 2 + np.log1p(np.exp(3 * x[0]))
        slope = 3 / (1 + np.exp(-3 * x[0]))
        return value, np.array([2 * (x[0] - 1) - 6 * (x[1] - 0.3 * x[0]) + slope, 20 * (x[1] - 0.3 * x[0])])

    expected = minimize(banana, np.array([4.0, -3.0]), jac=True, method="BFGS", options={"gtol": 1e-10}).x
    np.testing.assert_allclose(head.lbfgs(banana, np.array([4.0, -3.0]), 1e-9), expected, atol=1e-6)
    np.testing.assert_array_equal(head.lbfgs(banana, np.array([4.0, -3.0]), 1e9), [4.0, -3.0])


def test_a_stronger_penalty_gives_smaller_weights():
    features, labels = blobs(40, 10, 3)
    norms = [np.linalg.norm(head.fit(features, labels, 3, penalty).weights) for penalty in (0.1, 10, 1000)]
    assert norms == sorted(norms, reverse=True)


def test_features_that_are_all_the_same_teach_the_frequencies():
    labels = np.array([0, 0, 0, 1])
    logits = head.fit(np.ones((4, 7)), labels, 2, 1.0)(np.ones((1, 7)))[0]
    np.testing.assert_allclose(np.exp(logits - np.logaddexp(*logits)), [0.75, 0.25], atol=1e-3)


def test_the_penalty_is_the_one_with_the_lowest_loss_on_held_out_pictures():
    features, labels = blobs(60, 40, 3)
    where = folds(labels, None, 5, 0)
    chosen = head.choose(features, labels, 3, where)
    tried = {penalty: loss for penalty, loss, _ in chosen.tried}
    assert chosen.penalty == min(tried, key=lambda penalty: tried[penalty])
    # The same, the long way: each fold told by a head that never saw it.
    logits = np.zeros((60, 3))
    coordinates = head._coordinates(features)[0]
    for fold in range(5):
        out = where == fold
        objective = head._Objective(coordinates[~out], labels[~out], 3, chosen.penalty, None)
        found = head._minimise(objective, None, 1e-8)
        logits[out] = coordinates[out] @ found[:, :-1].T + found[:, -1]
    np.testing.assert_allclose(chosen.logits, logits, atol=0.2)  # folds are told by rough solutions
    assert tried[chosen.penalty] == pytest.approx(head.losses(logits, labels).mean(), abs=2e-3)


def test_noise_is_penalised_more_than_what_is_clear():
    generator = np.random.default_rng(3)
    labels = np.arange(60) % 2
    where = folds(labels, None, 5, 0)
    noise = head.choose(generator.normal(size=(60, 30)), labels, 2, where)
    clear = head.choose(labels[:, None] + 0.01 * generator.normal(size=(60, 30)), labels, 2, where)
    assert noise.penalty > clear.penalty
    assert len(noise.tried) < len(head.PENALTIES)


def test_where_nothing_can_be_held_out_the_usual_penalty_is_taken():
    chosen = head.choose(np.eye(2), np.array([0, 1]), 2, np.array([-1, -1]))
    assert (chosen.penalty, chosen.tried) == (head.DEFAULT_PENALTY, ())
    assert np.isnan(chosen.logits).all()
