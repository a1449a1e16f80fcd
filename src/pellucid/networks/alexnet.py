"""AlexNet in its single-column form of 2014."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.networks.arithmetic import require_size
from pellucid.networks.network import Network


class AlexNet(Network):
    """The network that started the era of deep learning for image classification, in one column.

    Layers, on ImageNet (224×224 in colour, 1,000 classes):

        conv1      64 kernels 11×11, stride 4, padding 2   (N,   3, 224, 224) → (N,  64, 55, 55)       23,296 parameters
                   max pooling 3×3, stride 2                                  → (N,  64, 27, 27)
        conv2     192 kernels 5×5, padding 2                                  → (N, 192, 27, 27)      307,392
                   max pooling 3×3, stride 2                                  → (N, 192, 13, 13)
        conv3     384 kernels 3×3, padding 1                                  → (N, 384, 13, 13)      663,936
        conv4     256 kernels 3×3, padding 1                                  → (N, 256, 13, 13)      884,992
        conv5     256 kernels 3×3, padding 1                                  → (N, 256, 13, 13)      590,080
                   max pooling 3×3, stride 2                                  → (N, 256,  6,  6)
        dense 1    dropout, 4,096 units                                       → (N, 4096)          37,752,832
        dense 2    dropout, 4,096 units                                       → (N, 4096)          16,781,312
        output     dense                                                      → (N, 1000)           4,097,000
                                                                                                   61,100,840 in all

    ReLU follows each convolution and each dense layer except the last. For pictures of other sizes, from 63×63 pixels,
    adaptive average pooling gives 6×6 maps before the dense layers.

    Args:
        shape: (C, H, W) of the pictures, at least 63×63 pixels.
        classes: K.
        dropout: the dropout rate before each of the first two dense layers, 0 to 1.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012;
        one column after Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014
        (arXiv:1404.5997), which drops the original's two columns and local response normalisation.
    Good for: history. For your own photos, a pretrained network is far better.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 128,
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "weight_decay": 5e-4,
        "augmentation": ("flip",),
    }

    def __init__(self, shape: tuple[int, int, int], classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_size("alexnet", shape, 63)
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d((6, 6))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)))
