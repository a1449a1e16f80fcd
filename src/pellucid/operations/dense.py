"""The dense layer, also called linear or fully connected: every output sees every input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Gradients(NamedTuple):
    """Gradients of the loss with respect to inputs, weights and biases."""

    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


def dense(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Weighted sums of the inputs.

    Formula:
        y = x Wᵀ + b:   y[n, k] = b[k] + Σ_d  W[k, d] · x[n, d]

    Args:
        x: inputs (N, D).
        weights: W, (K, D): one row per output.
        bias: b, (K,).

    Returns:
        y, (N, K).
    """
    return x @ weights.T + bias


def dense_backward(x: np.ndarray, weights: np.ndarray, dy: np.ndarray) -> Gradients:
    """The gradients of a dense layer, from the gradient `dy` (N, K) of its output.

    Formula:
        ∂L/∂x = dy W,   ∂L/∂W = dyᵀ x,   ∂L/∂b = Σ_n dy[n]
    """
    return Gradients(dy @ weights, dy.T @ x, dy.sum(axis=0))
