import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.operations import optimizers

PROOF = settings(settings.get_profile("proofs"), max_examples=90)
RATES = st.floats(1e-4, 0.5)
SHARES = st.floats(0, 0.99)
PAIRS = {
    "sgd": lambda rate, share, other: (optimizers.SGD(rate), lambda p: torch.optim.SGD(p, lr=rate)),
    "momentum": lambda rate, share, other: (
        optimizers.Momentum(rate, share),
        lambda p: torch.optim.SGD(p, lr=rate, momentum=share),
    ),
    "nesterov": lambda rate, share, other: (
        optimizers.Momentum(rate, share + 0.005, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=rate, momentum=share + 0.005, nesterov=True),
    ),
    "adagrad": lambda rate, share, other: (optimizers.Adagrad(rate), lambda p: torch.optim.Adagrad(p, lr=rate)),
    "rmsprop": lambda rate, share, other: (
        optimizers.RMSProp(rate, share),
        lambda p: torch.optim.RMSprop(p, lr=rate, alpha=share),
    ),
    "adam": lambda rate, share, other: (
        optimizers.Adam(rate, share, other),
        lambda p: torch.optim.Adam(p, lr=rate, betas=(share, other)),
    ),
}


@PROOF
@pytest.mark.parametrize("name", PAIRS)
@given(rate=RATES, share=SHARES, other=SHARES, steps=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_step_by_step_the_weights_are_those_of_torch(same, name, rate, share, other, steps, seed):
    ours, make = PAIRS[name](rate, share, other)
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=3)
    given_weights = weights.copy()
    theirs = torch.nn.Parameter(torch.tensor(weights))
    optimizer = make([theirs])
    for _ in range(steps):
        gradient = generator.normal(size=3)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        before = weights.copy()
        moved = ours.step(weights, gradient)
        assert np.array_equal(weights, before), "what was given stays as it is"
        weights = moved
        same(weights, theirs)
    assert not np.array_equal(weights, given_weights)
