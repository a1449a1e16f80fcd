"""Batch normalisation: with the statistics of the batch in training, with running statistics in evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass
class BatchNormalisation:
    """Normalises each channel to mean 0 and variance 1, and then applies a learned scale γ and shift β.

    Formula:
        training:    x̂ = (x − μ_B) / √(σ²_B + ε),   y = γ x̂ + β
                     μ_B = mean of the batch,  σ²_B = Σ (x − μ_B)² / m   (over N, H and W; m values per channel)
                     μ ← (1 − α) μ + α μ_B,    σ² ← (1 − α) σ² + α σ²_B · m / (m − 1)
        inference:   x̂ = (x − μ) / √(σ² + ε),      y = γ x̂ + β

        A bias in the layer *before* is subtracted again with μ_B, so that layer needs none. The layer *after* does: β
        gives its inputs a mean other than 0.

    Attributes:
        scale: γ, (C,).
        shift: β, (C,).
        running_mean: μ, (C,), the running mean.
        running_variance: σ², (C,), the running variance.
        epsilon: ε, which prevents a division by 0.
        momentum: α, the weight of the current batch.

    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    scale: np.ndarray
    shift: np.ndarray
    running_mean: np.ndarray
    running_variance: np.ndarray
    epsilon: float = 1e-5
    momentum: float = 0.1

    @classmethod
    def of(cls, channels: int) -> BatchNormalisation:
        """A layer before training: γ = 1, β = 0, μ = 0, σ² = 1."""
        return cls(np.ones(channels), np.zeros(channels), np.zeros(channels), np.ones(channels))

    def train(self, x: np.ndarray) -> np.ndarray:
        """Normalises a batch, (N, C) or (N, C, H, W), by its own statistics, and updates the running ones."""
        axes = _all_but_channels(x)
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        m = x.size // x.shape[1]
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        # Bessel's correction: the variance of a sample is too small by (m − 1) / m.
        self.running_variance = (1 - self.momentum) * self.running_variance + self.momentum * variance * m / (m - 1)
        return self._normalised(x, mean, variance)

    def infer(self, x: np.ndarray) -> np.ndarray:
        """Normalises by the running statistics, so the output of a picture does not depend on its batch."""
        return self._normalised(x, self.running_mean, self.running_variance)

    def backward(self, x: np.ndarray, dy: np.ndarray) -> Gradients:
        """The gradients in training, where mean and variance depend on every x of the batch.

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
    """Gradients of the loss with respect to the batch, the scale and the shift."""

    x: np.ndarray
    scale: np.ndarray
    shift: np.ndarray


def _all_but_channels(x: np.ndarray) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _of_channels(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reshapes (C,) to (1, C) or (1, C, 1, 1), for broadcasting with x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))
