import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pellucid.operations.initialisation import INITIALISATIONS, fans
from pellucid.training.initialisation import INITIALISATIONS as OF_TRAINING

PROOF = settings(settings.get_profile("proofs"), max_examples=100)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6)) | st.tuples(*[st.integers(1, 4)] * 4)


@PROOF
@given(shape=SHAPES)
def test_fans_are_those_of_torch(shape):
    assert fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(shape))


@pytest.mark.parametrize("name", [name for name in INITIALISATIONS if name not in ("zeros", "torch-default")])
@pytest.mark.parametrize("shape", [(40, 60), (12, 8, 5, 5)])
def test_weights_are_spread_as_those_of_torch(name, shape):
    """Two samples of one distribution (Kolmogorov and Smirnov); the seeds are fixed, so the answer is too."""
    ours = INITIALISATIONS[name](shape, np.random.default_rng(0))
    torch.manual_seed(0)
    theirs = OF_TRAINING[name](torch.empty(shape, dtype=torch.float64)).numpy()
    assert ours.shape == shape
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > 0.01
    assert stats.ks_2samp(1.3 * ours.ravel(), theirs.ravel()).pvalue < 1e-4, "a wrong spread would be seen"


@pytest.mark.parametrize("layer", [torch.nn.Linear(60, 50), torch.nn.Conv2d(8, 12, 5)])
def test_what_torch_begins_with_is_neither_xaviers_nor_hes(layer):
    theirs = layer.weight.detach().numpy()
    draw = np.random.default_rng(1)
    ours = {name: INITIALISATIONS[name](theirs.shape, draw) for name in INITIALISATIONS}
    assert stats.ks_2samp(ours["torch-default"].ravel(), theirs.ravel()).pvalue > 1e-3
    assert np.abs(theirs).max() <= 1 / np.sqrt(fans(theirs.shape)[0])
    for name in ("xavier-uniform", "xavier-normal", "kaiming-uniform", "kaiming-normal"):
        assert stats.ks_2samp(ours[name].ravel(), theirs.ravel()).pvalue < 1e-10


def test_units_that_begin_alike_stay_alike():
    from pellucid.operations.backpropagation import mlp_step

    x, labels = np.random.default_rng(0).normal(size=(8, 4)), np.array([0, 1] * 4)
    parameters = [np.full((3, 4), 0.1), np.zeros(3), np.full((2, 3), 0.1), np.zeros(2)]
    for _ in range(5):
        found = mlp_step(x, labels, parameters)
        parameters = [p - 0.1 * g for p, g in zip(parameters, found.gradients, strict=True)]
    assert (parameters[0] == parameters[0][0]).all()
    assert not INITIALISATIONS["zeros"]((2, 3), np.random.default_rng(0)).any()
