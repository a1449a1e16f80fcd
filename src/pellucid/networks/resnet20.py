"""ResNet-20, the residual network for CIFAR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from pellucid.networks.network import Network


class ResNet20(Network):
    """A residual network with 20 weighted layers and parameter-free shortcuts.

    Layers, on CIFAR-10:

        stem       16 kernels 3×3                        (N,  3, 32, 32) → (N, 16, 32, 32)      432 +   32 parameters
        stage 1    3 blocks of two 3×3, 16 kernels                       → (N, 16, 32, 32)   13,824 +  192
        stage 2    3 blocks of two 3×3, 32 kernels, first with stride 2  → (N, 32, 16, 16)   50,688 +  384
        stage 3    3 blocks of two 3×3, 64 kernels, first with stride 2  → (N, 64,  8,  8)  202,752 +  768
        output     mean over the picture, dense                          → (N, K)               650     269,722 in all

    Formula of a block:
        y = ReLU(F(x) + shortcut(x)),   F = BN(conv(ReLU(BN(conv(x)))))
        The shortcut is x itself. If the size halves, it is every other pixel of x, with zeros for the new channels (the
        paper's option A).

    Convolutions have no biases, which batch normalisation would subtract again.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015 (arXiv:1512.03385),
        section 4.2.
    Good for: learning about shortcuts. For the best accuracy on small colour pictures, use `--recipe record`.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 128,
        "optimizer": "sgd",
        "learning_rate": 0.2,
        "weight_decay": 5e-4,
        "augmentation": ("shift:4", "flip"),
    }

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(shape[0], 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stage1 = _stage(16, 16, stride=1)
        self.stage2 = _stage(16, 32, stride=2)
        self.stage3 = _stage(32, 64, stride=2)
        self.output = nn.Linear(64, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.output(x.mean(dim=(2, 3)))


class Block(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, channels: int, kernels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = kernels - channels
        self.conv1 = nn.Conv2d(channels, kernels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(kernels)
        self.conv2 = nn.Conv2d(kernels, kernels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(kernels)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if self.stride > 1 or self.added:
            shortcut = x[:, :, :: self.stride, :: self.stride]
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        x = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(x)) + shortcut)


def _stage(channels: int, kernels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Block(channels, kernels, stride),
        Block(kernels, kernels, 1),
        Block(kernels, kernels, 1),
    )
