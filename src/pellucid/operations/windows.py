"""Sliding windows, shared by convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.errors import NetworkError
from pellucid.networks.arithmetic import output_size, reach

Pair = int | tuple[int, int]
"""One number for height and width, or (height, width)."""


def pair(value: Pair) -> tuple[int, int]:
    """The pair (height, width)."""
    return (value, value) if isinstance(value, int) else value


def padded(x: np.ndarray, padding: Pair, value: float = 0.0) -> np.ndarray:
    """Pads pictures (N, C, H, W) with `value`, `padding` pixels at *each* side."""
    rows, columns = pair(padding)
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), constant_values=value)


def sizes(shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> tuple[int, int]:
    """Output height and width of a window of `size` on pictures of `shape` (..., H, W).

    Formula:
        O = ⌊(W − D(F − 1) − 1 + 2P) / S⌋ + 1

    Raises:
        NetworkError: the window is larger than the padded picture.
    """
    settings = zip(shape[-2:], pair(size), pair(stride), pair(padding), pair(dilation), strict=True)
    rows, columns = (output_size(w, f, stride=s, padding=p, dilation=d) for w, f, s, p, d in settings)
    if min(rows, columns) < 1:
        over = "×".join(str(reach(f, d)) for f, d in zip(pair(size), pair(dilation), strict=True))
        around = "×".join(str(w + 2 * p) for w, p in zip(shape[-2:], pair(padding), strict=True))
        raise NetworkError(f"A window that covers {over} does not fit a padded picture of {around}. Use more padding.")
    return rows, columns


def windows(
    rows: int, columns: int, size: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, slice, slice]]:
    """Each place of the output, and which rows and columns of the padded picture its window reads.

    The window of place (i, j) begins at (i·S, j·S), and its numbers stand D apart. A slice that reaches past the lower
    or right edge reads what is there.
    """
    (high, wide), (down, right), (apart, aside) = pair(size), pair(stride), pair(dilation)
    for i in range(rows):
        for j in range(columns):
            top, left = i * down, j * right
            yield (
                i,
                j,
                slice(top, top + reach(high, apart), apart),
                slice(left, left + reach(wide, aside), aside),
            )
