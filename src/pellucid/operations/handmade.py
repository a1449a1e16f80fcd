"""Hand-made kernels, from the time before networks learned them."""

from __future__ import annotations

import numpy as np

from pellucid.operations.convolution import convolve, turned


def _kernel(rows: list[list[float]], share: float = 1.0) -> np.ndarray:
    return np.array(rows, float) / share


HANDMADE: dict[str, np.ndarray] = {
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


def apply(picture: np.ndarray, kernel: np.ndarray, *, turn: bool = False) -> np.ndarray:
    """Replaces each pixel of a picture, (H, W) or (H, W, 3), by a weighted sum of its neighbourhood. The size stays.

    Formula:
        y[i, j] = Σ_u Σ_v  k[u, v] · x[i + u − 1, j + v − 1]

        At the edges the outermost pixels are repeated, because zeros would draw a frame. With `turn` the kernel is
        rotated by 180° first, as in signal processing; for symmetric kernels this changes nothing.
    """
    maps = picture[..., np.newaxis] if picture.ndim == 2 else picture
    channels = maps.transpose(2, 0, 1)[:, np.newaxis].astype(float)  # every channel by itself: (C, 1, H, W)
    high, wide = kernel.shape
    margin = ((0, 0), (0, 0), (high // 2, high // 2), (wide // 2, wide // 2))
    kernels = (turned(kernel) if turn else kernel)[np.newaxis, np.newaxis]
    done = convolve(np.pad(channels, margin, mode="edge"), kernels)
    return done[:, 0].transpose(1, 2, 0).reshape(picture.shape)
