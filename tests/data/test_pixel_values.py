"""What a picture's file says of its values is honoured, or the file is refused by what it is."""

from __future__ import annotations

import io
import struct
import zlib

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


def png(values: np.ndarray, bits: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of whole numbers (H, W, C), with further chunks before the pixels."""
    height, width = values.shape[:2]
    if bits == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        digits = np.unpackbits(values.astype(np.uint8).reshape(height, -1, 1), axis=2)[:, :, 8 - bits :]
        rows = np.packbits(digits.reshape(height, -1), axis=1)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_grey_value_is_transparent_at_every_depth(bits):
    full = 2**bits - 1
    values = np.arange(64).reshape(8, 8, 1) % (full + 1)
    gone = min(2, full)
    decoded = decode(png(values, bits, 0, (b"tRNS", struct.pack(">H", gone))), 1)[0]
    expected = np.where(values[:, :, 0] == gone, 255, np.rint(values[:, :, 0] * 255 / full))
    np.testing.assert_array_equal(decoded, expected)


def test_a_picture_that_is_decoded_twice_keeps_its_transparency():
    values = np.arange(64).reshape(8, 8, 1) % 16
    with Image.open(io.BytesIO(png(values, 4, 0, (b"tRNS", struct.pack(">H", 2))))) as image:
        first = decode(image, 1)
        np.testing.assert_array_equal(decode(image, 1), first)


def test_a_transparent_colour_of_sixteen_bits_is_refused():
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3))
    with pytest.raises(FormatError, match="is a PNG of 16 bits per channel with a transparent colour"):
        decode(png(values, 16, 2, (b"tRNS", struct.pack(">HHH", *values[3, 4]))), 3)
    assert decode(png(values, 16, 2), 3).shape == (3, 8, 8)


def test_gamma_is_honoured_for_every_kind_of_pixels():
    values = np.arange(64).reshape(8, 8, 1) * 4
    linear = (b"gAMA", struct.pack(">I", 100_000))
    expected = np.rint(255 * (values[:, :, 0] / 255) ** (1 / 2.2))
    palette = (b"PLTE", bytes(np.repeat(np.arange(256, dtype=np.uint8), 3)))
    opaque = np.concatenate([values, np.full_like(values, 255)], axis=2)
    for name, content in {
        "grey": png(values, 8, 0, linear),
        "sixteen bits": png(values * 257, 16, 0, linear),
        "palette": png(values, 8, 3, linear, palette),
        "grey and alpha": png(opaque, 8, 4, linear),
        "one value transparent": png(values, 8, 0, linear, (b"tRNS", struct.pack(">H", 255))),
        "colour": png(np.repeat(values, 3, axis=2), 8, 2, linear),
        "colour and alpha": png(np.concatenate([values, values, opaque], axis=2), 8, 6, linear),
    }.items():
        assert np.abs(decode(content, 1)[0] - expected).max() <= 1, name


def grey_profile(gamma: float) -> bytes:
    """An ICC profile (version 2.4) of grey with a power curve."""
    white = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)),
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_converted_to_srgb(mode):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(values).convert(mode)
    light = values / 255  # gamma 1: the values are light
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    decoded = decode(saved(image, icc_profile=grey_profile(1.0)), 1)[0]
    assert np.abs(decoded - 255 * srgb).max() <= 2


def test_a_palette_with_a_profile_is_converted_like_its_colours():
    swapped = profile().replace(b"rXYZ", b"tmp1").replace(b"bXYZ", b"rXYZ").replace(b"tmp1", b"bXYZ")
    image = colours().quantize(64)
    as_colours = decode(saved(image.convert("RGB"), icc_profile=swapped), 3)
    np.testing.assert_array_equal(decode(saved(image, icc_profile=swapped), 3), as_colours)


def test_a_signed_tiff_uses_its_positive_half():
    content = bytearray(tiff(np.arange(64).reshape(8, 8) * 520, bits=16))
    entry = content.rindex(struct.pack("<HHIHH", 339, 3, 1, 1, 0))
    content[entry : entry + 12] = struct.pack("<HHIHH", 339, 3, 1, 2, 0)
    expected = np.rint(np.arange(64).reshape(8, 8) * 520 * 255 / 32767)
    np.testing.assert_array_equal(decode(bytes(content), 1)[0], expected)


def test_planes_of_sixteen_bits_are_refused():
    planes = np.arange(3 * 64).reshape(3, 8, 8).astype("<u2") * 300
    tags = [
        (256, 4, (8,)), (257, 4, (8,)), (258, 3, (16, 16, 16)), (259, 3, (1,)), (262, 3, (2,)),
        (273, 4, (8, 136, 264)), (277, 3, (3,)), (278, 4, (8,)), (279, 4, (128, 128, 128)), (284, 3, (2,)),
    ]  # fmt: skip
    start = 8 + planes.nbytes
    behind, directory = b"", struct.pack("<H", len(tags))
    for number, kind, numbers in tags:
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            packed, behind = struct.pack("<I", start + 2 + 12 * len(tags) + 4 + len(behind)), behind + packed
        directory += struct.pack("<HHI", number, kind, len(numbers)) + packed.ljust(4, b"\0")
    content = b"II" + struct.pack("<HI", 42, start) + planes.tobytes() + directory + bytes(4) + behind
    with pytest.raises(FormatError, match="is a TIFF of 16 bits in separate planes"):
        decode(content, 3)


def test_a_tiff_of_32_bits_is_refused_by_what_it_is():
    with pytest.raises(FormatError, match="is a TIFF of 32 bits per pixel"):
        decode(tiff(np.arange(64).reshape(8, 8) * 2**26, bits=32), 1)
