"""Multiply-adds: how much a layer computes for one picture.

One multiply-add is one product that is added to a sum; a convolution takes as many for each number that it gives as a
kernel has weights. Biases, comparisons, plain additions and activation functions are not counted.
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
    """How many multiply-adds a layer takes for a batch of one picture, and whether they are products of matrices.

    Args:
        module: the layer.
        inputs: its inputs.
        output: its output, (1, ...).

    Returns:
        The count, or None if it is unknown: for a layer of an unknown kind in which torch sees
        neither a convolution nor a product of matrices. The second value says whether torch's own counter sees them.
    """
    if isinstance(module, layer_kinds.TRANSPOSED):
        return inputs[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size), True
    if isinstance(module, layer_kinds.CONVOLUTIONS):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size), True
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features, True
    if isinstance(module, layer_kinds.NORMS):
        return output.numel(), False  # in evaluation: times a number, plus a number
    home = type(module).__module__
    if home in (*_NONE, *_NONE_EITHER) and not isinstance(module, nn.MultiheadAttention):
        return 0, False
    with torch.no_grad(), counter() as counted:
        module(*inputs)
    return counted() or None, True


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Two operations for each product: queries with keys, then their weights with the values. Takes shapes."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


# Torch's counter knows the attention of graphics cards, and not that of processors.
_FURTHER: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}  # noqa: SLF001


@contextmanager
def counter() -> Iterator[Any]:
    """Counts the multiply-adds of all convolutions and products of matrices within the block, however they are called.

    Gives a function that says the count. Torch counts a multiply-add as two operations.
    """
    mode = FlopCounterMode(display=False, custom_mapping=_FURTHER)
    with mode:
        yield lambda: mode.get_total_flops() // 2
