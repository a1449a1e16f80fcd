"""Small and large forms of a picture, as findings keep them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pellucid.data.thumbnails import EDGE, LARGE, thumbnail_and_large
from pellucid.records import PictureFiles, Split


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.mark.parametrize(("shape", "has_large"), [((1, 28, 28), False), ((3, 96, 96), False), ((3, 97, 60), True)])
def test_pictures_in_memory(shape, has_large):
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    small, large = thumbnail_and_large(Split("test", pixels, None, ("a", "b")), 0)
    assert max(opened(small).size) <= EDGE
    assert (large is not None) == has_large
    if large is not None:
        assert opened(large).size == shape[:0:-1], "not enlarged"


def test_a_photo_is_large_enough_to_judge(tmp_path):
    Image.effect_noise((1200, 900), 80).convert("RGB").save(tmp_path / "photo.jpg")
    split = Split("test", PictureFiles((tmp_path / "photo.jpg",)), None, ("a", "b"))
    small, large = thumbnail_and_large(split, 0)
    assert opened(small).size == (96, 72)
    assert (opened(large).format, opened(large).size) == ("JPEG", (LARGE, LARGE * 3 // 4))
