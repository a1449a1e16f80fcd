"""A fast Lite0 for CPUs: each convolution runs with its normalisation, activation and residual sum in one call.

Outputs are the same within 1e-4 of the largest. Four things make it faster than the module itself:

- Batch normalisation is folded into the convolution before it, once.
- The convolution kernel also computes ReLU6 and the residual sum (oneDNN post-operations), while its result is still in
  the CPU's cache.
- Batches are small, so that a layer's input is in the cache too.
- Pictures and kernels are rotated by 180°. TensorFlow's "same" padding adds more pixels on the right and at the bottom,
  which torch's convolutions cannot do, so the module must copy such an input first. After the rotation the extra
  padding is on the left and at the top, and a stride-2 convolution with padding ⌊k / 2⌋ reads exactly those pixels. The
  final mean over all positions does not change.

If torch does not have these kernels, plain convolutions compute the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeGuard, cast

import torch
from torch import nn
from torch.nn import functional

from pellucid.networks.backbones import embedding
from pellucid.networks.lite0 import ConvolutionBlock, InvertedResidual, Lite0

Function = Callable[[torch.Tensor], torch.Tensor]

AT_ONCE = 600_000
"""Pixel values per batch of a large network: four pictures of 3×224×224. Larger batches are slower per picture, since
the outputs of a layer no longer fit in the cache (measured: 6.5 ms per picture in batches of 4, 10.5 ms in
batches of 16).
"""


def quick(module: nn.Module) -> Function:
    """A function with the same outputs as `module` in evaluation mode, without gradients, and faster if possible."""
    return FusedLite0(module) if can_be_fused(module) else module


def quick_features(module: nn.Module) -> Function:
    """Like `quick`, for the features of a backbone, (N, D)."""
    return FusedLite0(module).features if can_be_fused(module) else embedding(module)


def can_be_fused(module: nn.Module) -> TypeGuard[Lite0]:
    """Whether a module is a Lite0 on the CPU, in float32, and without hooks, which would not be called."""
    if type(module) is not Lite0:
        return False
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())  # noqa: SLF001 (no other way to ask)
    return not hooked and all(
        weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in module.parameters()
    )


class FusedLite0:
    """A copy of a Lite0 with its current weights, for evaluation."""

    def __init__(self, network: Lite0) -> None:
        kind = _Fused if has_fused_kernels() else _Plain
        with torch.no_grad():
            self.stem = kind(network.stem)
            self.blocks = [
                (
                    None if block.widen is None else kind(block.widen),
                    kind(block.depthwise),
                    kind(block.narrow),
                    block.residual,
                )
                for block in cast("list[InvertedResidual]", list(network.blocks))
            ]
            self.head = kind(network.head)
            self.weight = network.classifier.weight.detach().clone()
            self.bias = network.classifier.bias.detach().clone()

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, 1280)."""
        x = self.stem(x.flip((2, 3)).contiguous(memory_format=torch.channels_last))
        for widen, depthwise, narrow, residual in self.blocks:
            y = depthwise(x if widen is None else widen(x))
            x = narrow(y, x if residual else None)
        return self.head(x).mean(dim=(2, 3))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, K)."""
        return functional.linear(self.features(x), self.weight, self.bias)


class _Plain:
    """A convolution of rotated pictures with rotated kernels, with its normalisation folded in, then ReLU6."""

    def __init__(self, block: ConvolutionBlock) -> None:
        convolution, normalisation = block.convolution, block.normalisation
        assert normalisation.running_var is not None
        assert normalisation.running_mean is not None
        scale = normalisation.weight.double() / torch.sqrt(normalisation.running_var.double() + normalisation.eps)
        self.weight = (convolution.weight.double() * scale[:, None, None, None]).float().flip((2, 3))
        self.weight = self.weight.contiguous(memory_format=torch.channels_last)
        self.bias = (normalisation.bias.double() - normalisation.running_mean.double() * scale).float()
        self.act = isinstance(block.act, nn.ReLU6)
        self.stride, self.padding = convolution.stride[0], convolution.kernel_size[0] // 2
        self.groups = convolution.groups

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        if residual is not None:
            x = x.add_(residual)
        return x.clamp_(0.0, 6.0) if self.act else x


class _Fused(_Plain):
    """The same with the fused kernels that torch's compiler uses, called directly."""

    packed: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        sides, strides, dilation = [self.padding] * 2, [self.stride] * 2, [1, 1]
        kernels = torch.ops.mkldnn
        if self.packed is None:
            # Reordered once; otherwise the kernel would reorder the weights at every call.
            self.packed = kernels._reorder_convolution_weight(  # noqa: SLF001 (torch has no public name for it)
                self.weight, sides, strides, dilation, self.groups, list(x.shape)
            )
        convolve = kernels._convolution_pointwise  # noqa: SLF001 (the same)
        if residual is not None:
            return convolve.binary(
                x, residual, self.packed, self.bias, sides, strides, dilation, self.groups, "add", 1.0, None, [], ""
            )
        act, limits = ("hardtanh", [0.0, 6.0]) if self.act else ("none", [])
        return convolve(x, self.packed, self.bias, sides, strides, dilation, self.groups, act, limits, "")


@functools.cache
def has_fused_kernels() -> bool:
    """Whether this torch has the fused kernels on this CPU, and they agree with plain convolutions.

    They are not a stable interface of torch, so this tries them on a small example.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        block = ConvolutionBlock(16, 16, 3, groups=16).eval()
        narrow = ConvolutionBlock(16, 16, 1, act=False).eval()
        x = 4 * torch.randn(2, 16, 5, 5).contiguous(memory_format=torch.channels_last)
        try:
            fused = _Fused(narrow)(_Fused(block)(x), x)
        except (AttributeError, RuntimeError, TypeError):
            return False
        return torch.allclose(fused, _Plain(narrow)(_Plain(block)(x), x), rtol=1e-4, atol=1e-4)
