"""Pooling: each window of a map becomes one value: its maximum, mean or Euclidean norm."""

from __future__ import annotations

import numpy as np

from pellucid.errors import NetworkError
from pellucid.networks.arithmetic import reach
from pellucid.operations.windows import Pair, padded, pair, sizes, windows


def max_pool(
    x: np.ndarray,
    size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    partial: bool = False,
) -> np.ndarray:
    """The maximum of each window.

    Formula:
        y[n, c, i, j] = max over u, v of  x[n, c, i·S + u·D − P, j·S + v·D − P]

        The padding is −∞, so it is never the maximum.

    Args:
        x: maps (N, C, H, W).
        size: F, height and width of the window.
        stride: S, step of the window; None uses its size, so that windows do not overlap.
        padding: P, at most half the window, so that no window is only padding.
        dilation: D, distance between the values in the window.
        partial: whether to include windows that extend past the right or lower edge. Otherwise the rest is ignored.

    Returns:
        y, (N, C, O, O) with O = ⌊(W − D(F − 1) − 1 + 2P) / S⌋ + 1; with `partial`, ⌈⌉ instead of ⌊⌋.

    Raises:
        NetworkError: the window is larger than the padded map, or the padding than half the window.
    """
    stride = size if stride is None else stride
    rows, columns = _sizes(x, size, stride, padding, dilation, partial=partial)
    around = padded(x, padding, -np.inf)
    y = np.empty((*x.shape[:2], rows, columns), x.dtype)
    for i, j, down, across in windows(rows, columns, size, stride, dilation):
        y[:, :, i, j] = around[:, :, down, across].max(axis=(2, 3))
    return y


def max_pool_backward(
    x: np.ndarray,
    size: Pair,
    dy: np.ndarray,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
) -> np.ndarray:
    """The gradient of max pooling, all of which goes to the maximum of each window.

    If several values are equal to the maximum, it goes to the first, row by row.
    """
    stride = size if stride is None else stride
    around = padded(x, padding, -np.inf)
    d_around = np.zeros_like(around)
    n, c = np.indices(x.shape[:2])
    for i, j, down, across in windows(dy.shape[2], dy.shape[3], size, stride, dilation):
        window = around[:, :, down, across]
        u, v = np.divmod(window.reshape(*x.shape[:2], -1).argmax(axis=2), window.shape[3])
        d_around[:, :, down, across][n, c, u, v] += dy[:, :, i, j]
    (top, left), (high, wide) = pair(padding), x.shape[2:]
    return d_around[:, :, top : top + high, left : left + wide]


def average_pool(
    x: np.ndarray,
    size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    partial: bool = False,
    count_padding: bool = True,
) -> np.ndarray:
    """The mean of each window.

    Formula:
        y[n, c, i, j] = 1/|window| · Σ_u Σ_v  x[n, c, i·S + u·D − P, j·S + v·D − P]

        The padding is 0, and counts in |window| if `count_padding`. The part of a `partial` window beyond the padding
        never counts.

    Args, Returns, Raises: as in `max_pool`.
    """
    stride = size if stride is None else stride
    rows, columns = _sizes(x, size, stride, padding, dilation, partial=partial)
    around = padded(x, padding)
    counted = padded(np.ones_like(x[:1, :1]), padding, float(count_padding))
    y = np.empty((*x.shape[:2], rows, columns), x.dtype)
    for i, j, down, across in windows(rows, columns, size, stride, dilation):
        y[:, :, i, j] = around[:, :, down, across].sum(axis=(2, 3)) / counted[0, 0, down, across].sum()
    return y


def l2_pool(x: np.ndarray, size: Pair, *, stride: Pair | None = None, dilation: Pair = 1) -> np.ndarray:
    """The Euclidean norm of each window, a compromise between mean and maximum.

    Formula:
        y[n, c, i, j] = √( Σ_u Σ_v  x[n, c, i·S + u·D, j·S + v·D]² )

    Args, Returns, Raises: as in `max_pool`.
    """
    stride = size if stride is None else stride
    rows, columns = _sizes(x, size, stride, 0, dilation, partial=False)
    y = np.empty((*x.shape[:2], rows, columns), x.dtype)
    for i, j, down, across in windows(rows, columns, size, stride, dilation):
        y[:, :, i, j] = np.sqrt((x[:, :, down, across] ** 2).sum(axis=(2, 3)))
    return y


def _sizes(x: np.ndarray, size: Pair, stride: Pair, padding: Pair, dilation: Pair, *, partial: bool) -> tuple[int, int]:
    if any(2 * p > f for p, f in zip(pair(padding), pair(size), strict=True)):
        raise NetworkError(
            f"Padding of {padding} is more than half of a window of {size}: a window could be all frame."
        )
    rows, columns = sizes(x.shape, size, stride, padding, dilation)
    if not partial:
        return rows, columns
    more = []
    settings = zip((rows, columns), x.shape[2:], pair(size), pair(stride), pair(padding), pair(dilation), strict=True)
    for whole, w, f, s, p, d in settings:
        left_over = (w + 2 * p - reach(f, d)) % s > 0
        # A window may hang over the edge, but it has to begin within the map, or in the frame before it.
        more.append(whole + int(left_over and whole * s < w + p))
    return more[0], more[1]
