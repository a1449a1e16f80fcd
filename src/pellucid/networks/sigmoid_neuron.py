"""Sigmoid neurons: a smooth perceptron, trained by gradient descent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.network import Network


class SigmoidNeuron(Network):
    """One sigmoid unit per class, trained on one-hot targets with the squared error.

    Formula:
        a = σ(W x + b),   σ(z) = 1 / (1 + e⁻ᶻ);   error = ½ Σₖ (aₖ − tₖ)²

    Shapes:
        (N, C, H, W) → flatten (N, D) → (N, K), each between 0 and 1.   Parameters: K·(D + 1), on MNIST 7,850.

    The units are independent of each other; dividing their outputs by the sum gives probabilities.

    Source: the smooth unit of Rumelhart, Hinton and Williams 1986, as in Nielsen, "Neural networks and deep learning",
        2015, chapter 1.
    Good for: seeing why a small change of a weight should cause a small change of the output.
    """

    loss: ClassVar[str] = "squared-error"
    probabilities: ClassVar[str] = "normalised"
    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 32,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 0.0,
    }

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(math.prod(shape), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.linear(self.flatten(x)))
