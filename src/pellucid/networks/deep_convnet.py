"""Four convolutions and three dense layers, with batch normalisation throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.networks.arithmetic import require_size
from pellucid.networks.network import Network


class DeepConvNet(Network):
    """A deep convolutional network: after each convolution come batch normalisation, ReLU, dropout and pooling.

    Layers, on MNIST:

        block 1    32 kernels 3×3, padding 1, pooling    (N,   1, 28, 28) → (N,  32, 14, 14)       320 +    64
        block 2    64 kernels 3×3, padding 1, pooling                     → (N,  64,  7,  7)    18,432 +   128
        block 3   128 kernels 3×3, padding 1, pooling                     → (N, 128,  3,  3)    73,728 +   256
        block 4   128 kernels 3×3, padding 1                              → (N, 128,  3,  3)   147,456 +   256
        hidden 1   dense, batch normalisation, ReLU                       → (N, 512)           589,824 + 1,024
        hidden 2   dense, batch normalisation, ReLU                       → (N, 256)           131,072 +   512
        output     dense                                                  → (N, K)               2,560
                                                                                          965,632 in all

    Differences from the original course:
        - The course applies a softmax, then a cross-entropy that applies the softmax again, which weakens the
          gradients. Here the outputs are logits.
        - The course omits the bias in the layer *after* a batch normalisation. In fact the bias of the layer *before*
          it has no effect. `idle_bias=False` corrects this: no bias in block 1, a bias in the output (965,610
          parameters). The default keeps the course's count; its 32 idle parameters do no harm.
        - The course does not shuffle, and evaluates on the test pictures during training. Training here shuffles, and
          never uses the test pictures.

    Args:
        shape: (C, H, W) of the pictures, at least 8×8 pixels.
        classes: K.
        dropout: the dropout rate after each of the first three blocks, from 0 to below 1.
        idle_bias: whether to place the biases as the course does.

    Source: the network of a course of 2020; batch normalisation after Ioffe and Szegedy 2015, dropout after Srivastava
        et al. 2014.
    Good for: following a deeper network operation by operation. For the best accuracy, use `--recipe best`.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 128,
        "learning_rate": 4e-3,
        "weight_decay": 0.02,
        "augmentation": ("shift:2", "rotate:8"),
    }

    def __init__(
        self, shape: tuple[int, int, int], classes: int, dropout: float = 0.1, *, idle_bias: bool = True
    ) -> None:
        super().__init__()
        require_size("deep-convnet", shape, 8)
        if not 0 <= dropout < 1:
            raise UsageError(f"The dropout rate must be from 0 to below 1; given: {dropout}.")
        channels, height, width = shape
        self.features = nn.Sequential(
            *_convolution(channels, 32, bias=idle_bias), nn.Dropout(dropout), nn.MaxPool2d(2),
            *_convolution(32, 64), nn.Dropout(dropout), nn.MaxPool2d(2),
            *_convolution(64, 128), nn.Dropout(dropout), nn.MaxPool2d(2),
            *_convolution(128, 128),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(),
            *_dense(128 * (height // 8) * (width // 8), 512),
            *_dense(512, 256),
            nn.Linear(256, classes, bias=not idle_bias),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def _convolution(channels: int, kernels: int, *, bias: bool = False) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, kernels, 3, padding=1, bias=bias), nn.BatchNorm2d(kernels), nn.ReLU()


def _dense(size: int, units: int) -> tuple[nn.Module, ...]:
    return nn.Linear(size, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()
