"""Pictures for the figures of a check: small PNGs in base64, with what stands beneath them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from pellucid.data import decoding
from pellucid.data.checking.evidence import Evidence
from pellucid.errors import DataError
from pellucid.records import PictureFiles

__all__ = ["cell"]

_EDGE = 96


def cell(evidence: Evidence, index: int, *lines: str) -> dict[str, Any]:
    """A picture with its name, its split and class, and further lines; without `png` where it cannot be read."""
    where = evidence.splits[evidence.split[index]]
    named = [evidence.name(index), " · ".join(part for part in (where, evidence.label(index)) if part), *lines]
    png = _png(evidence, index)
    return {"lines": named} | ({"png": png} if png else {})


def _png(evidence: Evidence, index: int) -> str:
    from PIL import Image

    if not evidence.looks.readable[index]:
        return ""
    number = int(evidence.split[index])
    split = evidence.data.splits[evidence.splits[number]]
    place = index - int(np.argmax(evidence.split == number))
    if isinstance(split.pictures, PictureFiles):
        path = split.pictures.paths[place]
        try:
            picture = decoding.decode(path.read_bytes(), 3, name=evidence.name(index), at_least=(_EDGE, _EDGE))
        except (DataError, OSError):  # it was readable a moment ago
            return ""
    else:
        picture = np.asarray(split.pictures[place])
    image = Image.fromarray(np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)))
    if max(image.size) > _EDGE:
        image.thumbnail((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
