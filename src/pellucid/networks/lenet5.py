"""LeNet-5 in its modern form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from pellucid.networks.arithmetic import activation as make_activation
from pellucid.networks.arithmetic import output_size
from pellucid.networks.network import Network

_SIDE = 32


class LeNet5(Network):
    """LeNet-5 with ReLU and max pooling.

    Layers, on MNIST (28×28, padded to 32×32):

        C1   6 kernels 5×5      (N,  1, 32, 32) → (N,   6, 28, 28)       156 parameters
        S2   max pooling 2×2                    → (N,   6, 14, 14)
        C3   16 kernels 5×5                     → (N,  16, 10, 10)     2,416
        S4   max pooling 2×2                    → (N,  16,  5,  5)
        C5   dense                              → (N, 120)            48,120
        F6   dense                              → (N,  84)            10,164
        output                                  → (N,   K)               850      61,706 in all

    Pictures smaller than 32×32 are zero-padded to that size (after scaling, 0 is the mean). Larger pictures widen C5.
    An activation follows C5 and F6. Some courses omit both; the three dense layers then compute no more than a single
    one.

    Args:
        shape: (C, H, W) of the pictures.
        classes: K.
        activation: relu, leaky-relu, sigmoid, tanh, gelu or silu.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE
        86(11), 1998. The original has trainable subsampling, scaled tanh, a partial connection table in C3 and
        radial-basis outputs.
    Good for: handwritten digits and letters; the network to learn convolution from.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "weight_decay": 0.01,
    }

    def __init__(self, shape: tuple[int, int, int], classes: int, activation: str = "relu") -> None:
        super().__init__()
        channels, height, width = shape
        padded = (max(height, _SIDE), max(width, _SIDE))
        vertical, horizontal = padded[0] - height, padded[1] - width
        self.padding = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)
        if any(self.padding):
            self.notes = (f"lenet5 pads the pictures with zeros, from {height}×{width} to {padded[0]}×{padded[1]}.",)
        rows, columns = (output_size(output_size(side, 5) // 2, 5) // 2 for side in padded)
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Linear(16 * rows * columns, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)
        self.activation = make_activation(activation)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x, self.padding)
        x = self.pool(self.activation(self.c1(x)))
        x = self.pool(self.activation(self.c3(x)))
        x = self.activation(self.c5(x.flatten(1)))
        x = self.activation(self.f6(x))
        return self.output(x)
