"""Lite0 as it runs fastest on a processor: each convolution with all that follows it in one call.

Four things make it faster than the module itself, with the same outputs (within 1e-4 of their largest): batch
normalisation is folded into the convolution before it, which is exact arithmetic done once; ReLU6 and the sum of a
residual block are done by the convolution's own kernel (oneDNN's post-operations), while its result is still in the
processor's cache; few pictures go through at once, so that a layer's input is there too; and pictures and kernels are
turned by half a turn. TensorFlow's "same" adds more to the right and below, which torch's convolutions cannot, so that
the module copies such an input first. In the turned picture that is to the left and above, and a convolution that adds
⌊k / 2⌋ on all sides and halves the size uses just that. The mean over all positions at the end is the same. Where torch
has no such kernel, plain convolutions do the same.
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
"""How many pixel values go through a large network at once: four pictures of 3×224×224. More of them make each picture
slower, since what a layer hands to the next no longer stays in the cache (measured: 6.5 ms a picture by 4, 10.5 by 16).
"""


def quick(module: nn.Module) -> Function:
    """A function with the outputs of `module` in evaluation mode, without gradients, and faster if possible."""
    return FusedLite0(module) if can_be_fused(module) else module


def quick_features(module: nn.Module) -> Function:
    """As `quick`, for the features (N, D) of a backbone."""
    return FusedLite0(module).features if can_be_fused(module) else embedding(module)


def can_be_fused(module: nn.Module) -> TypeGuard[Lite0]:
    """Whether a module is a Lite0 on the processor, in float32, without hooks (which would not be called)."""
    if type(module) is not Lite0:
        return False
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())  # noqa: SLF001 (no other way to ask)
    return not hooked and all(one.device.type == "cpu" and one.dtype == torch.float32 for one in module.parameters())


class FusedLite0:
    """A Lite0 with its current weights, for evaluation."""

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
    """A convolution with its normalisation folded in, then ReLU6: of turned pictures, by turned kernels."""

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
    """The same, by the kernels that torch's own compiler calls, without the compiler."""

    packed: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        sides, strides, dilation = [self.padding] * 2, [self.stride] * 2, [1, 1]
        kernels = torch.ops.mkldnn
        if self.packed is None:
            # Weights in the order of the kernel, which would otherwise reorder them at every call.
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
    """Whether this torch, on this processor, has the fused kernels, and they compute what plain convolutions do.

    They are torch's own, but not a stable interface, so they are tried first.
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
