"""A map over its picture: the picture pale and grey, red where the map is above zero, blue where it is below."""

from __future__ import annotations

import numpy as np

from pellucid.report.pictures import signed

_PALE = 0.5
"""How much of the picture's contrast is left."""


def over(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): a picture, uint8 (H, W) or (H, W, 3), with a map (h, w) over it, each on its own scale.

    The strongest 1 % of the map share the strongest colour, so that a single pixel does not hide all others.
    """
    grey = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    grey = 255 - _PALE * (255 - grey) if grey.mean() > 127 else 255 - _PALE * grey  # ink is dark, whatever it was
    fine = enlarged(values, (grey.shape[0], grey.shape[1]))
    largest = float(np.quantile(np.abs(fine), 0.99)) or float(np.abs(fine).max()) or 1.0
    strength = np.clip(np.abs(fine) / largest, 0, 1)[..., np.newaxis] ** 0.7
    colour = signed.colours(np.sign(fine) * 0.75, 1.0).astype(np.float64)
    mixed = (1 - 0.85 * strength) * grey[..., np.newaxis] + 0.85 * strength * colour
    return mixed.round().clip(0, 255).astype(np.uint8)


def enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map at the size of its picture: pixel by pixel where it has it, else smoothly."""
    if values.shape == size:
        return values
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
