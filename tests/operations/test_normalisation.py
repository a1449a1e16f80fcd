import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.operations.normalisation import BatchNormalisation

PROOF = settings(settings.get_profile("proofs"), max_examples=250)


@PROOF
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 3))
    | st.tuples(st.integers(2, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    epsilon=st.floats(1e-5, 0.1),
    momentum=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_training_and_inference_are_those_of_torch(same, shape, epsilon, momentum, seed):
    generator = np.random.default_rng(seed)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(shape[1], eps=epsilon, momentum=momentum, dtype=torch.float64)
    ours = BatchNormalisation.of(shape[1])
    ours.scale, ours.shift, ours.epsilon, ours.momentum = *generator.normal(size=(2, shape[1])), epsilon, momentum
    theirs.weight.data, theirs.bias.data = torch.tensor(ours.scale), torch.tensor(ours.shift)
    for _ in range(2):
        x = generator.normal(3, 2, shape)
        tx = torch.tensor(x, requires_grad=True)
        expected = theirs(tx)
        same(ours.train(x), expected)
        same(ours.running_mean, theirs.running_mean)
        same(ours.running_variance, theirs.running_var)
    dy = generator.normal(size=shape)
    gradients = torch.autograd.grad(expected, (tx, theirs.weight, theirs.bias), torch.tensor(dy))
    for mine, their in zip(ours.backward(x, dy), gradients, strict=True):
        same(mine, their)
    same(ours.infer(x), theirs.eval()(tx))


def test_the_layer_before_needs_no_bias_and_the_layer_after_does():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 3))
    normal = BatchNormalisation.of(3)
    np.testing.assert_allclose(normal.train(x + np.array([5, -7, 100])), normal.train(x), atol=1e-10)
    normal.shift = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(normal.train(x).mean(axis=0), [1, 2, 3], atol=1e-12)
