"""Convolution, forwards and backwards, with stride, padding, dilation and groups.

The convolution of networks is a cross-correlation: the kernel is not flipped. This does not matter for learned kernels,
but it can matter for hand-made ones (see `turned`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pellucid.errors import NetworkError
from pellucid.operations.windows import Pair, padded, pair, sizes, windows


class Gradients(NamedTuple):
    """Gradients of the loss with respect to pictures, kernels and biases, each in the same shape."""

    x: np.ndarray
    kernels: np.ndarray
    bias: np.ndarray


def convolve(
    x: np.ndarray,
    kernels: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Multiplies each kernel with every window of a picture, value by value, and adds up the products.

    Formula:
        y[n, k, i, j] = b[k] + Σ_c Σ_u Σ_v  w[k, c, u, v] · x[n, c, i·S + u·D − P, j·S + v·D − P]

        Outside the picture x is 0. With G groups, kernel k sees only the C/G channels of its group.

    Args:
        x: pictures (N, C, H, W).
        kernels: w, (K, C/G, F, F); they need not be square.
        bias: b, (K,); None adds no bias.
        stride: S, step of the window.
        padding: P, number of zeros at each side.
        dilation: D, distance between the values under the kernel.
        groups: G, number of groups.

    Returns:
        y, (N, K, O, O) with O = ⌊(W − D(F − 1) − 1 + 2P) / S⌋ + 1.

    Raises:
        NetworkError: channels, kernels and groups do not fit, or the kernel is larger than the padded picture.
    """
    inputs, outputs = _per_group(x, kernels, groups)
    rows, columns = sizes(x.shape, kernels.shape[2:], stride, padding, dilation)
    around = padded(x, padding)
    y = np.zeros((len(x), len(kernels), rows, columns), x.dtype)
    for i, j, down, across in windows(rows, columns, kernels.shape[2:], stride, dilation):
        for group in range(groups):
            seen, own = slice(group * inputs, (group + 1) * inputs), slice(group * outputs, (group + 1) * outputs)
            window = around[:, seen, down, across]  # (N, C/G, F, F)
            y[:, own, i, j] = np.einsum("ncuv,kcuv->nk", window, kernels[own])
    return y if bias is None else y + bias[:, np.newaxis, np.newaxis]


def convolve_backwards(
    x: np.ndarray,
    kernels: np.ndarray,
    dy: np.ndarray,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Gradients:
    """The gradients of a convolution, from the gradient `dy` of its output.

    Formula:
        ∂L/∂w = Σ_n Σ_i Σ_j  dy[n, k, i, j] · (the window at i, j)
        ∂L/∂x:  each window receives dy[n, k, i, j] · w[k], and where windows overlap these add up
        ∂L/∂b = Σ_n Σ_i Σ_j  dy[n, k, i, j]

        Every value is part of several sums; its gradient is the sum over all of them (the chain rule).
    """
    inputs, outputs = _per_group(x, kernels, groups)
    around = padded(x, padding)
    d_around, d_kernels = np.zeros_like(around), np.zeros_like(kernels)
    for i, j, down, across in windows(dy.shape[2], dy.shape[3], kernels.shape[2:], stride, dilation):
        for group in range(groups):
            seen, own = slice(group * inputs, (group + 1) * inputs), slice(group * outputs, (group + 1) * outputs)
            d_here = dy[:, own, i, j]  # (N, K/G)
            d_kernels[own] += np.einsum("nk,ncuv->kcuv", d_here, around[:, seen, down, across])
            d_around[:, seen, down, across] += np.einsum("nk,kcuv->ncuv", d_here, kernels[own])
    (rows, columns), (high, wide) = pair(padding), x.shape[2:]
    d_x = d_around[:, :, rows : rows + high, columns : columns + wide]  # without the padding
    return Gradients(d_x, d_kernels, dy.sum(axis=(0, 2, 3)))


def turned(kernels: np.ndarray) -> np.ndarray:
    """Kernels rotated by 180°. With these, `convolve` is the convolution of signal processing."""
    return kernels[..., ::-1, ::-1]


def _per_group(x: np.ndarray, kernels: np.ndarray, groups: int) -> tuple[int, int]:
    """Number of channels and number of kernels of a group."""
    channels, many = x.shape[1], len(kernels)
    if groups < 1 or channels % groups or many % groups or kernels.shape[1] != channels // groups:
        raise NetworkError(
            f"{many} kernels for {kernels.shape[1]} channels each, in {groups} groups, do not fit pictures of "
            f"{channels} channels: each group has channels / groups channels and kernels / groups kernels."
        )
    return channels // groups, many // groups
