"""EfficientNet-Lite0, the backbone that comes with Pellucid."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from pellucid.networks.arithmetic import require_size
from pellucid.networks.network import Network

FEATURES = 1280
"""D, the number of features before the last layer."""

_SMALLEST = 32

# Per stage: expansion factor, channels, number of blocks, stride of the first block, kernel size. Tan and Le 2019,
# table 1; Lite keeps the first and last stages at one block.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class Lite0(Network):
    """Convolution → 16 inverted residual blocks → convolution → average → dense. 4,652,008 parameters for ImageNet.

    Formula: a block widens its C channels to 6C with a 1×1 convolution, filters each channel with a depthwise k×k
    convolution, and narrows them with a 1×1 convolution. If the shape stays the same, it adds its input. Batch
    normalisation follows every convolution, and ReLU6, min(max(x, 0), 6), all except the narrowing ones. Unlike
    EfficientNet-B0, Lite has no squeeze-and-excitation and no swish, so it is fast on small machines.

    Shapes: (N, 3, 224, 224) → (N, 32, 112, 112) → 16 → 24, 56 → 40, 28 → 80, 14 → 112 → 192, 7 → 320 → 1280 → (N, K).
    Pictures need at least 32×32 pixels, which five halvings reduce to 1×1.

    Source: Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019; Lite: Google,
    2020, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Padding is TensorFlow's
    "same": an odd pixel goes to the right and bottom. The weights are pretrained on ImageNet.

    Good for: photos, on a laptop: frozen, as the backbone of the recipe `features`.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        require_size("lite0", shape, _SMALLEST)
        self.stem = ConvolutionBlock(shape[0], 32, 3, stride=2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = ConvolutionBlock(320, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The features before the last layer: (N, C, H, W) → (N, 1280)."""
        return self.head(self.blocks(self.stem(x))).mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


class ConvolutionBlock(nn.Module):
    """Convolution without bias → batch normalisation → ReLU6 if `act`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        # With stride 1, "same" padding is symmetric, so the convolution can add it itself.
        sides = kernel // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, sides, groups=groups, bias=False)
        self.normalisation = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.ReLU6() if act else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        padded = functional.pad(x, missing(x, kernel, stride)) if stride > 1 else x
        return self.act(self.normalisation(self.convolution(padded)))


def missing(x: torch.Tensor, kernel: int, stride: int) -> list[int]:
    """TensorFlow's "same" padding as (left, right, top, bottom), for an output size of ⌈size / stride⌉.

    An odd pixel goes to the right and bottom.
    """
    sides: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        lacking = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [lacking // 2, lacking - lacking // 2]
    return sides


class InvertedResidual(nn.Module):
    """An inverted residual block (Sandler et al., "MobileNetV2", 2018)."""

    def __init__(self, inputs: int, outputs: int, *, widen: int, stride: int, kernel: int) -> None:
        super().__init__()
        middle = inputs * widen
        self.widen = ConvolutionBlock(inputs, middle, 1) if widen > 1 else None
        self.depthwise = ConvolutionBlock(middle, middle, kernel, stride=stride, groups=middle)
        self.narrow = ConvolutionBlock(middle, outputs, 1, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.widen is None else self.widen(x)
        y = self.narrow(self.depthwise(y))
        return x + y if self.residual else y


def _blocks() -> Iterator[InvertedResidual]:
    inputs = 32
    for widen, outputs, count, stride, kernel in _STAGES:
        for i in range(count):
            yield InvertedResidual(inputs, outputs, widen=widen, stride=stride if i == 0 else 1, kernel=kernel)
            inputs = outputs
