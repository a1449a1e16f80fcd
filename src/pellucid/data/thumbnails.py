"""Pictures and numbers as a figure keeps them: small PNGs in base64, and four significant digits."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from pellucid.records import PictureFiles, Split

EDGE = 96
"""Maximum side in pixels; smaller pictures keep their size."""
LARGE = 480
"""Maximum side in pixels of a picture that is shown alone."""


def thumbnail(split: Split, index: int, edge: int = EDGE) -> str:
    """The picture at `index` as a PNG of at most `edge` by `edge` pixels, in base64.

    Raises:
        FormatError: its file cannot be decoded.
    """
    return png_base64(_pixels(split, index), edge)


def thumbnail_and_large(split: Split, index: int) -> tuple[str, str | None]:
    """The picture at `index` as a PNG of at most 96 by 96 pixels, and as a JPEG of at most 480 by 480, in base64.

    The second is None if the first has the whole picture.

    Raises:
        FormatError: its file cannot be decoded.
    """
    from PIL import Image

    pixels = _pixels(split, index)
    if max(pixels.shape[1:]) <= EDGE:
        return png_base64(pixels), None
    image = Image.fromarray(np.ascontiguousarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)))
    image.thumbnail((LARGE, LARGE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return png_base64(pixels), base64.b64encode(stream.getvalue()).decode("ascii")


def _pixels(split: Split, index: int) -> np.ndarray:
    """The picture at `index`, uint8 (C, H, W)."""
    if not isinstance(split.pictures, PictureFiles):
        return split.pictures[index]
    from pellucid.data import decoding

    return decoding.decode(split.pictures.paths[index], 3)


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
