import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.operations.activations import ACTIVATIONS

PROOF = settings(settings.get_profile("proofs"), max_examples=80)
VALUES = st.lists(st.floats(-1000, 1000, width=32) | st.floats(-6, 6, width=32), min_size=1, max_size=12)


@PROOF
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(values=VALUES | st.lists(st.floats(18, 24, width=32), min_size=1), double=st.booleans())
def test_values_and_derivatives_are_those_of_torch(same, torchs, name, values, double):
    x = np.array(values, np.float64 if double else np.float32)
    tx = torch.tensor(x, requires_grad=True)
    expected = torchs(name)(tx)
    [slope] = torch.autograd.grad(expected.sum(), tx)
    same(ACTIVATIONS[name].function(x), expected)
    bends = np.array([]) if name not in ("elu", "leaky-relu") else x[x == 0]
    if not len(bends):  # where a line bends there is no derivative, and each takes what it likes
        same(ACTIVATIONS[name].derivative(x), slope)
    assert ACTIVATIONS[name].function(x).dtype == x.dtype
