"""What a picture's file says of its values is honoured, or the file is refused by what it is."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from pellucid.data.decoding import decode
from pellucid.errors import FormatError

VALUES = np.arange(64).reshape(8, 8) * 1000


def tiff(values: np.ndarray, *, bits: int = 16, photometric: int = 1, order: str = "<", kind: int = 1) -> bytes:
    """A file of one uncompressed strip of grey, after TIFF 6.0. `kind` 1 is unsigned whole numbers, 3 floats."""
    if kind == 3:
        content = values.astype(np.dtype(f"f{bits // 8}").newbyteorder(order)).tobytes()
    elif bits == 12:
        digits = "".join(f"{int(value):012b}" for value in values.ravel())
        content = int(digits, 2).to_bytes(len(digits) // 8, "big")
    else:
        content = values.astype(np.dtype(f"u{bits // 8}").newbyteorder(order)).tobytes()
    height, width = values.shape
    tags = [
        (256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(content)), (339, 3, kind),
    ]  # fmt: skip
    start = 8 + len(content) + len(content) % 2
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    directory = struct.pack(f"{order}H", len(tags))
    for tag, size, value in tags:
        packed = struct.pack(f"{order}HH" if size == 3 else f"{order}I", *((value, 0) if size == 3 else (value,)))
        directory += struct.pack(f"{order}HHI", tag, size, 1) + packed
    return head + content + b"\0" * (len(content) % 2) + directory + b"\0\0\0\0"


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits(order):
    assert decode(tiff(VALUES, order=order), 1)[0].tolist() == np.rint(VALUES / 257).tolist()


def test_white_is_zero_is_the_negative_of_black_is_zero():
    eight = decode(tiff(255 - VALUES // 257, bits=8, photometric=0), 1)[0]
    sixteen = decode(tiff(65535 - VALUES, photometric=0), 1)[0]
    assert sixteen.tolist() == decode(tiff(VALUES), 1)[0].tolist()
    assert np.abs(eight.astype(int) - sixteen).max() <= 1


def test_twelve_bits_use_the_whole_range():
    values = VALUES // 16
    decoded = decode(tiff(values, bits=12), 1)[0]
    assert decoded.tolist() == np.rint(values * (255 / 4095)).tolist()


@pytest.mark.parametrize(("order", "bits", "kind"), [("<", 64, 3), ("<", 16, 3), (">", 64, 3)])
def test_a_tiff_that_cannot_be_read_is_called_a_tiff(order, bits, kind, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(VALUES / 65535, bits=bits, kind=kind, order=order))
    with pytest.raises(FormatError) as caught:
        decode(tmp_path / "a.tif", 1)
    assert "is a TIFF of an unsupported kind" in str(caught.value)
    assert "none of PNG" not in str(caught.value)


def test_floats_in_which_white_is_zero_are_refused():
    with pytest.raises(FormatError, match="is a float TIFF with WhiteIsZero"):
        decode(tiff(VALUES / 65535, bits=32, kind=3, photometric=0), 1)


def colours() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))


def saved(image: Image.Image, **settings: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **settings)
    return stream.getvalue()


def profile() -> bytes:
    """A profile that does not call itself sRGB."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return content.replace("sRGB".encode("utf-16-be"), "made".encode("utf-16-be")).replace(b"sRGB b", b"made b")


def test_a_profile_is_converted_to_srgb():
    plain = decode(saved(colours()), 3)
    alike = decode(saved(colours(), icc_profile=profile()), 3)
    assert np.abs(alike.astype(int) - plain).max() <= 2, "its primaries are those of sRGB"
    swapped = profile().replace(b"rXYZ", b"tmp1").replace(b"bXYZ", b"rXYZ").replace(b"tmp1", b"bXYZ")
    turned = decode(saved(colours(), icc_profile=swapped), 3)
    assert np.abs(turned[::-1].astype(int) - plain).max() <= 2, "red and blue have changed places"


def test_a_damaged_profile_counts_as_none():
    np.testing.assert_array_equal(decode(saved(colours(), icc_profile=b"no profile"), 3), decode(saved(colours()), 3))


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8])
def test_a_png_of_another_gamma_is_brought_to_that_of_srgb(gamma):
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    plain = decode(saved(colours()), 3).astype(float)
    expected = np.rint(255 * (plain / 255) ** (1 / 2.2 / gamma))
    assert np.abs(decode(saved(colours(), pnginfo=chunks), 3) - expected).max() <= 1


def test_the_usual_gamma_changes_nothing():
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 45_455))
    np.testing.assert_array_equal(decode(saved(colours(), pnginfo=chunks), 3), decode(saved(colours()), 3))
