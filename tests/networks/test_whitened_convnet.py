"""The whitening layer whitens, and the network begins as it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.networks.whitened_convnet import WhitenedConvNet


@pytest.mark.parametrize(("patch", "stride"), [(2, 1), (3, 2)])
def test_what_comes_out_of_the_first_layer_is_white(patch, stride):
    torch.manual_seed(0)
    network = WhitenedConvNet((3, 20, 20), 4, widths=(8, 8, 8), patch=patch, stride=stride)
    inputs = functional.avg_pool2d(torch.randn(300, 3, 22, 22), 3, 1) * 3  # neighbours are alike, as in photographs
    network.initialise_from(inputs)
    out = functional.conv2d(inputs, network.whitening.weight, stride=stride).permute(1, 0, 2, 3).flatten(1).double()
    half = 3 * patch**2
    assert torch.equal(network.whitening.weight[half:], -network.whitening.weight[:half])
    covariance = out[:half] @ out[:half].T / out.shape[1]
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-3
    # What hardly varies is kept a little below.
    torch.testing.assert_close(covariance.diag().float(), torch.ones(half), atol=0.1, rtol=0)
    assert (covariance.diag() < 1).all()


def test_of_the_directions_those_with_the_most_variance_are_kept():
    torch.manual_seed(0)
    inputs = functional.avg_pool2d(torch.randn(300, 1, 22, 22), 3, 1)
    some, every = (WhitenedConvNet((1, 20, 20), 4, widths=(8, 8, 8), patch=3, directions=n) for n in (4, None))
    some.initialise_from(inputs)
    every.initialise_from(inputs)
    assert some.whitening.out_channels == 8
    assert every.whitening.out_channels == 18
    # The kernels of the whole stand by rising variance, so that the last four of the first half are the four largest.
    torch.testing.assert_close(some.whitening.weight[:4], every.whitening.weight[5:9])
    lengths = every.whitening.weight[:9].flatten(1).norm(dim=1)  # the longer a kernel, the smaller what it divides by
    assert (lengths.diff() < 0).all()


@pytest.mark.parametrize("directions", [0, 5, 2.0, True])
def test_directions_that_cannot_be(directions):
    with pytest.raises(UsageError, match="integer from 1 to 4"):
        WhitenedConvNet((1, 28, 28), 10, patch=2, directions=directions)


def test_convolutions_begin_by_handing_their_input_through():
    network = WhitenedConvNet((1, 28, 28), 10, widths=(16, 24, 32))
    layer = network.group2[0]
    assert isinstance(layer, nn.Conv2d)
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(layer(x)[:, :16], x)


def test_the_whitening_is_not_learned():
    network = WhitenedConvNet((1, 16, 16), 3, widths=(4, 4, 4))
    network(torch.randn(4, 1, 16, 16)).sum().backward()
    assert network.whitening.weight.grad is None
    assert network.whitening.bias.grad is not None


@pytest.mark.parametrize("settings", [{"patch": 0}, {"stride": 1.5}, {"patch": True}])
def test_patches_and_strides_that_cannot_be(settings):
    with pytest.raises(UsageError, match="integer of at least 1, in pixels"):
        WhitenedConvNet((1, 28, 28), 10, **settings)


@pytest.mark.parametrize("widths", [(4, 4), (4, 4, 0), (4, 4, 2.5)])
def test_widths_that_cannot_be(widths):
    with pytest.raises(UsageError, match="must be three integers"):
        WhitenedConvNet((1, 28, 28), 10, widths=widths)
