"""Multiply-adds of a layer for one picture.

One multiply-add is one multiplication and one addition. A convolution needs one per kernel weight for each output
value. Biases, comparisons, plain additions and activation functions do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid.inference import layer_kinds

_NONE = ("torch.nn.modules.activation", "torch.nn.modules.dropout", "torch.nn.modules.flatten")
_NONE_EITHER = ("torch.nn.modules.padding", "torch.nn.modules.pixelshuffle", "torch.nn.modules.pooling")


def multiply_adds(module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> tuple[int | None, bool]:
    """The multiply-adds of a layer for a batch of one picture, and whether torch's own counter includes them.

    Args:
        module: the layer.
        inputs: its inputs.
        output: its output, (1, ...).

    Returns:
        The count, or None if it is unknown, which is the case for a layer of an unknown kind without a convolution or
        matrix product; and whether torch's counter includes it.
    """
    if isinstance(module, layer_kinds.TRANSPOSED):
        return inputs[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size), True
    if isinstance(module, layer_kinds.CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size), True
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features, True
    if isinstance(module, layer_kinds.NORMS):
        return output.numel(), False  # in evaluation: a scale and a shift per value
    module_path = type(module).__module__
    if module_path in (*_NONE, *_NONE_EITHER) and not isinstance(module, nn.MultiheadAttention):
        return 0, False
    with torch.no_grad(), counter() as count:
        module(*inputs)
    return count() or None, True


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Operations of attention, from its shapes: two per product, of queries × keys and of weights × values."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


# Torch's counter knows attention on GPUs, but not on CPUs.
_FURTHER: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}  # noqa: SLF001


@contextmanager
def counter() -> Iterator[Any]:
    """Counts the multiply-adds of all convolutions and matrix products in the block; yields a function for the count.

    Torch counts a multiply-add as two operations.
    """
    mode = FlopCounterMode(display=False, custom_mapping=_FURTHER)
    with mode:
        yield lambda: mode.get_total_flops() // 2
