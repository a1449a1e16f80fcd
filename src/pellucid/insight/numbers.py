"""Arrays as plain values for figures: numbers with four digits (enough for a colour), pictures as small PNGs."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np


def rounded(values: Any) -> Any:
    """Numbers with four significant digits, in nested lists of the array's shape; a scalar stays a scalar."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.4g}")
    return [rounded(value) for value in values]


def as_png(picture: np.ndarray, edge: int = 256) -> str:
    """A picture, uint8 (C, H, W) with C = 1 or 3, as a base64 PNG of at most `edge` × `edge` pixels."""
    from PIL import Image

    stream = io.BytesIO()
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) > edge:
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
