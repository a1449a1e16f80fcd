import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Perceptron

from pellucid.operations.perceptron import fires, learn, perceptron_step

PROOF = settings(settings.get_profile("proofs"), max_examples=100)


@PROOF
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(1, 4), epochs=st.integers(1, 4))
def test_the_rule_is_that_of_scikit_learn(seed, features, epochs):
    """Theirs mends where t·z ≤ 0 with t = ±1, ours where the answer is wrong: the same but at z = 0."""
    generator = np.random.default_rng(seed)
    x, targets = generator.normal(size=(8, features)), np.arange(8) % 2
    theirs = Perceptron(max_iter=epochs, tol=None, shuffle=False)
    theirs.fit(x[:1].repeat(2, axis=0) * 0, [0, 1])  # its two classes
    weights, bias = generator.normal(size=features), float(generator.normal())
    theirs.coef_, theirs.intercept_ = weights[np.newaxis].copy(), np.array([bias])
    theirs.partial_fit(x, targets)
    for example, target in zip(x, targets, strict=True):
        weights, bias = perceptron_step(example, int(target), weights, bias)
    np.testing.assert_allclose(theirs.coef_[0], weights, atol=1e-10)
    np.testing.assert_allclose(theirs.intercept_[0], bias, atol=1e-10)


def test_it_comes_to_rest_where_a_plane_separates_and_never_where_none_does():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    for name, targets in (("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1])):
        weights, bias, mistakes = learn(x, np.array(targets), 50)
        assert mistakes[-1] == 0, name
        assert fires(x, weights, bias).tolist() == targets
    *_, mistakes = learn(x, np.array([0, 1, 1, 0]), 50)
    assert len(mistakes) == 50
    assert min(mistakes) > 0


def test_a_right_answer_changes_nothing():
    weights, bias = perceptron_step(np.array([1.0, 2.0]), 1, np.array([1.0, 1.0]), 0.0)
    assert (weights.tolist(), bias) == ([1, 1], 0)
    assert fires(np.array([[1.0, -1.0]]), weights, bias).tolist() == [1], "at exactly 0 it fires"
