"""Losses, beside torch's own and finite differences; class weights beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from pellucid.errors import UnknownNameError, UsageError
from pellucid.inference.probabilities import PROBABILITIES
from pellucid.training.losses import LOSSES, balanced_weights, find_loss, loss_function


def some(n: int = 7, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(n, classes, generator=generator, dtype=torch.float64) * 2
    return outputs, torch.randint(0, classes, (n,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_torchs(smoothing, weighted):
    outputs, labels = some()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0], dtype=torch.float64) if weighted else None
    found = loss_function("cross-entropy", weights=weights, smoothing=smoothing)(outputs, labels)
    wanted = functional.cross_entropy(outputs, labels, weight=weights, label_smoothing=smoothing)
    torch.testing.assert_close(found, wanted)


def test_label_smoothing_spreads_the_target():
    outputs, labels = some()
    targets = functional.one_hot(labels, 5) * 0.8 + 0.2 / 5
    wanted = -(targets * functional.log_softmax(outputs, dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(loss_function("cross-entropy", smoothing=0.2)(outputs, labels), wanted)


def test_squared_error_is_torchs_on_one_hot_targets():
    outputs, labels = some()
    wanted = functional.mse_loss(outputs, functional.one_hot(labels, 5).double(), reduction="sum") / 2 / len(labels)
    torch.testing.assert_close(loss_function("squared-error")(outputs, labels), wanted)


def test_hinge_is_torchs_multi_margin_loss():
    outputs, labels = some()
    wanted = functional.multi_margin_loss(outputs, labels) * outputs.shape[1]  # torch divides by the number of classes
    torch.testing.assert_close(loss_function("hinge")(outputs, labels), wanted)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    outputs, labels = some()
    assert torch.autograd.gradcheck(
        lambda z: loss_function(name)(z, labels), outputs.requires_grad_(requires_grad=True)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_weights_count_pictures_several_times(name):
    outputs, labels = some()
    weights = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0], dtype=torch.float64)
    repeated = torch.repeat_interleave(torch.arange(len(labels)), weights[labels].long())
    found = loss_function(name, weights=weights)(outputs, labels)
    torch.testing.assert_close(found, loss_function(name)(outputs[repeated], labels[repeated]))


@pytest.mark.parametrize("name", LOSSES)
def test_being_right_costs_less_than_being_wrong(name):
    labels = torch.tensor([0, 1])
    right = functional.one_hot(labels, 3).double() * 4 - 2
    assert loss_function(name)(right, labels) < loss_function(name)(-right, labels)
    assert LOSSES[name].probabilities in PROBABILITIES


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "cross-entropy"])
def test_label_smoothing_belongs_to_the_cross_entropy(name):
    with pytest.raises(UsageError, match=f"not with {name}"):
        loss_function(name, smoothing=0.1)


def test_an_unknown_loss():
    with pytest.raises(UnknownNameError, match="Did you mean 'hinge'"):
        find_loss("hing")


def test_balanced_weights_are_scikit_learns():
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 13)
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    torch.testing.assert_close(balanced_weights(labels, 3), torch.from_numpy(wanted).float())


def test_a_class_without_pictures_weighs_nothing():
    weights = balanced_weights(torch.tensor([0, 0, 2, 2, 2, 2]), 4)
    assert weights.tolist() == [1.5, 0.0, 0.75, 0.0]
