"""The fused form of Lite0 computes what the module computes."""

from __future__ import annotations

import pytest
import torch

from pellucid.inference import fused
from pellucid.inference.fused import FusedLite0, can_be_fused, has_fused_kernels, quick, quick_features
from pellucid.networks import backbones
from pellucid.networks.catalogue import create


@pytest.fixture(scope="module")
def lite0():
    return backbones.load("lite0").module()


@pytest.mark.parametrize("kernels", ["fused", "plain"])
@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 3, 33, 50), (3, 3, 7, 5)], ids=str)
def test_it_gives_the_same_outputs_within_a_ten_thousandth_of_the_largest(lite0, shape, kernels, monkeypatch):
    if kernels == "fused" and not has_fused_kernels():
        pytest.skip("this torch has no fused kernels on this processor")
    monkeypatch.setattr(fused, "has_fused_kernels", lambda: kernels == "fused")
    inputs = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    run = FusedLite0(lite0)
    with torch.inference_mode():
        for found, expected in ((run(inputs), lite0(inputs)), (run.features(inputs), lite0.features(inputs))):
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_batches_of_another_size_may_follow(lite0):
    run = quick(lite0)
    inputs = torch.randn(5, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = run(inputs)
        alone = torch.cat([run(one[None]) for one in inputs])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


def test_it_is_of_the_weights_at_that_moment(lite0):
    module = create("lite0", (3, 32, 32), 4).eval()
    inputs = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(quick(module)(inputs), module(inputs), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        module.classifier.bias += 1
    with torch.inference_mode():
        torch.testing.assert_close(quick(module)(inputs), module(inputs), rtol=1e-4, atol=1e-4)


def test_what_is_listened_to_or_another_network_stays_as_it_is(lite0):
    assert can_be_fused(lite0)
    handle = lite0.blocks[3].register_forward_hook(lambda *_: None)
    assert not can_be_fused(lite0)
    assert quick(lite0) is lite0
    handle.remove()
    convnet = create("convnet", (1, 28, 28), 10)
    assert quick(convnet) is convnet
    assert not can_be_fused(create("lite0", (3, 32, 32), 2).double())
    assert quick_features(lite0).__func__ is FusedLite0.features


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, TypeError])
def test_kernels_that_fail_are_not_used(monkeypatch, error):
    def fail(*_: object):
        raise error("not here")

    monkeypatch.setattr(fused._Fused, "__call__", fail)
    assert not has_fused_kernels.__wrapped__()


def test_kernels_that_compute_something_else_are_not_used(monkeypatch):
    monkeypatch.setattr(fused._Fused, "__call__", lambda self, x, residual=None: fused._Plain.__call__(self, x) + 1)
    assert not has_fused_kernels.__wrapped__()
