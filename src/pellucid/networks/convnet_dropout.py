"""Two convolutions and dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.networks.arithmetic import output_size, require_size
from pellucid.networks.network import Network


class ConvNetDropout(Network):
    """A small convolutional network, regularised by dropout.

    Layers, on MNIST:

        conv1    10 kernels 5×5      (N,  1, 28, 28) → (N, 10, 24, 24)      260 parameters
                 max pooling 2×2, ReLU               → (N, 10, 12, 12)
        conv2    20 kernels 5×5                      → (N, 20,  8,  8)    5,020
                 max pooling 2×2, ReLU               → (N, 20,  4,  4)
        hidden   dense, ReLU, dropout                → (N, 50)           16,050
        output   dense                               → (N, K)               510      21,840 in all

    In every training step, dropout sets half of the hidden units to 0 at random and doubles the others, so that their
    expected sum stays the same. At prediction time it does nothing.

    Args:
        shape: (C, H, W) of the pictures, at least 16×16 pixels.
        classes: K.
        dropout: the dropout rate of the hidden units, from 0 to below 1.

    Source: the two-convolution network of introductory courses; dropout after Srivastava et al., "Dropout: a simple way
        to prevent neural networks from overfitting", JMLR 15, 2014.
    Good for: digits, with few parameters. The layers are those of the courses; learning rate and schedule are ours.
    """

    recipe: ClassVar[Mapping[str, Any]] = {"batch_size": 64, "learning_rate": 4e-3, "weight_decay": 0.01}

    def __init__(self, shape: tuple[int, int, int], classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_size("convnet-dropout", shape, 16)
        if not 0 <= dropout < 1:
            raise UsageError(f"The dropout rate must be from 0 to below 1; given: {dropout}.")
        channels, height, width = shape
        rows, columns = (output_size(output_size(side, 5) // 2, 5) // 2 for side in (height, width))
        self.conv1 = nn.Conv2d(channels, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.pool = nn.MaxPool2d(2)
        self.activation = nn.ReLU()
        self.hidden = nn.Linear(20 * rows * columns, 50)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(50, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.pool(self.conv1(x)))
        x = self.activation(self.pool(self.conv2(x)))
        x = self.dropout(self.activation(self.hidden(x.flatten(1))))
        return self.output(x)
