"""Optimisers, one step at a time: SGD, momentum, Adagrad, RMSProp, Adam.

Each optimiser is for one array of weights and keeps its own state; `step` returns the new weights. The learning rate
and all other settings have the same meaning as in torch's optimiser of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Optimizer(Protocol):
    """The interface of all optimisers."""

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step; the given array is not changed."""
        ...


@dataclass
class SGD:
    """Stochastic gradient descent: a step against the gradient of the current batch.

    Formula:
        w ← w − η g,   g = ∂L/∂w at the current w

    Attributes:
        learning_rate: η.
    """

    learning_rate: float = 0.01

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step."""
        return weights - self.learning_rate * gradient


@dataclass
class Momentum:
    """Momentum, like a rolling ball: steps in the same direction add up, steps back and forth cancel.

    Formula:
        v ← μ v + g,   w ← w − η v                 (Polyak 1964)
        v ← μ v + g,   w ← w − η (g + μ v)         with `nesterov` (Sutskever et al. 2013, as torch has it)

    Attributes:
        learning_rate: η.
        momentum: μ, the share of the velocity that is kept.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    velocity: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step."""
        self.velocity = self.momentum * self.velocity + gradient
        along = gradient + self.momentum * self.velocity if self.nesterov else self.velocity
        return weights - self.learning_rate * along


@dataclass
class Adagrad:
    """A learning rate for each weight, which shrinks with the sum of its squared gradients and never grows again.

    Formula:
        s ← s + g²,   w ← w − η g / (√s + ε)

    Attributes:
        learning_rate: η.
        epsilon: ε.

    Source: Duchi, Hazan and Singer, JMLR 12, 2011.
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-10
    squares: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step."""
        self.squares = self.squares + gradient**2
        return weights - self.learning_rate * gradient / (np.sqrt(self.squares) + self.epsilon)


@dataclass
class RMSProp:
    """Adagrad with forgetting: a running mean of squared gradients instead of their sum.

    Formula:
        s ← α s + (1 − α) g²,   w ← w − η g / (√s + ε)

    Attributes:
        learning_rate: η.
        alpha: α.
        epsilon: ε.

    Source: Hinton, lecture 6e of "Neural networks for machine learning", 2012.
    """

    learning_rate: float = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8
    squares: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step."""
        self.squares = self.alpha * self.squares + (1 - self.alpha) * gradient**2
        return weights - self.learning_rate * gradient / (np.sqrt(self.squares) + self.epsilon)


@dataclass
class Adam:
    """Momentum and RMSProp together, with a correction for starting at 0.

    Formula:
        m ← β₁ m + (1 − β₁) g,   s ← β₂ s + (1 − β₂) g²
        m̂ = m / (1 − β₁ᵗ),   ŝ = s / (1 − β₂ᵗ)          t: number of the step, from 1
        w ← w − η m̂ / (√ŝ + ε)

        The correction is needed because m and s start at 0.

    Attributes:
        learning_rate: η.
        beta1: β₁.
        beta2: β₂.
        epsilon: ε.

    Source: Kingma and Ba, "Adam", ICLR 2015.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    mean: np.ndarray | float = field(default=0.0, repr=False)
    squares: np.ndarray | float = field(default=0.0, repr=False)
    steps: int = field(default=0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns the weights after one step."""
        self.steps += 1
        self.mean = self.beta1 * self.mean + (1 - self.beta1) * gradient
        self.squares = self.beta2 * self.squares + (1 - self.beta2) * gradient**2
        mean = self.mean / (1 - self.beta1**self.steps)
        squares = self.squares / (1 - self.beta2**self.steps)
        return weights - self.learning_rate * mean / (np.sqrt(squares) + self.epsilon)
