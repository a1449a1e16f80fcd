"""The perceptron: threshold units, trained without gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.network import Network


class Perceptron(Network):
    """Threshold units with a bias: one per class, or a single one for two classes.

    Formula:
        z = W x + b;   a unit fires if z ≥ 0.   The prediction is the class with the largest z, since no unit or several
        may fire. A larger bias makes a unit fire more easily; in the earliest form, the threshold is −b.

    Learning (the perceptron rule, for each unit and each picture x, with target t = +1 for its class, else −1):
        if t·z ≤ 0:   w ← w + η t x,   b ← b + η t.   A batch sums the updates of its pictures.
        `averaged` uses the mean of the weights over all steps, which fluctuates less (Freund and Schapire 1999).

    Shapes:
        (N, C, H, W) → flatten (N, D) → (N, K).   Parameters: K·(D + 1), on MNIST 7,850; for two classes D + 1.

    Args:
        shape: (C, H, W) of the pictures.
        classes: K.
        averaged: whether to use the mean of the weights over all steps, instead of the last ones.

    Source: Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the brain",
        Psychological Review 65(6), 1958.
    Good for: history, and linearly separable classes. Its scores are not probabilities; the probabilities come from a
        softmax with a temperature fitted on the validation pictures.
    """

    learning_rule: ClassVar[str] = "perceptron"
    loss: ClassVar[str] = "perceptron"
    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 16,
        "learning_rate": 1.0,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "scaling": "unit",
    }

    def __init__(self, shape: tuple[int, int, int], classes: int, *, averaged: bool = True) -> None:
        super().__init__()
        self.averaged = averaged
        self.flatten = nn.Flatten()
        self.units = nn.Linear(math.prod(shape), 1 if classes == 2 else classes)
        nn.init.zeros_(self.units.weight)
        nn.init.zeros_(self.units.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The weighted sums z, (N, K). A single unit gives z for the second class and −z for the first."""
        z = self.units(self.flatten(x))
        return z if z.shape[1] > 1 else torch.cat([-z, z], dim=1)

    def fires(self, x: torch.Tensor) -> torch.Tensor:
        """1 for each unit that fires, else 0, (N, K), or (N, 1) for two classes."""
        return (self.units(self.flatten(x)) >= 0).float()
