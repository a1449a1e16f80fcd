import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.operations import losses

PROOF = settings(settings.get_profile("proofs"), max_examples=250)
BATCHES = {
    "many": st.integers(1, 5),
    "classes": st.integers(2, 6),
    "size": st.sampled_from([0.1, 1.0, 30.0, 1000.0]),
    "seed": st.integers(0, 2**32 - 1),
}


def batch(many, classes, size, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(0, size, (many, classes)), generator.integers(0, classes, many)


@PROOF
@given(**BATCHES, smoothing=st.floats(0, 0.5))
def test_cross_entropy_softmax_and_one_hot_are_those_of_torch(same, many, classes, size, seed, smoothing):
    z, labels = batch(many, classes, size, seed)
    tz, ty = torch.tensor(z, requires_grad=True), torch.tensor(labels)
    expected = F.cross_entropy(tz, ty, label_smoothing=smoothing)
    same(losses.cross_entropy(z, labels, smoothing), expected)
    same(losses.cross_entropy_gradient(z, labels, smoothing), torch.autograd.grad(expected, tz)[0])
    same(losses.softmax(z), tz.softmax(dim=1))
    same(losses.log_softmax(z), tz.log_softmax(dim=1))
    same(losses.one_hot(labels, classes), F.one_hot(ty, classes).double())


@PROOF
@given(**BATCHES)
def test_squared_error_is_that_of_torch(same, many, classes, size, seed):
    z, labels = batch(many, classes, size, seed)
    targets = losses.one_hot(labels, classes)
    tz = torch.tensor(z, requires_grad=True)
    expected = F.mse_loss(tz, torch.tensor(targets))
    same(losses.squared_error(z, targets), expected)
    same(losses.squared_error_gradient(z, targets), torch.autograd.grad(expected, tz)[0])


@PROOF
@given(**BATCHES, margin=st.floats(0.1, 3))
def test_hinge_is_that_of_torch(same, many, classes, size, seed, margin):
    z, labels = batch(many, classes, size, seed)
    tz = torch.tensor(z, requires_grad=True)
    expected = F.multi_margin_loss(tz, torch.tensor(labels), margin=margin)
    same(losses.hinge(z, labels, margin), expected)
    same(losses.hinge_gradient(z, labels, margin), torch.autograd.grad(expected, tz)[0])


def test_large_logits_neither_overflow_nor_lose_the_loss():
    z = np.array([[1e4, 0.0, -1e4]])
    assert losses.softmax(z).tolist() == [[1, 0, 0]]
    assert losses.cross_entropy(z, np.array([2])) == 2e4


def test_labels_that_are_none_are_one_sentence():
    with pytest.raises(UsageError) as caught:
        losses.one_hot(np.array([0, 3]), 3)
    assert str(caught.value) == "Labels of 3 classes are 0 to 2; given: 0 to 3."
    assert losses.one_hot(np.array([], int), 3).shape == (0, 3)
