"""Logistic regression: a network without hidden units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.network import Network


class LogisticRegression(Network):
    """Multinomial logistic regression: one weighted sum of all pixels per class.

    Formula:
        p = softmax(W x + b),   x the D = C·H·W pixels in a row,   W (K, D),   b (K)

    Shapes:
        (N, C, H, W) → flatten (N, D) → (N, K).   Parameters: K·(D + 1); on MNIST 10·785 = 7,850.

    Source: D. R. Cox, "The regression analysis of binary sequences", 1958; here its multinomial form.
    Good for: a baseline. Each row of W, drawn as a picture, is the template of a class. It does not tolerate shifts: a
        digit two pixels to the left is a different input.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "weight_decay": 0.0,
    }

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(math.prod(shape), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.flatten(x))
