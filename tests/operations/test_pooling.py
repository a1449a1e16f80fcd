import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.errors import NetworkError
from pellucid.networks.arithmetic import output_size
from pellucid.operations import pooling

PROOF = settings(settings.get_profile("proofs"), max_examples=250)


@st.composite
def cases(draw, dilated=True):
    size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.integers(0, size[0] // 2)), draw(st.integers(0, size[1] // 2))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if dilated else (1, 1)
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    fits = zip(shape[2:], size, padding, dilation, strict=True)
    assume(all(output_size(w, f, padding=p, dilation=d) >= 1 for w, f, p, d in fits))
    return shape, size, {"stride": stride, "padding": padding, "dilation": dilation}


def drawn(seed, shape, double):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float64 if double else np.float32)


SEEDS = st.integers(0, 2**32 - 1)


@PROOF
@given(case=cases(), partial=st.booleans(), seed=SEEDS, double=st.booleans())
def test_max_pooling_is_that_of_torch(same, case, partial, seed, double):
    shape, size, how = case
    x = drawn(seed, shape, double)
    same(
        pooling.max_pool(x, size, **how, partial=partial), F.max_pool2d(torch.tensor(x), size, **how, ceil_mode=partial)
    )


@PROOF
@given(case=cases(), seed=SEEDS, ties=st.booleans())
def test_the_gradient_of_max_pooling_is_that_of_torch(same, case, seed, ties):
    shape, size, how = case
    x = drawn(seed, shape, double=True)
    x = np.round(x) if ties else x
    tx = torch.tensor(x, requires_grad=True)
    expected = F.max_pool2d(tx, size, **how)
    assume(bool(torch.isfinite(expected).all()))
    dy = np.random.default_rng(seed).normal(size=expected.shape)
    [theirs] = torch.autograd.grad(expected, tx, torch.tensor(dy))
    same(pooling.max_pool_backward(x, size, dy, **how), theirs)


@PROOF
@given(case=cases(dilated=False), partial=st.booleans(), counted=st.booleans(), seed=SEEDS, double=st.booleans())
def test_average_pooling_is_that_of_torch(same, case, partial, counted, seed, double):
    shape, size, how = case
    x = drawn(seed, shape, double)
    theirs = {"stride": how["stride"], "padding": how["padding"], "ceil_mode": partial, "count_include_pad": counted}
    ours = pooling.average_pool(x, size, **how, partial=partial, count_padding=counted)
    same(ours, F.avg_pool2d(torch.tensor(x), size, **theirs))


def unfolded(x, size, how):
    """torch's windows: (N, C, F·F, O, O). Its own average and L2 pooling know no dilation."""
    x = torch.tensor(x)
    stride = how["stride"] or size
    columns = F.unfold(x, size, dilation=how["dilation"], padding=how["padding"], stride=stride)
    rest = zip(x.shape[2:], size, how["padding"], how["dilation"], stride, strict=True)
    rows, across = ((w + 2 * p - d * (f - 1) - 1) // s + 1 for w, f, p, d, s in rest)
    return columns.reshape(*x.shape[:2], size[0] * size[1], rows, across)


@PROOF
@given(case=cases(), seed=SEEDS, double=st.booleans())
def test_dilated_average_pooling_is_the_mean_of_the_windows_of_torch(same, case, seed, double):
    shape, size, how = case
    x = drawn(seed, shape, double)
    same(pooling.average_pool(x, size, **how), unfolded(x, size, how).mean(dim=2))


@PROOF
@given(case=cases(), seed=SEEDS, double=st.booleans())
def test_l2_pooling_is_that_of_torch(same, case, seed, double):
    shape, size, how = case
    how["padding"] = (0, 0)
    assume(all(output_size(w, f, dilation=d) >= 1 for w, f, d in zip(shape[2:], size, how["dilation"], strict=True)))
    x = drawn(seed, shape, double)
    ours = pooling.l2_pool(x, size, stride=how["stride"], dilation=how["dilation"])
    same(ours, torch.linalg.vector_norm(unfolded(x, size, how), dim=2))
    if how["dilation"] == (1, 1):
        same(ours, F.lp_pool2d(torch.tensor(x), 2.0, size, how["stride"]))


def test_the_last_window_ends_at_the_right_edge_and_never_past_it():
    """9 pixels, a window of 3 with dilation 2 (it reaches over 5), stride 3: O = (9 − 5) / 3 + 1 = 2, not 3."""
    x = np.arange(81.0).reshape(1, 1, 9, 9)
    ours = pooling.max_pool(x, 3, dilation=2)
    assert ours[0, 0].tolist() == [[40, 43], [67, 70]]
    assert pooling.max_pool(x, 3, dilation=2, partial=True)[0, 0].tolist() == [[40, 43, 44], [67, 70, 71], [76, 79, 80]]


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(NetworkError) as caught:
        pooling.max_pool(np.zeros((1, 1, 2, 2)), 3)
    assert str(caught.value) == "A window that covers 3×3 does not fit a padded picture of 2×2. Use more padding."
    with pytest.raises(NetworkError) as caught:
        pooling.max_pool(np.zeros((1, 1, 4, 4)), 3, padding=2)
    assert str(caught.value).startswith("Padding of 2 is more than half of a window of 3")
