"""How the proofs compare: thousands of drawn settings, torch beside ours, in both precisions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, settings

settings.register_profile(
    "proofs", max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Small arrays: threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def torchs():
    """Torch's activation of that name. Its softplus is x itself above 20, which is 2e-9 too little: here above 40."""
    special = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": functools.partial(F.softplus, threshold=40)}
    return lambda name: special.get(name) or getattr(F, name.replace("-", "_"))


@pytest.fixture(scope="session")
def same():
    """Asserts that ours is torch's: to 1e-10 in float64, to 1e-6 in float32, of the largest number."""

    def check(ours: Any, theirs: torch.Tensor) -> None:
        expected = theirs.detach().numpy()
        ours = np.asarray(ours)
        assert ours.shape == expected.shape
        finite = np.abs(expected[np.isfinite(expected)])
        near = 1e-10 if expected.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(ours, expected, rtol=0, atol=near * max(1.0, finite.max(initial=0.0)))

    return check
