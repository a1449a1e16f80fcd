import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.operations.dropout import dropout, plain_dropout

PROOF = settings(settings.get_profile("proofs"), max_examples=150)


@PROOF
@given(rate=st.floats(0, 0.9), seed=st.integers(0, 2**32 - 1))
def test_what_is_kept_is_enlarged_as_torch_does(same, rate, seed):
    """The draws are each one's own; so torch's are read off, and handed to ours."""
    x = np.random.default_rng(seed).normal(size=40) + 3

    class Torchs:
        def random(self, shape):
            return np.where(dropped.numpy() == 0, 0.0, 1.0)  # below the rate: switched off

    torch.manual_seed(seed)
    dropped = torch.nn.functional.dropout(torch.tensor(x), rate)
    if rate > 0:
        same(dropout(x, rate, Torchs()), dropped)
    else:
        same(dropout(x, rate, np.random.default_rng(0)), dropped)


@PROOF
@given(rate=st.floats(0, 0.9), seed=st.integers(0, 2**32 - 1))
def test_the_share_that_is_dropped_is_the_rate(rate, seed):
    """Within six standard deviations of a binomial share."""
    many = 4000
    kept = (dropout(np.ones(many), rate, np.random.default_rng(seed)) != 0).mean()
    assert abs(kept - (1 - rate)) <= 6 * np.sqrt(rate * (1 - rate) / many)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_mean_stays_so_nothing_is_scaled_at_test_time(rate):
    x = np.arange(1.0, 9.0)
    draws = np.random.default_rng(0)
    inverted = np.mean([dropout(x, rate, draws) for _ in range(4000)], axis=0)
    plain = np.mean([plain_dropout(x, rate, draws) for _ in range(4000)], axis=0)
    spread = 6 * np.sqrt(rate / (1 - rate) / 4000)
    np.testing.assert_allclose(inverted / x, 1, atol=spread)
    np.testing.assert_allclose(plain / x, 1 - rate, atol=spread)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_that_is_none_is_one_sentence(rate):
    with pytest.raises(UsageError) as caught:
        dropout(np.ones(3), rate, np.random.default_rng(0))
    assert str(caught.value) == f"The dropout rate is {rate}, but should be at least 0 and below 1. Try 0.5."
