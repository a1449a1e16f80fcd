import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import UsageError
from pellucid.operations import differentiation
from pellucid.operations.differentiation import Variable

PROOF = settings(settings.get_profile("proofs"), max_examples=200)

UNARY = {
    "relu": (Variable.relu, torch.relu),
    "tanh": (Variable.tanh, torch.tanh),
    "exp": (lambda a: (a * 0.1).exp(), lambda a: (a * 0.1).exp()),
    "log": (lambda a: (a * a + 1).log(), lambda a: (a * a + 1).log()),
    "square": (lambda a: a**2, lambda a: a**2),
    "reciprocal": (lambda a: 1 / (a**2 + 0.5), lambda a: 1 / (a**2 + 0.5)),
    "negative": (lambda a: 3 - -a, lambda a: 3 - -a),
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "×": lambda a, b: a * b,
    "÷": lambda a, b: a / (b * b + 1),
}


@PROOF
@given(
    steps=st.lists(st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 9), st.integers(0, 9)), max_size=6),
    shapes=st.sampled_from([((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((4, 2, 3), (2, 1))]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_gradients_of_any_formula_are_those_of_autograd(same, steps, shapes, seed):
    generator = np.random.default_rng(seed)
    arrays = [generator.normal(size=shape) for shape in shapes]
    ours = [Variable(one) for one in arrays]
    theirs = [torch.tensor(one, requires_grad=True) for one in arrays]
    leaves = list(theirs)
    for name, first, second in steps:
        i, j = first % len(ours), second % len(ours)
        if name in UNARY:
            mine, their = UNARY[name]
            ours.append(mine(ours[i]).tanh())  # tanh keeps products of products small
            theirs.append(their(theirs[i]).tanh())
        else:
            ours.append(BINARY[name](ours[i], ours[j]).tanh())
            theirs.append(BINARY[name](theirs[i], theirs[j]).tanh())
    total, expected = sum(one.sum() for one in ours), sum(one.sum() for one in theirs)
    total.backward()
    same(total.value, expected)
    for mine, gradient in zip(ours, torch.autograd.grad(expected, leaves), strict=False):
        same(mine.gradient, gradient)


@PROOF
@given(n=st.integers(1, 3), d=st.integers(1, 3), k=st.integers(2, 4), seed=st.integers(0, 2**32 - 1))
def test_matrices_and_cross_entropy_too(same, n, d, k, seed):
    generator = np.random.default_rng(seed)
    x, w, labels = generator.normal(size=(n, d)), generator.normal(size=(k, d)), generator.integers(0, k, n)
    a, b = Variable(x), Variable(w)
    loss = (a @ b.transposed).cross_entropy(labels) + (a @ b.transposed).mean() + (x @ b.transposed).sum()
    loss.backward()
    tensors = [torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)]
    z = tensors[0] @ tensors[1].T
    expected = F.cross_entropy(z, torch.tensor(labels)) + z.mean() + (torch.tensor(x) @ tensors[1].T).sum()
    for mine, gradient in zip((a, b), torch.autograd.grad(expected, tensors), strict=True):
        same(mine.gradient, gradient)


def test_an_mlp_learns_the_digits_to_the_same_weights_as_with_torch(same):
    """Ten epochs in float64 over the training digits, the same batches in the same order."""
    split = pellucid.load("digits").train
    x = split.pictures.reshape(len(split), -1) / 255.0
    labels = split.labels
    generator = np.random.default_rng(0)
    arrays = [generator.normal(0, 0.1, (32, 64)), np.zeros(32), generator.normal(0, 0.1, (10, 32)), np.zeros(10)]
    parameters = [Variable(one) for one in arrays]
    tensors = [torch.tensor(one, requires_grad=True) for one in arrays]
    losses = []
    for _ in range(10):
        for batch in np.array_split(generator.permutation(len(x)), 20):
            w1, b1, w2, b2 = parameters
            loss = ((x[batch] @ w1.transposed + b1).relu() @ w2.transposed + b2).cross_entropy(labels[batch])
            loss.backward()
            parameters = [Variable(one.value - 0.5 * one.gradient) for one in parameters]
            losses.append(float(loss.value))

            hidden = F.linear(torch.tensor(x[batch]), tensors[0], tensors[1]).relu()
            theirs = F.cross_entropy(F.linear(hidden, tensors[2], tensors[3]), torch.tensor(labels[batch]))
            gradients = torch.autograd.grad(theirs, tensors)
            tensors = [(one - 0.5 * g).detach().requires_grad_() for one, g in zip(tensors, gradients, strict=True)]
    for mine, their in zip(parameters, tensors, strict=True):
        same(mine.value, their)
    assert np.mean(losses[-20:]) < 0.2 < 2 < losses[0], "it has learned"


def test_it_is_short_and_says_what_it_is():
    assert len(inspect.getsource(differentiation).splitlines()) < 200
    a = Variable(2.0, name="a")
    assert repr(a) == "Variable(a)"
    assert repr(a * 3) == "Variable(6.0 by ×)"


def test_a_variable_that_is_used_twice_gets_both_shares():
    a = Variable(3.0)
    (a * a + a).backward()
    assert a.gradient == 7
    (a * a + a).backward()
    assert a.gradient == 7, "a second time begins at 0"


def test_a_long_computation_does_not_exceed_the_stack():
    a = Variable(1.0)
    total = a
    for _ in range(5000):
        total = total + a
    total.backward()
    assert a.gradient == 5001


def test_only_a_single_number_has_a_gradient():
    with pytest.raises(UsageError) as caught:
        Variable([1.0, 2.0]).backward()
    assert str(caught.value) == "Gradients need a single number, but this variable has 2. Use .sum()."
