"""Convolution and its gradients, with stride, padding, dilation and groups; and hand-made kernels.

The convolution of networks is a cross-correlation: the kernel is not flipped. This does not matter for learned kernels,
but it can matter for hand-made ones (see `flipped`).
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


def convolve_backward(
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


def flipped(kernels: np.ndarray) -> np.ndarray:
    """Kernels rotated by 180°. With these, `convolve` is the convolution of signal processing."""
    return kernels[..., ::-1, ::-1]


def _kernel(rows: list[list[float]], divisor: float = 1.0) -> np.ndarray:
    return np.array(rows, float) / divisor


HANDMADE_KERNELS: dict[str, np.ndarray] = {
    # Differences from the eight neighbours; 0 on an even surface, because the weights add up to 0.
    "edges": _kernel([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    # From dark at the left to bright at the right (Sobel and Feldman 1968).
    "vertical edges": _kernel([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    # From dark above to bright below.
    "horizontal edges": _kernel([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    # The mean of nine pixels; the brightness stays, because the weights add up to 1.
    "blur": _kernel([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
    # A weighted mean: near pixels count more.
    "soft blur": _kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    # The picture plus its difference from the four neighbours.
    "sharpen": _kernel([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    # Light from the upper left.
    "emboss": _kernel([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
}
"""Name → kernel (3, 3), for cross-correlation."""


def apply_kernel(picture: np.ndarray, kernel: np.ndarray, *, flip: bool = False) -> np.ndarray:
    """Replaces each pixel of a picture, (H, W) or (H, W, 3), by a weighted sum of its neighbourhood. The size stays.

    Formula:
        y[i, j] = Σ_u Σ_v  k[u, v] · x[i + u − 1, j + v − 1]

        At the edges the outermost pixels are repeated, because zeros would draw a frame. With `flip` the kernel is
        rotated by 180° first, as in signal processing; for symmetric kernels this changes nothing.
    """
    maps = picture[..., np.newaxis] if picture.ndim == 2 else picture
    channels = maps.transpose(2, 0, 1)[:, np.newaxis].astype(float)  # every channel by itself: (C, 1, H, W)
    height, width = kernel.shape
    margin = ((0, 0), (0, 0), (height // 2, height // 2), (width // 2, width // 2))
    kernels = (flipped(kernel) if flip else kernel)[np.newaxis, np.newaxis]
    y = convolve(np.pad(channels, margin, mode="edge"), kernels)
    return y[:, 0].transpose(1, 2, 0).reshape(picture.shape)


def _per_group(x: np.ndarray, kernels: np.ndarray, groups: int) -> tuple[int, int]:
    """Number of channels and number of kernels of a group."""
    channels, many = x.shape[1], len(kernels)
    if groups < 1 or channels % groups or many % groups or kernels.shape[1] != channels // groups:
        raise NetworkError(
            f"{many} kernels for {kernels.shape[1]} channels each, in {groups} groups, do not fit pictures of "
            f"{channels} channels: each group has channels / groups channels and kernels / groups kernels."
        )
    return channels // groups, many // groups
