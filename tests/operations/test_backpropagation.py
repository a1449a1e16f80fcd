import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.operations.activations import ACTIVATIONS
from pellucid.operations.backpropagation import cnn_step, mlp_step
from pellucid.operations.dense import dense, dense_backward

PROOF = settings(settings.get_profile("proofs"), max_examples=150)
SEEDS = st.integers(0, 2**32 - 1)


def leaves(arrays):
    return [torch.tensor(one, requires_grad=True) for one in arrays]


@PROOF
@given(many=st.integers(1, 4), inputs=st.integers(1, 4), outputs=st.integers(1, 4), seed=SEEDS)
def test_a_dense_layer_is_that_of_torch(same, many, inputs, outputs, seed):
    generator = np.random.default_rng(seed)
    x, w, b = (generator.normal(size=shape) for shape in ((many, inputs), (outputs, inputs), (outputs,)))
    tensors = leaves((x, w, b))
    expected = F.linear(*tensors)
    same(dense(x, w, b), expected)
    dy = generator.normal(size=expected.shape)
    for ours, theirs in zip(
        dense_backward(x, w, dy), torch.autograd.grad(expected, tensors, torch.tensor(dy)), strict=True
    ):
        same(ours, theirs)


@PROOF
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    classes=st.integers(2, 4),
    many=st.integers(1, 4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    seed=SEEDS,
)
def test_the_gradients_of_an_mlp_are_those_of_autograd(same, torchs, widths, classes, many, activation, seed):
    generator = np.random.default_rng(seed)
    sizes = [*widths, classes]
    parameters = []
    for before, after in itertools.pairwise(sizes):
        parameters += [generator.normal(size=(after, before)), generator.normal(size=after)]
    x, labels = generator.normal(size=(many, sizes[0])), generator.integers(0, classes, many)
    theirs, a = leaves(parameters), torch.tensor(x, requires_grad=True)
    h = torchs(activation)
    kept = [a]
    for index in range(0, len(theirs), 2):
        a = F.linear(a, theirs[index], theirs[index + 1])
        a = a if index == len(theirs) - 2 else h(a)
        kept.append(a)
    loss = F.cross_entropy(a, torch.tensor(labels))
    found = mlp_step(x, labels, parameters, activation)
    same(found.loss, loss)
    gradients = torch.autograd.grad(loss, [*theirs, *kept])
    for ours, expected in zip([*found.gradients, *found.value_gradients], gradients, strict=True):
        same(ours, expected)
    for ours, expected in zip(found.values, kept, strict=True):
        same(ours, expected)


@PROOF
@given(
    many=st.integers(1, 3), channels=st.integers(1, 2), kernels=st.integers(1, 3), side=st.integers(5, 8), seed=SEEDS
)
def test_the_gradients_of_a_cnn_are_those_of_autograd(same, many, channels, kernels, side, seed):
    generator = np.random.default_rng(seed)
    after = ((side - 2) // 2) ** 2 * kernels
    shapes = ((kernels, channels, 3, 3), (kernels,), (3, after), (3,))
    parameters = [generator.normal(size=shape) for shape in shapes]
    x, labels = generator.normal(size=(many, channels, side, side)), generator.integers(0, 3, many)
    theirs, tx = leaves(parameters), torch.tensor(x, requires_grad=True)
    c = F.conv2d(tx, theirs[0], theirs[1])
    r = c.relu()
    p = F.max_pool2d(r, 2)
    z = F.linear(p.flatten(1), theirs[2], theirs[3])
    loss = F.cross_entropy(z, torch.tensor(labels))
    found = cnn_step(x, labels, parameters)
    same(found.loss, loss)
    for ours, expected in zip(
        [*found.gradients, *found.value_gradients], torch.autograd.grad(loss, [*theirs, tx, c, r, p, z]), strict=True
    ):
        same(ours, expected)
    for ours, expected in zip(found.values, (tx, c, r, p, z), strict=True):
        same(ours, expected)


@pytest.mark.parametrize("place", [(0, 1, 2), (2, 0, 1)])
def test_a_gradient_is_what_a_small_change_does(place):
    """Without any library: (L(w + h) − L(w − h)) / 2h."""
    generator = np.random.default_rng(0)
    parameters = [generator.normal(size=shape) for shape in ((3, 4), (3,), (2, 3), (2,))]
    x, labels = generator.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    which, row, column = place
    losses = []
    for change in (1e-5, -1e-5):
        moved = [one.copy() for one in parameters]
        moved[which][row, column] += change
        losses.append(mlp_step(x, labels, moved, "tanh").loss)
    slope = (losses[0] - losses[1]) / 2e-5
    assert mlp_step(x, labels, parameters, "tanh").gradients[which][row, column] == pytest.approx(slope, rel=1e-6)
