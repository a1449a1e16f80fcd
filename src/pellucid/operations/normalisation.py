"""Batch normalisation: in training by the batch's own mean and variance, afterwards by those gathered on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass
class BatchNormalisation:
    """Gives each channel mean 0 and variance 1, and then the scale γ and the shift β that it learns.

    Formula:
        training:    x̂ = (x − μ_B) / √(σ²_B + ε),   y = γ x̂ + β
                     μ_B = mean of the batch,  σ²_B = Σ (x − μ_B)² / m   (over N, H and W; m numbers a channel)
                     μ ← (1 − α) μ + α μ_B,    σ² ← (1 − α) σ² + α σ²_B · m / (m − 1)
        inference:   x̂ = (x − μ) / √(σ² + ε),      y = γ x̂ + β

        A bias in the layer *before* is subtracted again with μ_B, so it can be left out there. The layer after is
        another matter: β has given its inputs a mean that is not 0.

    Attributes:
        scale: γ, (C,).
        shift: β, (C,).
        mean: μ, (C,), gathered while training.
        variance: σ², (C,), the same.
        epsilon: ε, which keeps the root away from 0.
        momentum: α, the weight of the newest batch.

    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    scale: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float = 1e-5
    momentum: float = 0.1

    @classmethod
    def of(cls, channels: int) -> BatchNormalisation:
        """As it is before any training: γ = 1, β = 0, μ = 0, σ² = 1."""
        return cls(np.ones(channels), np.zeros(channels), np.zeros(channels), np.ones(channels))

    def train(self, x: np.ndarray) -> np.ndarray:
        """Normalises a batch (N, C) or (N, C, H, W) by itself, and remembers its mean and variance."""
        axes = _all_but_channels(x)
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        many = x.size // x.shape[1]
        self.mean = (1 - self.momentum) * self.mean + self.momentum * mean
        # Of few numbers, the variance around their own mean is too small by (m − 1) / m (Bessel).
        self.variance = (1 - self.momentum) * self.variance + self.momentum * variance * many / (many - 1)
        return self._normalised(x, mean, variance)

    def infer(self, x: np.ndarray) -> np.ndarray:
        """Normalises with what was gathered: a picture's answer does not depend on its neighbours in the batch."""
        return self._normalised(x, self.mean, self.variance)

    def backwards(self, x: np.ndarray, dy: np.ndarray) -> Gradients:
        """The gradients in training, where mean and variance themselves depend on every x of the batch.

        Formula:
            dx̂ = γ dy,   dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(σ²_B + ε),   dγ = Σ dy · x̂,   dβ = Σ dy
        """
        axes = _all_but_channels(x)
        root = _of_channels(np.sqrt(x.var(axis=axes) + self.epsilon), x)
        normal = (x - _of_channels(x.mean(axis=axes), x)) / root
        d_normal = _of_channels(self.scale, x) * dy
        along = (d_normal * normal).mean(axis=axes, keepdims=True)
        d_x = (d_normal - d_normal.mean(axis=axes, keepdims=True) - normal * along) / root
        return Gradients(d_x, (dy * normal).sum(axis=axes), dy.sum(axis=axes))

    def _normalised(self, x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        normal = (x - _of_channels(mean, x)) / np.sqrt(_of_channels(variance, x) + self.epsilon)
        return _of_channels(self.scale, x) * normal + _of_channels(self.shift, x)


class Gradients(NamedTuple):
    """How the loss changes with the batch, the scale and the shift."""

    x: np.ndarray
    scale: np.ndarray
    shift: np.ndarray


def _all_but_channels(x: np.ndarray) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _of_channels(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(C,) as (1, C) or (1, C, 1, 1), to stand beside x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))
