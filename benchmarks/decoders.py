"""Pellucid's decoder beside an independent one, libvips or ImageMagick, over a grid of generated picture files.

    python benchmarks/decoders.py                     # needs vips or convert: apt-get install libvips-tools imagemagick
    python benchmarks/decoders.py --files FOLDER      # also compares the picture files of a folder

Each file stores the same gradients in another way: bit depth, photometric interpretation, transparency, palette,
gamma, colour profile, orientation, planes, subsampling, compression, byte order. A result is the largest and the mean
difference of the decoded pixels (0 to 255) to those of each decoder that reads the file, or the sentence of refusal.
Results are in `results/decoders.jsonl`; expected differences have their reason in `REASONS`. Neither of the other
decoders is right in every case: a file passes if one of them agrees.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from pellucid.data.decoding import SUFFIXES, decode
from pellucid.errors import DataError

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "decoders.jsonl"
TOLERANCE = 3.0
"""Largest difference in a pixel that counts as the same: rounding, and the inverse cosine transforms of JPEG."""
SIDE = 32

REASONS = {
    "png colour 16 bits, one colour transparent": "refused: Pillow has no 16 bits per channel to compare with",
    "png colour gamma": "libvips ignores gAMA, and ImageMagick honours only 1; ours is 255 (v/255)^(1/2.2γ), as in the "
    "PNG specification, 13.13",
    "png grey gamma": "as with colour",
    "png grey 16 bits gamma": "as with colour",
    "png palette gamma": "as with colour",
    "png colour and alpha gamma": "ImageMagick blends with white before it converts the gamma",
    "tiff grey 32 bits": "refused",
    "tiff colour 16 bits planes": "refused: Pillow reads it as 8 bits",
    "tiff colour and alpha 16 bits planes": "refused: Pillow reads it as 8 bits",
    "tiff grey 16 bits white is zero big-endian": "refused: Pillow cannot read it",
    "tiff grey and alpha 16 bits": "refused: Pillow cannot read it",
    "tiff colour float 32 bits": "refused: Pillow cannot read it",
    "tiff colour and a fourth channel": "the file says that the channel is unspecified (ExtraSamples 0), so not alpha: "
    "TIFF 6.0, page 31",
    "tiff grey signed 16 bits": "ours maps 0 to 32767 to 0 to 255; the other two differ from each other",
    "bmp RGBA 32 bits": "without a header that declares alpha, the fourth byte is unused",
}
"""Start of a file's name -> why the decoders differ there."""


def gradients() -> np.ndarray:
    """Three smooth channels, float64 (SIDE, SIDE, 3) from 0 to 1."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    return np.stack([x, y, (x + y) / 2], axis=2)


def stored(values: np.ndarray, bits: int) -> np.ndarray:
    """Fractions as whole numbers of so many bits."""
    return np.rint(values * (2**bits - 1)).astype({8: np.uint8, 16: np.uint16, 32: np.uint32}.get(bits, np.uint16))


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(values: np.ndarray, bits: int, colour: int, extra: bytes = b"") -> bytes:
    """A PNG (ISO/IEC 15948) of whole numbers (H, W, C); `extra` are chunks before the pixels."""
    height, width = values.shape[:2]
    if bits == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = values.astype(np.uint8).reshape(height, -1)
    else:
        digits = np.unpackbits(values.astype(np.uint8).reshape(height, -1, 1), axis=2)[:, :, 8 - bits :]
        rows = np.packbits(digits.reshape(height, -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def tiff(  # noqa: PLR0913 (one for each tag that the grid varies)
    values: np.ndarray,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    sample: int = 1,
    planar: int = 1,
    extra: int | None = None,
    palette: np.ndarray | None = None,
    more: tuple[tuple[int, int, int], ...] = (),
) -> bytes:
    """An uncompressed TIFF 6.0 of one strip (one for each plane if `planar` is 2), of values (H, W, C).

    Args:
        values: whole numbers, or floats if `sample` is 3.
        bits: bits of a sample.
        photometric: PhotometricInterpretation: 0 WhiteIsZero, 1 BlackIsZero, 2 RGB, 3 palette, 5 CMYK.
        order: byte order, `<` or `>`.
        sample: SampleFormat: 1 unsigned, 2 signed, 3 float.
        planar: PlanarConfiguration: 1 together, 2 planes.
        extra: ExtraSamples: 0 unspecified, 1 associated, 2 unassociated alpha.
        palette: ColorMap, whole numbers (3, 2**bits) of 16 bits.
        more: further tags: (number, type, value).
    """
    height, width, channels = values.shape
    planes = [values[:, :, i : i + 1] for i in range(channels)] if planar == 2 else [values]
    strips = [_packed(plane, bits, order, sample) for plane in planes]
    offset, offsets = 8, []
    for strip in strips:
        offsets.append(offset)
        offset += len(strip) + len(strip) % 2
    body = b"".join(strip + b"\0" * (len(strip) % 2) for strip in strips)
    tags: list[tuple[int, int, tuple[int, ...]]] = [
        (256, 4, (width,)), (257, 4, (height,)), (258, 3, (bits,) * channels), (259, 3, (1,)), (262, 3, (photometric,)),
        (273, 4, tuple(offsets)), (277, 3, (channels,)), (278, 4, (height,)),
        (279, 4, tuple(len(strip) for strip in strips)), (284, 3, (planar,)), (339, 3, (sample,) * channels),
    ]  # fmt: skip
    if extra is not None:
        tags.append((338, 3, (extra,)))
    if palette is not None:
        tags.append((320, 3, tuple(palette.ravel().tolist())))
    tags += [(number, kind, (value,)) for number, kind, value in more]
    tags.sort()
    start = offset
    directory, behind = struct.pack(f"{order}H", len(tags)), b""
    after = start + 2 + 12 * len(tags) + 4
    for number, kind, numbers in tags:
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            field = struct.pack(f"{order}I", after + len(behind))
            behind += packed + b"\0" * (len(packed) % 2)
        else:
            field = packed.ljust(4, b"\0")
        directory += struct.pack(f"{order}HHI", number, kind, len(numbers)) + field
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return head + body + directory + b"\0\0\0\0" + behind


def _packed(values: np.ndarray, bits: int, order: str, sample: int) -> bytes:
    height = values.shape[0]
    if sample == 3:
        return values.astype(np.dtype(f"f{bits // 8}").newbyteorder(order)).tobytes()
    if bits in (8, 16, 32):
        kind = "i" if sample == 2 else "u"
        return values.astype(np.dtype(f"{kind}{bits // 8}").newbyteorder(order)).tobytes()
    flat = values.reshape(height, -1).astype(np.uint16)
    digits = (flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def files() -> Iterator[tuple[str, str, bytes]]:
    """The generated files: (name, suffix, content)."""
    yield from _pngs()
    yield from _tiffs()
    yield from _others()


def _pngs() -> Iterator[tuple[str, str, bytes]]:
    colour = gradients()
    grey = colour[:, :, 2:]
    alpha = np.concatenate([colour, colour[::-1, :, :1]], axis=2)
    for bits in (1, 2, 4, 8, 16):
        yield f"png grey {bits} bits", ".png", png(stored(grey, bits), bits, 0)
        middle = int(stored(grey, bits)[SIDE // 2, SIDE // 2, 0])
        yield (
            f"png grey {bits} bits, one value transparent",
            ".png",
            png(stored(grey, bits), bits, 0, chunk(b"tRNS", struct.pack(">H", middle))),
        )
    for bits in (8, 16):
        yield f"png colour {bits} bits", ".png", png(stored(colour, bits), bits, 2)
        yield f"png colour and alpha {bits} bits", ".png", png(stored(alpha, bits), bits, 6)
        yield f"png grey and alpha {bits} bits", ".png", png(stored(alpha[:, :, 2:], bits), bits, 4)
        pixel = stored(colour, bits)[5, 9].tolist()
        yield (
            f"png colour {bits} bits, one colour transparent",
            ".png",
            png(stored(colour, bits), bits, 2, chunk(b"tRNS", struct.pack(">HHH", *pixel))),
        )
    for bits in (1, 2, 4, 8):
        palette = np.random.default_rng(bits).integers(0, 256, (2**bits, 3), dtype=np.uint8)
        plte = chunk(b"PLTE", palette.tobytes())
        yield f"png palette {bits} bits", ".png", png(stored(grey, bits), bits, 3, plte)
        yield (
            f"png palette {bits} bits, transparent",
            ".png",
            png(stored(grey, bits), bits, 3, plte + chunk(b"tRNS", bytes(range(0, 256, 256 // 2**bits)))),
        )
    yield "png colour interlaced", ".png", saved(Image.fromarray(stored(colour, 8)), "PNG", interlace=1)
    for name, gamma in (("1", 1.0), ("1.8", 1 / 1.8), ("2.2", 1 / 2.2)):
        chunks = chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
        yield f"png colour gamma {name}", ".png", png(stored(colour, 8), 8, 2, chunks)
        yield f"png grey gamma {name}", ".png", png(stored(grey, 8), 8, 0, chunks)
    yield "png grey 16 bits gamma 1", ".png", png(stored(grey, 16), 16, 0, chunk(b"gAMA", struct.pack(">I", 100_000)))
    yield (
        "png palette gamma 1",
        ".png",
        png(stored(grey, 8), 8, 3, chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"PLTE", bytes(range(256)) * 3)),
    )
    yield (
        "png colour and alpha gamma 1",
        ".png",
        png(stored(alpha, 8), 8, 6, chunk(b"gAMA", struct.pack(">I", 100_000))),
    )
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"png orientation {orientation}", ".png", saved(Image.fromarray(stored(colour, 8)), "PNG", exif=exif)


def _tiffs() -> Iterator[tuple[str, str, bytes]]:
    colour = gradients()
    grey = colour[:, :, 2:]
    alpha = np.concatenate([colour, colour[::-1, :, :1]], axis=2)
    associated = np.concatenate([alpha[:, :, :3] * alpha[:, :, 3:], alpha[:, :, 3:]], axis=2)
    for order, name in (("<", "little-endian"), (">", "big-endian")):
        for bits in (1, 2, 4, 8, 12, 16, 32):
            for photometric, kind in ((1, "black is zero"), (0, "white is zero")):
                yield (
                    f"tiff grey {bits} bits {kind} {name}",
                    ".tif",
                    tiff(stored(grey, bits), bits, photometric, order=order),
                )
        for bits in (8, 16):
            yield f"tiff colour {bits} bits {name}", ".tif", tiff(stored(colour, bits), bits, 2, order=order)
            yield (
                f"tiff colour {bits} bits planes {name}",
                ".tif",
                tiff(stored(colour, bits), bits, 2, order=order, planar=2),
            )
            yield (
                f"tiff colour and alpha {bits} bits {name}",
                ".tif",
                tiff(stored(alpha, bits), bits, 2, order=order, extra=2),
            )
        for bits in (16, 32, 64):
            yield f"tiff grey float {bits} bits {name}", ".tif", tiff(grey, bits, 1, order=order, sample=3)
    for bits in (8, 16):
        yield f"tiff colour and associated alpha {bits} bits", ".tif", tiff(stored(associated, bits), bits, 2, extra=1)
        yield f"tiff colour and a fourth channel {bits} bits", ".tif", tiff(stored(alpha, bits), bits, 2, extra=0)
        yield f"tiff grey and alpha {bits} bits", ".tif", tiff(stored(alpha[:, :, 2:], bits), bits, 1, extra=2)
        yield f"tiff cmyk {bits} bits", ".tif", tiff(stored(alpha, bits), bits, 5)
        yield f"tiff colour and alpha {bits} bits planes", ".tif", tiff(stored(alpha, bits), bits, 2, extra=2, planar=2)
    yield "tiff colour float 32 bits", ".tif", tiff(colour, 32, 2, sample=3)
    yield "tiff grey signed 8 bits", ".tif", tiff(np.rint(grey * 127), 8, 1, sample=2)
    yield "tiff grey signed 16 bits", ".tif", tiff(np.rint(grey * 32767), 16, 1, sample=2)
    for bits in (1, 2, 4, 8):
        palette = np.random.default_rng(bits).integers(0, 256, (3, 2**bits)) * 257
        yield f"tiff palette {bits} bits", ".tif", tiff(stored(grey, bits), bits, 3, palette=palette)
    for orientation in range(1, 9):
        yield f"tiff orientation {orientation}", ".tif", tiff(stored(colour, 8), 8, 2, more=((274, 3, orientation),))
        yield (
            f"tiff 16 bits orientation {orientation}",
            ".tif",
            tiff(stored(grey, 16), 16, 1, more=((274, 3, orientation),)),
        )
    yield (
        "tiff bits in reversed order",
        ".tif",
        tiff(np.packbits(np.unpackbits(stored(grey, 8), axis=2)[:, :, ::-1], axis=2), 8, 1, more=((266, 3, 2),)),
    )
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield (
            f"tiff colour {compression}",
            ".tif",
            saved(Image.fromarray(stored(colour, 8)), "TIFF", compression=compression),
        )
        yield (
            f"tiff grey 16 bits {compression}",
            ".tif",
            saved(Image.fromarray(stored(grey, 16)[:, :, 0]), "TIFF", compression=compression),
        )
    yield "tiff colour jpeg", ".tif", saved(Image.fromarray(stored(colour, 8)), "TIFF", compression="jpeg", quality=95)
    bilevel = Image.fromarray(stored(grey, 8)[:, :, 0]).convert("1")
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield f"tiff bilevel {compression}", ".tif", saved(bilevel, "TIFF", compression=compression)


def _others() -> Iterator[tuple[str, str, bytes]]:
    image = Image.fromarray(stored(gradients(), 8))
    for name, sampling in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
        yield f"jpeg {name}", ".jpg", saved(image, "JPEG", quality=95, subsampling=sampling)
    yield "jpeg progressive", ".jpg", saved(image, "JPEG", quality=95, progressive=True)
    yield "jpeg grey", ".jpg", saved(image.convert("L"), "JPEG", quality=95)
    yield "jpeg rgb without conversion", ".jpg", saved(image, "JPEG", quality=95, keep_rgb=True)
    yield "jpeg cmyk inverted by Adobe", ".jpg", saved(image.convert("CMYK"), "JPEG", quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"jpeg orientation {orientation}", ".jpg", saved(image, "JPEG", quality=95, exif=exif)
    for space in ("sRGB", "P3 without a name"):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        if space != "sRGB":
            profile = _with_primaries(profile)
        for kind, suffix, options in (("JPEG", ".jpg", {"quality": 95}), ("PNG", ".png", {}), ("TIFF", ".tif", {})):
            yield f"{kind.lower()} profile {space}", suffix, saved(image, kind, icc_profile=profile, **options)
        yield f"png palette profile {space}", ".png", saved(image.quantize(64), "PNG", icc_profile=profile)
    for gamma in (1.0, 1.8, 2.2):
        profile = grey_profile(gamma)
        yield f"png grey profile of gamma {gamma}", ".png", saved(image.convert("L"), "PNG", icc_profile=profile)
        yield (
            f"jpeg grey profile of gamma {gamma}",
            ".jpg",
            saved(image.convert("L"), "JPEG", quality=95, icc_profile=profile),
        )
    clear = image.copy()
    clear.putalpha(Image.fromarray(stored(gradients(), 8)[::-1, :, 0]))
    yield "webp lossless", ".webp", saved(image, "WEBP", lossless=True)
    yield "webp lossless alpha", ".webp", saved(clear, "WEBP", lossless=True, exact=True)
    yield "webp lossy", ".webp", saved(image, "WEBP", quality=95)
    yield "gif", ".gif", saved(image.quantize(64), "GIF")
    yield "gif transparent", ".gif", saved(image.quantize(64), "GIF", transparency=3)
    for bits, mode in ((1, "1"), (8, "L"), (8, "P"), (24, "RGB"), (32, "RGBA")):
        source = clear if mode == "RGBA" else image.quantize(32) if mode == "P" else image.convert(mode)
        yield f"bmp {mode} {bits} bits", ".bmp", saved(source, "BMP")


def grey_profile(gamma: float) -> bytes:
    """An ICC profile (version 2.4) of grey with a power curve."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)),
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _with_primaries(profile: bytes) -> bytes:
    """A profile with red and blue exchanged, which no decoder can take for sRGB."""
    renamed = profile.replace("sRGB".encode("utf-16-be"), "made".encode("utf-16-be")).replace(b"sRGB b", b"made b")
    return renamed.replace(b"rXYZ", b"tmp1").replace(b"bXYZ", b"rXYZ").replace(b"tmp1", b"bXYZ")


def with_vips(path: Path, folder: Path) -> np.ndarray | None:
    """The picture as libvips decodes it, uint8 (3, H, W): upright, in sRGB, over white. None if it cannot."""

    def vips(operation: str, *options: str) -> bool:
        nonlocal current
        target = folder / f"{operation}.v"
        done = subprocess.run(
            ["vips", operation, str(current), str(target), *options], capture_output=True, check=False
        )
        current = target if done.returncode == 0 else current
        return done.returncode == 0

    current = path
    if not vips("autorot"):
        return None
    if header(current, "icc-profile-data") is not None:
        vips("icc_transform", "srgb", "--embedded")
    if not vips("colourspace", "srgb"):
        return None
    if header(current, "bands") in ("2", "4"):
        vips("flatten", "--background", "255")
    vips("cast", "uchar")
    target = folder / "vips.ppm"
    done = subprocess.run(["vips", "copy", str(current), str(target)], capture_output=True, check=False)
    return None if done.returncode else _of_file(target)


def header(path: Path, field: str) -> str | None:
    """A field of a picture's header, as libvips reads it; None if there is none."""
    done = subprocess.run(["vipsheader", "-f", field, str(path)], capture_output=True, check=False)
    return None if done.returncode else done.stdout.decode("utf-8", "replace").strip()


def with_imagemagick(path: Path, folder: Path) -> np.ndarray | None:
    """The picture as ImageMagick decodes it, uint8 (3, H, W): upright, in sRGB, over white. None if it cannot."""
    target = folder / "magick.ppm"
    profile = folder / "srgb.icc"
    profile.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    command = ["convert", f"{path}[0]", "-auto-orient"]
    with Image.open(path) as image:
        if image.info.get("icc_profile"):
            command += ["-profile", str(profile)]
    command += ["-background", "white", "-alpha", "remove", "-colorspace", "sRGB", "-depth", "8", str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    return None if done.returncode or not target.is_file() else _of_file(target)


def _of_file(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        array = np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy()
    path.unlink()
    return array


DECODERS: dict[str, tuple[str, Callable[[Path, Path], np.ndarray | None]]] = {
    "libvips": ("vips", with_vips),
    "ImageMagick": ("convert", with_imagemagick),
}
"""Name -> (its program, its decoder)."""


def compare(name: str, path: Path, decoders: dict[str, Callable[[Path, Path], np.ndarray | None]]) -> dict[str, Any]:
    """How far Pellucid's pixels of a file are from those of each decoder."""
    line: dict[str, Any] = {"file": name}
    try:
        ours = decode(path, 3)
    except DataError as error:
        ours, line["refused"] = None, str(error).replace(str(path), "FILE")
    for decoder, read in decoders.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                theirs = read(path, Path(folder))
            except OSError:
                theirs = None
        if theirs is None:
            line[decoder] = "cannot read it"
        elif ours is None:
            line[decoder] = "reads it"
        elif theirs.shape != ours.shape:
            line[decoder] = f"shape {theirs.shape}, ours {ours.shape}"
        else:
            difference = np.abs(theirs.astype(int) - ours)
            line[decoder] = {"largest": int(difference.max()), "mean": round(float(difference.mean()), 2)}
    return line


def agrees(line: dict[str, Any]) -> bool:
    """Whether a decoder that reads the file gives the same pixels, or none reads it."""
    results = [value for key, value in line.items() if key in DECODERS and value != "cannot read it"]
    return not results or any(isinstance(value, dict) and value["largest"] <= TOLERANCE for value in results)


def explained(line: dict[str, Any]) -> str:
    """The reason for a difference; empty if there is none."""
    return next((reason for start, reason in REASONS.items() if line["file"].startswith(start)), "")


def results() -> list[dict[str, Any]]:
    """The lines of the last comparison."""
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Compares all files, writes the results and prints those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, help="also the pictures of this folder; the results stay as they are")
    options = parser.parse_args()
    decoders = {name: read for name, (program, read) in DECODERS.items() if shutil.which(program)}
    if not decoders:
        sys.stderr.write(
            "SKIPPED: neither libvips nor ImageMagick is installed, so nothing was compared. "
            "On Debian: apt-get install libvips-tools imagemagick\n"
        )
        return 3
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, suffix, content) in enumerate(files()):
            path = Path(folder) / f"{number}{suffix}"
            path.write_bytes(content)
            lines.append(compare(name, path, decoders))
    further = sorted(options.files.rglob("*.*")) if options.files else []
    lines += [compare(path.name, path, decoders) for path in further if path.suffix.lower() in SUFFIXES]
    for line in lines:
        if not agrees(line):
            line["reason"] = explained(line) or "UNEXPLAINED"
            print(json.dumps(line, ensure_ascii=False))
    unexplained = sum(line.get("reason") == "UNEXPLAINED" for line in lines)
    print(
        f"{sum(map(agrees, lines))} of {len(lines)} files agree with {' or '.join(decoders)}; {unexplained} unexplained"
    )
    if not options.files:
        RESULTS.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
