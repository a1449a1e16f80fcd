import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.statistics import metrics


@st.composite
def scored(draw):
    """Labels and distinct probabilities for a few pictures; some classes may be missing."""
    classes = draw(st.integers(2, 8))
    n = draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probabilities = random.dirichlet(np.full(classes, 0.5), size=n) + 1e-5  # above the floor of log_loss
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return random.integers(0, classes, n), probabilities


@settings(deadline=None)  # the first call imports a library
@given(scored())
def test_agrees_with_scikit_learn(case):
    from sklearn import metrics as reference

    labels, probabilities = case
    classes = probabilities.shape[1]
    every = np.arange(classes)
    predicted = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, predicted, classes)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(labels, predicted, labels=every))
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=np.nan
    )
    ours = metrics.per_class(confusion)
    np.testing.assert_allclose(ours.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(ours.recall, recall, rtol=1e-12)
    np.testing.assert_allclose(ours.f1, f1, rtol=1e-12)
    np.testing.assert_array_equal(ours.support, support)
    assert metrics.log_loss(probabilities, labels) == pytest.approx(
        reference.log_loss(labels, probabilities, labels=every)
    )
    brier = ((probabilities - np.eye(classes)[labels]) ** 2).sum(axis=1).mean()
    assert metrics.brier_scores(probabilities, labels).mean() == pytest.approx(brier)
    if classes > 2:  # scikit-learn halves it for two
        assert reference.brier_score_loss(labels, probabilities, labels=every) == pytest.approx(brier)


@settings(deadline=None)
@given(scored())
def test_agrees_with_torchmetrics(case):
    functional = pytest.importorskip(
        "torchmetrics.functional.classification", reason="torchmetrics is not installed: pip install torchmetrics"
    )
    import torch

    labels, probabilities = case
    classes = probabilities.shape[1]
    target, given_ = torch.from_numpy(labels), torch.from_numpy(probabilities)
    ours = metrics.per_class(metrics.confusion_matrix(labels, probabilities.argmax(axis=1), classes))
    settings_ = {"num_classes": classes, "average": "none"}
    for name in ("precision", "recall"):
        theirs = getattr(functional, f"multiclass_{name}")(given_, target, **settings_).numpy()
        np.testing.assert_allclose(np.nan_to_num(getattr(ours, name)), theirs, atol=1e-6)
    theirs = functional.multiclass_f1_score(given_, target, **settings_).numpy()
    np.testing.assert_allclose(np.nan_to_num(ours.f1), theirs, atol=1e-6)
    top = functional.multiclass_accuracy(given_, target, num_classes=classes, average="micro", top_k=min(2, classes))
    assert metrics.top_k_accuracy(probabilities, labels, min(2, classes)) == pytest.approx(float(top), abs=1e-6)


def test_bare_answers_are_no_probabilities():
    assert metrics.are_probabilities(np.array([[0.9, 0.1], [0.0, 1.0]]))
    assert not metrics.are_probabilities(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert not metrics.are_probabilities(np.array([[2.0, 0.5]]))
    assert not metrics.are_probabilities(np.array([[-0.5, 1.5]]))


@settings(deadline=None)  # the first call imports a library
@given(scored(), st.integers(1, 8))
def test_top_k_agrees_with_scikit_learn(case, k):
    from sklearn.metrics import top_k_accuracy_score

    labels, probabilities = case
    classes = probabilities.shape[1]
    if classes == 2 or k >= classes:  # where scikit-learn wants other arguments, or warns
        expected = float(np.mean([y in np.argsort(-p)[:k] for y, p in zip(labels, probabilities, strict=True)]))
    else:
        expected = top_k_accuracy_score(labels, probabilities, k=k, labels=np.arange(classes))
    assert metrics.top_k_accuracy(probabilities, labels, k) == pytest.approx(expected)


def test_ties_fall_as_in_argmax():
    flat = np.full((3, 4), 0.25)
    assert metrics.ranks(flat, np.array([0, 1, 3])).tolist() == [0, 1, 3]
    assert metrics.top_k_accuracy(flat, np.array([0, 1, 3]), 1) == pytest.approx(1 / 3)


def test_undefined_scores_are_nan_and_never_predicted_is_not_the_same_as_absent():
    #              predicted  a  b  c  d
    confusion = np.array([[2, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = metrics.per_class(confusion)
    np.testing.assert_array_equal(scores.precision, [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(scores.recall, [2 / 3, 0, np.nan, np.nan])
    np.testing.assert_allclose(scores.f1, [0.8, 0, 0, np.nan])
    assert scores.support.tolist() == [3, 1, 0, 0]


def test_one_certain_mistake_costs_a_stated_amount():
    certain = np.array([[1.0, 0.0]], dtype=np.float32)
    assert metrics.log_loss(certain, np.array([1])) == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert metrics.log_loss(certain, np.array([1]), floor=0.5) == pytest.approx(np.log(2))
    assert str(metrics.log_loss(certain, np.array([0]))) == "0.0"


def test_base_rate_names_the_most_frequent_class_and_the_first_among_equals():
    assert metrics.base_rate(np.array([2, 2, 1, 2]), 4) == (0.75, 2)
    assert metrics.base_rate(np.array([3, 1]), 4) == (0.5, 1)
