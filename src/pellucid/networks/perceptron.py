"""The perceptron: threshold units, learned without gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.network import Network


class Perceptron(Network):
    """Threshold units with a bias, one per class; for two classes a single one decides alone.

    Formula:
        z = W x + b;   a unit fires where z ≥ 0.   The answer is the class with the largest z, since none or several may
        fire. The bias says how easily a unit fires; the threshold of the earliest form is −b.

    Learning (the perceptron rule, for each unit and each picture x with target t = +1 for its class and −1 otherwise):
        where t·z ≤ 0:   w ← w + η t x,   b ← b + η t.   A batch adds up the mends of its pictures.
        `averaged` keeps the mean of the weights after all steps, which wavers less (Freund and Schapire 1999).

    Shapes:
        (N, C, H, W) → flatten (N, D) → (N, K).   Parameters: K·(D + 1), on MNIST 7,850; for two classes D + 1.

    Args:
        shape: (C, H, W) of the pictures.
        classes: K.
        averaged: whether the mean of all weights on the way is kept, rather than the last ones.

    Source: Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the brain",
        Psychological Review 65(6), 1958.
    Good for: history, and classes that a plane can separate. Its scores are no probabilities; what is shown as such is
        a softmax whose temperature was fitted on the validation pictures.
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
        """The weighted sums z; a single unit's count for the second class, and negated for the first."""
        z = self.units(self.flatten(x))
        return z if z.shape[1] > 1 else torch.cat([-z, z], dim=1)

    def fires(self, x: torch.Tensor) -> torch.Tensor:
        """Which units fire: 0 or 1, (N, K), or (N, 1) for two classes."""
        return (self.units(self.flatten(x)) >= 0).float()
