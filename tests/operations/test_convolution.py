import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from pellucid.errors import NetworkError
from pellucid.networks.arithmetic import output_size
from pellucid.operations import convolution

PROOF = settings(settings.get_profile("proofs"), max_examples=500)


@st.composite
def cases(draw):
    """Pictures, kernels, and settings that fit them."""
    groups, inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    size, stride, padding, dilation = (
        (draw(st.integers(low, high)), draw(st.integers(low, high))) for low, high in ((1, 3), (1, 3), (0, 2), (1, 3))
    )
    shape = (draw(st.integers(1, 2)), groups * inputs, draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    fits = [
        output_size(w, f, padding=p, dilation=d) >= 1
        for w, f, p, d in zip(shape[2:], size, padding, dilation, strict=True)
    ]
    assume(all(fits))
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return shape, (groups * outputs, inputs, *size), settings


@PROOF
@given(case=cases(), biased=st.booleans(), seed=st.integers(0, 2**32 - 1), double=st.booleans())
def test_convolution_and_its_gradients_are_those_of_torch(same, case, biased, seed, double):
    shape, kernel_shape, how = case
    generator = np.random.default_rng(seed)
    dtype = np.float64 if double else np.float32
    # As large as the pixels and weights of a network: in float32 an error is relative to the sizes of what is added up.
    x, kernels = (generator.uniform(-0.5, 0.5, one).astype(dtype) for one in (shape, kernel_shape))
    bias = generator.uniform(-0.5, 0.5, len(kernels)).astype(dtype) if biased else None
    tx, tk = torch.tensor(x, requires_grad=True), torch.tensor(kernels, requires_grad=True)
    tb = torch.zeros(len(kernels), dtype=tx.dtype) if bias is None else torch.tensor(bias)
    tb.requires_grad_()
    expected = F.conv2d(tx, tk, tb, **how)
    same(convolution.convolve(x, kernels, bias, **how), expected)
    dy = generator.uniform(-0.5, 0.5, expected.shape).astype(dtype)
    theirs = torch.autograd.grad(expected, (tx, tk, tb), torch.tensor(dy))
    for ours, their in zip(convolution.convolve_backward(x, kernels, dy, **how), theirs, strict=True):
        same(ours, their)


def test_turned_kernels_give_what_signal_processing_calls_convolution():
    generator = np.random.default_rng(0)
    x, kernel = generator.normal(size=(7, 6)), generator.normal(size=(3, 2))
    ours = convolution.convolve(x[None, None], convolution.flipped(kernel[None, None]))[0, 0]
    np.testing.assert_allclose(ours, convolve2d(x, kernel, mode="valid"), atol=1e-12)


def test_what_does_not_fit_is_one_sentence():
    x, kernels = np.zeros((1, 3, 4, 4)), np.zeros((2, 3, 5, 5))
    with pytest.raises(NetworkError) as caught:
        convolution.convolve(x, kernels)
    assert str(caught.value) == "A window that covers 5×5 does not fit a padded picture of 4×4. Use more padding."
    with pytest.raises(NetworkError) as caught:
        convolution.convolve(x, np.zeros((2, 2, 3, 3)))
    assert str(caught.value).startswith("2 kernels for 2 channels each, in 1 groups, do not fit pictures of 3 channels")
