"""Two convolutions with batch normalisation, and one dense layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.arithmetic import output_size, require_size
from pellucid.networks.network import Network


class ConvNet(Network):
    """A small convolutional network: two blocks of convolution, batch normalisation, ReLU and pooling.

    Layers, on MNIST:

        block 1   16 kernels 5×5, padding 2    (N,  1, 28, 28) → (N, 16, 28, 28)      416 + 32 parameters
                  max pooling 2×2                              → (N, 16, 14, 14)
        block 2   32 kernels 5×5, padding 2                    → (N, 32, 14, 14)   12,832 + 64
                  max pooling 2×2                              → (N, 32,  7,  7)
        output    dense                                        → (N, K)            15,690          29,034 in all

    The biases of the convolutions have no effect, since batch normalisation subtracts them again. They are kept so that
    the parameter count matches the textbook.

    Args:
        shape: (C, H, W) of the pictures, at least 4×4 pixels.
        classes: K.

    Source: convolution after LeCun et al. 1998; batch normalisation after Ioffe and Szegedy, "Batch normalization:
        accelerating deep network training by reducing internal covariate shift", 2015 (arXiv:1502.03167).
    Good for: small grey pictures; the safe first choice.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "optimizer": "adamw",
        "learning_rate": 4e-3,
        "weight_decay": 0.01,
    }

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        require_size("convnet", shape, 4)
        channels, height, width = shape
        rows, columns = (
            output_size(output_size(side, 5, padding=2) // 2, 5, padding=2) // 2 for side in (height, width)
        )
        self.block1 = _block(channels, 16)
        self.block2 = _block(16, 32)
        self.output = nn.Linear(32 * rows * columns, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.block2(self.block1(x)).flatten(1))


def _block(channels: int, kernels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, kernels, 5, padding=2),
        nn.BatchNorm2d(kernels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
