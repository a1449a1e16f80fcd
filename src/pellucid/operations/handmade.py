"""Kernels that people made by hand before networks learned theirs."""

from __future__ import annotations

import numpy as np

from pellucid.operations.convolution import convolve, turned


def _kernel(rows: list[list[float]], share: float = 1.0) -> np.ndarray:
    return np.array(rows, float) / share


HANDMADE: dict[str, np.ndarray] = {
    # What stands out from its eight neighbours; 0 where all is alike, since the numbers add up to 0.
    "edges": _kernel([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    # From dark at the left to bright at the right (Sobel and Feldman 1968).
    "vertical edges": _kernel([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    # From dark above to bright below.
    "horizontal edges": _kernel([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    # The mean of nine, so the picture stays as bright as it was: they add up to 1.
    "blur": _kernel([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
    # The same, and nearer ones count more.
    "soft blur": _kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    # Twice the picture less its neighbourhood.
    "sharpen": _kernel([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    # Light from the upper left.
    "emboss": _kernel([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
}
"""By name: kernels (3, 3), as cross-correlation lays them over the picture."""


def apply(picture: np.ndarray, kernel: np.ndarray, *, turn: bool = False) -> np.ndarray:
    """Each pixel of a picture (H, W) or (H, W, 3) becomes a weighted sum of its neighbourhood; the size stays.

    Formula:
        y[i, j] = Σ_u Σ_v  k[u, v] · x[i + u − 1, j + v − 1]

        At the edges the outermost pixels are repeated: zeros would draw a frame. With `turn` the kernel is turned by
        180° first, which is convolution as signal processing means it; symmetric kernels do not notice.
    """
    maps = picture[..., np.newaxis] if picture.ndim == 2 else picture
    channels = maps.transpose(2, 0, 1)[:, np.newaxis].astype(float)  # every channel by itself: (C, 1, H, W)
    high, wide = kernel.shape
    margin = ((0, 0), (0, 0), (high // 2, high // 2), (wide // 2, wide // 2))
    kernels = (turned(kernel) if turn else kernel)[np.newaxis, np.newaxis]
    done = convolve(np.pad(channels, margin, mode="edge"), kernels)
    return done[:, 0].transpose(1, 2, 0).reshape(picture.shape)
