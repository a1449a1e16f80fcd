"""A small convolutional network for small colour pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.arithmetic import require_size
from pellucid.networks.network import Network


class CifarConvNet(Network):
    """Three blocks of convolution, batch normalisation, ReLU and pooling, for 32×32 pixels in colour.

    Layers, on CIFAR-10:

        block 1    32 kernels 5×5, padding 2, pooling    (N,   3, 32, 32) → (N,  32, 16, 16)     2,400 +  64
        block 2    64 kernels 3×3, padding 1, pooling                     → (N,  64,  8,  8)    18,432 + 128
        block 3   128 kernels 3×3, padding 1, pooling                     → (N, 128,  4,  4)    73,728 + 256
        output     dropout, dense                                         → (N, K)              20,490
                                                                                          115,498 in all

    Design: the first kernels are 5×5, large enough to look at. Each block halves the sides and doubles the maps, so
    that all cost about the same. Convolutions have no bias, which batch normalisation would subtract again. Channel
    counts are multiples of 16, which are fast on CPUs. There is one dense layer, since hidden dense layers mostly
    overfit on 50,000 pictures.

    Args:
        shape: (C, H, W) of the pictures, at least 8×8 pixels.
        classes: K.

    Source: our design, after the convolutional networks of introductory courses.
    Good for: small colour pictures, when training must be quick.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 128,
        "learning_rate": 5e-3,
        "weight_decay": 0.05,
        "augmentation": ("shift:3", "flip"),
    }

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        require_size("cifar-convnet", shape, 8)
        channels, height, width = shape
        self.block1 = _block(channels, 32, kernel=5)
        self.block2 = _block(32, 64, kernel=3)
        self.block3 = _block(64, 128, kernel=3)
        self.dropout = nn.Dropout(0.1)
        self.output = nn.Linear(128 * (height // 8) * (width // 8), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block3(self.block2(self.block1(x)))
        return self.output(self.dropout(x.flatten(1)))


def _block(channels: int, kernels: int, *, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, kernels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(kernels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
