"""Pictures and numbers as a figure keeps them: small PNGs in base64, and four significant digits."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from pellucid.records import PictureFiles, Split

EDGE = 96
"""Maximum side in pixels; smaller pictures keep their size."""


def thumbnail(split: Split, index: int, edge: int = EDGE) -> str:
    """The picture at `index` as a PNG of at most `edge` by `edge` pixels, in base64.

    Raises:
        FormatError: its file cannot be decoded.
    """
    if not isinstance(split.pictures, PictureFiles):
        return png_base64(split.pictures[index], edge)
    from pellucid.data import decoding

    return png_base64(decoding.decode(split.pictures.paths[index], 3), edge)


def png_base64(picture: np.ndarray, edge: int = EDGE) -> str:
    """A picture, uint8 (C, H, W) with C = 1 or 3, as a PNG of at most `edge` by `edge` pixels, in base64."""
    from PIL import Image

    pixels = np.ascontiguousarray(picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0))
    image = Image.fromarray(pixels)
    if max(image.size) > edge:
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def rounded(values: Any) -> Any:
    """Numbers to four significant digits, in nested lists of the array's shape; a single number as a float."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.4g}")
    return [rounded(part) for part in values]
