"""Kinds of layers: their names in words, and which modules count as one layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

CONVOLUTIONS = (_ConvNd,)
TRANSPOSED = (_ConvTransposeNd,)
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
MAX_POOLING = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOLING = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LP_POOLING = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
ADAPTIVE_AVERAGE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
ADAPTIVE_MAX = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
POOLING = (*MAX_POOLING, *AVERAGE_POOLING, *LP_POOLING, *ADAPTIVE_AVERAGE, *ADAPTIVE_MAX)

_WHOLE = (*CONVOLUTIONS, *NORMS, nn.Linear, nn.MultiheadAttention)
"""Layers even if they have submodules, such as parametrizations or modules that are never called on their own."""


def is_layer(module: nn.Module) -> bool:
    """Whether a module counts as one layer."""
    return isinstance(module, _WHOLE) or next(module.children(), None) is None


def is_convolution(module: nn.Module) -> bool:
    """Whether a module is a convolution of torch, or a custom one with a method `dense_weight`."""
    return isinstance(module, CONVOLUTIONS) or callable(getattr(module, "dense_weight", None))


def weight_of(module: nn.Module) -> Any:
    """The kernels of a convolution, (kernels, input channels per kernel, height, width)."""
    if callable(dense := getattr(module, "dense_weight", None)):
        return dense()
    assert isinstance(module, CONVOLUTIONS)
    if not isinstance(module, TRANSPOSED):
        return module.weight
    # A transposed convolution stores its weights as (input channels, output channels per group, ...).
    weight = module.weight.unflatten(0, (module.groups, -1)).transpose(1, 2)
    return weight.flatten(0, 1)


def kind(module: nn.Module) -> str:
    """A layer in words: `convolution 5×5, stride 2`, `max pooling 2×2`, `dense`."""
    if isinstance(module, CONVOLUTIONS):
        name = "transposed convolution" if isinstance(module, TRANSPOSED) else "convolution"
        if module.groups > 1:
            name = f"depthwise {name}" if module.groups == module.in_channels else f"{name} in {module.groups} groups"
        stride = "" if set(module.stride) == {1} else f", stride {_sides(module.stride)}"
        dilated = "" if set(module.dilation) == {1} else f", dilation {_sides(module.dilation)}"
        return f"{name} {times(module.kernel_size)}{stride}{dilated}"
    if is_convolution(module):
        return f"{type(module).__name__} {times(weight_of(module).shape[2:])}"
    for types, name in (
        (MAX_POOLING, "max pooling"),
        (AVERAGE_POOLING, "average pooling"),
        (LP_POOLING, "L2 pooling" if getattr(module, "norm_type", 2) == 2 else "Lp pooling"),
    ):
        if isinstance(module, types):
            kernel, stride = sides(module.kernel_size, 2), sides(module.stride or module.kernel_size, 2)
            return f"{name} {times(kernel)}" + ("" if stride == kernel else f", stride {_sides(stride)}")
    for types, name in (
        (ADAPTIVE_AVERAGE, "adaptive average pooling"),
        (ADAPTIVE_MAX, "adaptive max pooling"),
        ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), "batch norm"),
        ((nn.LayerNorm,), "layer norm"),
        ((nn.GroupNorm,), "group norm"),
        ((nn.Linear,), "dense"),
        ((nn.Flatten,), "flatten"),
    ):
        if isinstance(module, types):
            return name
    if isinstance(module, (nn.Dropout, nn.Dropout2d)):
        return f"dropout {module.p:g}"
    return type(module).__name__


def sides(value: Any, dimensions: int) -> tuple[int, ...]:
    """A torch size, a number or several, as a tuple with one number per dimension."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * dimensions


def times(sizes: Iterable[int]) -> str:
    """Sizes as text: `5×5`."""
    return "×".join(str(size) for size in sizes)


def _sides(values: Iterable[int]) -> str:
    values = tuple(values)
    return str(values[0]) if len(set(values)) == 1 else times(values)
