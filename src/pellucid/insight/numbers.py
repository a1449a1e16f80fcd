"""Arrays as plain values for a figure: four digits are more than a colour can show; pictures are small PNGs."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np


def rounded(values: Any) -> Any:
    """Numbers to four significant digits, in nested lists of the array's shape; a single number as one."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.4g}")
    return [rounded(one) for one in values]


def as_png(picture: np.ndarray, edge: int = 256) -> str:
    """A picture, uint8 (C, H, W) with C = 1 or 3, as a PNG of at most `edge` by `edge` pixels, in base64."""
    from PIL import Image

    stream = io.BytesIO()
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) > edge:
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
