"""Activations and their derivatives. The nonlinearity makes two layers more than one.

Each derivative is a function of the input x of the activation.

Formula:
    relu        max(0, x)                         1 where x > 0, otherwise 0
    leaky-relu  x where x > 0, otherwise a·x      1 where x > 0, otherwise a
    elu         x where x > 0, otherwise eˣ − 1   1 where x > 0, otherwise eˣ
    sigmoid     σ(x) = 1 / (1 + e⁻ˣ)              σ(x) (1 − σ(x))
    tanh        (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)           1 − tanh²(x)
    softplus    ln(1 + eˣ)                        σ(x)
    gelu        x · Φ(x)                          Φ(x) + x φ(x)
    silu        x · σ(x)                          σ(x) (1 + x (1 − σ(x)))

    Φ and φ are the normal distribution's cumulative and density functions. ReLU has no derivative at 0; 0 is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    """Rectified linear unit: passes positive numbers and sets negative ones to 0.

    Formula:
        max(0, x)
    """
    return np.maximum(x, 0)


def relu_derivative(x: np.ndarray) -> np.ndarray:
    """1 where x > 0, otherwise 0."""
    return (x > 0).astype(x.dtype)


def leaky_relu(x: np.ndarray, leak: float = 0.01) -> np.ndarray:
    """ReLU with a small slope for negative numbers, so that no unit is dead forever.

    Formula:
        x where x > 0, otherwise a·x   (a = 0.01)
    """
    return np.where(x > 0, x, leak * x)


def leaky_relu_derivative(x: np.ndarray, leak: float = 0.01) -> np.ndarray:
    """1 where x > 0, otherwise a."""
    return np.where(x > 0, 1.0, leak).astype(x.dtype)


def elu(x: np.ndarray) -> np.ndarray:
    """Exponential linear unit.

    Formula:
        x where x > 0, otherwise eˣ − 1
    """
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def elu_derivative(x: np.ndarray) -> np.ndarray:
    """1 where x > 0, otherwise eˣ."""
    return np.exp(np.minimum(x, 0))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function, from any number to a number between 0 and 1.

    Formula:
        σ(x) = 1 / (1 + e⁻ˣ)

        For x < 0 it is computed as eˣ / (1 + eˣ), so the exponent is never positive and nothing overflows.
    """
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    """σ(x) (1 − σ(x)): at most 1/4, so gradients shrink in deep networks."""
    return sigmoid(x) * sigmoid(-x)


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent: a sigmoid from −1 to 1.

    Formula:
        tanh(x) = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2 σ(2x) − 1
    """
    return np.tanh(x)


def tanh_derivative(x: np.ndarray) -> np.ndarray:
    """1 − tanh²(x)."""
    return 1 - np.tanh(x) ** 2


def softplus(x: np.ndarray) -> np.ndarray:
    """A smooth ReLU.

    Formula:
        ln(1 + eˣ) = max(0, x) + ln(1 + e^−|x|)
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu(x: np.ndarray) -> np.ndarray:
    """Gaussian error linear unit.

    Formula:
        x · Φ(x)
    """
    return x * _below(x)


def gelu_derivative(x: np.ndarray) -> np.ndarray:
    """Φ(x) + x φ(x)."""
    return _below(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def silu(x: np.ndarray) -> np.ndarray:
    """Sigmoid linear unit, also called swish.

    Formula:
        x · σ(x)
    """
    return x * sigmoid(x)


def silu_derivative(x: np.ndarray) -> np.ndarray:
    """σ(x) (1 + x (1 − σ(x)))."""
    return sigmoid(x) * (1 + x * sigmoid(-x))


def _below(x: np.ndarray) -> np.ndarray:
    """Φ(x): the share of the normal distribution below x."""
    from scipy.special import ndtr

    return ndtr(x)


class Activation(NamedTuple):
    """An activation and its derivative."""

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_derivative),
    "leaky-relu": Activation(leaky_relu, leaky_relu_derivative),
    "elu": Activation(elu, elu_derivative),
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(tanh, tanh_derivative),
    "softplus": Activation(softplus, sigmoid),
    "gelu": Activation(gelu, gelu_derivative),
    "silu": Activation(silu, silu_derivative),
}
