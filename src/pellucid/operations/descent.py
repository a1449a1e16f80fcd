"""Gradient descent, one step at a time: SGD, momentum, Adagrad, RMSProp, Adam.

Each is made for one array of weights, keeps what it has to remember, and changes the weights by `step`. Each learning
rate is that of torch's optimiser of the same name, and so is every other setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Descent(Protocol):
    """What all of them do."""

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The weights after one step; those that were given stay as they are."""
        ...


@dataclass
class SGD:
    """Stochastic gradient descent: downhill, by a fixed share of the slope of the present batch.

    Formula:
        w ← w − η g,   g = ∂L/∂w at the present w

    Attributes:
        rate: η.
    """

    rate: float = 0.01

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """One step."""
        return weights - self.rate * gradient


@dataclass
class Momentum:
    """A ball that rolls: what points the same way again and again adds up, what turns to and fro cancels.

    Formula:
        v ← μ v + g,   w ← w − η v                 (Polyak 1964)
        v ← μ v + g,   w ← w − η (g + μ v)         with `nesterov` (Sutskever et al. 2013, as torch has it)

    Attributes:
        rate: η.
        momentum: μ, the share of the speed that is kept.
    """

    rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    speed: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """One step."""
        self.speed = self.momentum * self.speed + gradient
        along = gradient + self.momentum * self.speed if self.nesterov else self.speed
        return weights - self.rate * along


@dataclass
class Adagrad:
    """A rate for each weight: the more it has been moved already, the less it moves. It never grows again.

    Formula:
        s ← s + g²,   w ← w − η g / (√s + ε)

    Attributes:
        rate: η.
        epsilon: ε.

    Source: Duchi, Hazan and Singer, JMLR 12, 2011.
    """

    rate: float = 0.01
    epsilon: float = 1e-10
    squares: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """One step."""
        self.squares = self.squares + gradient**2
        return weights - self.rate * gradient / (np.sqrt(self.squares) + self.epsilon)


@dataclass
class RMSProp:
    """Adagrad that forgets: the mean of the latest squares in the place of the sum of all.

    Formula:
        s ← α s + (1 − α) g²,   w ← w − η g / (√s + ε)

    Attributes:
        rate: η.
        keep: α.
        epsilon: ε.

    Source: Hinton, lecture 6e of "Neural networks for machine learning", 2012.
    """

    rate: float = 0.01
    keep: float = 0.99
    epsilon: float = 1e-8
    squares: np.ndarray | float = field(default=0.0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """One step."""
        self.squares = self.keep * self.squares + (1 - self.keep) * gradient**2
        return weights - self.rate * gradient / (np.sqrt(self.squares) + self.epsilon)


@dataclass
class Adam:
    """Momentum and RMSProp together, corrected for having begun at 0.

    Formula:
        m ← β₁ m + (1 − β₁) g,   s ← β₂ s + (1 − β₂) g²
        m̂ = m / (1 − β₁ᵗ),   ŝ = s / (1 − β₂ᵗ)          t: the number of this step, from 1
        w ← w − η m̂ / (√ŝ + ε)

        Without the correction the first steps would be too small: m and s are still mostly their 0.

    Attributes:
        rate: η.
        keep: β₁.
        keep_squares: β₂.
        epsilon: ε.

    Source: Kingma and Ba, "Adam", ICLR 2015.
    """

    rate: float = 0.001
    keep: float = 0.9
    keep_squares: float = 0.999
    epsilon: float = 1e-8
    mean: np.ndarray | float = field(default=0.0, repr=False)
    squares: np.ndarray | float = field(default=0.0, repr=False)
    steps: int = field(default=0, repr=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """One step."""
        self.steps += 1
        self.mean = self.keep * self.mean + (1 - self.keep) * gradient
        self.squares = self.keep_squares * self.squares + (1 - self.keep_squares) * gradient**2
        mean = self.mean / (1 - self.keep**self.steps)
        squares = self.squares / (1 - self.keep_squares**self.steps)
        return weights - self.rate * mean / (np.sqrt(squares) + self.epsilon)
