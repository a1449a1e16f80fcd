"""Decoding of picture files. All decoding in Pellucid happens here.

The result looks as in an image viewer: rotated as EXIF says; the first frame of an animation or page of a TIFF;
transparency over a background (white by default); 16 bits scaled to 8; CMYK and palettes converted to RGB. Colour
becomes grey by ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B; grey becomes colour by repetition. Colour profiles (ICC) and
the gamma of a PNG are converted to sRGB. The TIFF tags WhiteIsZero and 12 bits in 16 are followed.

A damaged or truncated file raises an error that names it, and is never decoded in part. So does a file whose header
declares more pixels than the limit, before memory is allocated, and a JPEG with very many scans. At the limit, decoding
takes less than 1 GB of memory, whatever the format; a progressive JPEG may take half more. One kind of damage goes
undetected: a JPEG has no checksum, so Pillow does not notice wrong or missing bytes before its end marker.
"""

from __future__ import annotations

import importlib
import io
import os
import threading
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import Image

from pellucid.data.jpeg_scans import require_few_scans
from pellucid.data.pixel_values import check_layout, flatten
from pellucid.errors import DataError, FormatError, MissingDataError, PellucidError, UsageError
from pellucid.records.pictures import Member

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FORMATS", "MOST_PIXELS", "READABLE", "SUFFIXES", "decode", "open_upright", "probe", "size_of"]

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF")
"""Formats that Pillow may decode, detected by content; also HEIF if `pillow_heif` is installed."""
READABLE = "PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF"
"""The same, for messages."""
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
"""Suffix of a picture file, in lower case -> its format."""
MOST_PIXELS = 100_000_000
"""Default limit on the pixels of a picture, checked before decoding; `$PELLUCID_MOST_PIXELS` sets another one.

Half of it for WebP, AVIF and HEIC, whose decoders take twice the memory."""

VERSION = f"d3-pillow{PIL.__version__}"
"""Version of the decoder. When it changes, cached pictures are decoded again."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's pixel limit and Python's warning filters are global: one thread at a time may change them.
_LOCK = threading.Lock()

_LARGE = 25_000_000
# Eight threads that each decode 100 million pixels would need gigabytes: pictures above `_LARGE` go one at a time.
_LARGE_LOCK = threading.Lock()
_VALUES_AT_ONCE = 4_000_000
_COPIES = {"WEBP": 2, "AVIF": 2, "HEIF": 2}
"""Formats whose decoders keep further copies of the picture in memory -> the divisor of the limits on pixels."""

Source = Path | str | bytes | Image.Image | Member


def decode(
    source: Source,
    channels: int,
    *,
    name: str = "",
    background: tuple[int, int, int] = (255, 255, 255),
    at_least: tuple[int, int] | None = None,
    most_pixels: int | None = None,
) -> np.ndarray:
    """Decode one picture.

    Args:
        source: a file, a member of a larger file, the bytes of a file, or a Pillow image.
        channels: 1 (grey) or 3 (RGB).
        name: name for error messages; its path by default.
        background: RGB colour behind transparent parts.
        at_least: (height, width) that the caller needs: a JPEG may then be decoded at a fraction of its size, but at
            no less than twice this.
        most_pixels: limit on the number of pixels; `$PELLUCID_MOST_PIXELS` or 100 million by default.

    Returns:
        uint8 (C, H, W).

    Raises:
        FormatError: not a picture, damaged, truncated or too large; the message names the file.
        MissingDataError: there is no such file.
    """
    image = open_upright(source, channels, name=name, background=background, at_least=at_least, most_pixels=most_pixels)
    return to_array(image)


def to_array(image: Image.Image) -> np.ndarray:
    """A Pillow image of mode L or RGB as uint8 (C, H, W)."""
    bands = 1 if image.mode == "L" else 3
    array = np.empty((bands, image.height, image.width), dtype=np.uint8)
    step = max(1, _VALUES_AT_ONCE // image.width)
    for top in range(0, image.height, step):  # Pillow hands out copies; a copy of the whole may be large
        bottom = min(top + step, image.height)
        part = image if step >= image.height else image.crop((0, top, image.width, bottom))
        array[:, top:bottom] = np.asarray(part).reshape(bottom - top, image.width, bands).transpose(2, 0, 1)
    return array


def open_upright(
    source: Source,
    channels: int,
    *,
    name: str = "",
    background: tuple[int, int, int] = (255, 255, 255),
    at_least: tuple[int, int] | None = None,
    most_pixels: int | None = None,
) -> Image.Image:
    """Like `decode`, but returns a Pillow image of mode L (1 channel) or RGB (3 channels)."""
    name = name or _name(source)
    with _format_errors(name), _opened(source, name, most_pixels) as image:
        if at_least is not None and image is not source and image.format in ("JPEG", "MPO"):
            # Scaled JPEG decoding averages whole blocks. Twice the size leaves the sharpness to the resize. A square,
            # because EXIF may still rotate the picture.
            side = 2 * max(at_least)
            image.draft(None, (side, side))
        check_layout(image, name)
        pixels = image.width * image.height
        if image.format in ("JPEG", "MPO") and image is not source:
            require_few_scans(vars(image)["fp"], name)
        with _LARGE_LOCK if pixels > _LARGE // _COPIES.get(image.format or "", 1) else nullcontext():
            if image.format == "TIFF":
                # Reads EXIF without warnings, before `load`, which would warn: Pillow rotates TIFFs itself.
                _turn(image)
            # Some formats check Pillow's own limit once more, and warn.
            with _quietly() if pixels > (Image.MAX_IMAGE_PIXELS or 0) else nullcontext():
                image.load()
            turn = _turn(image)
            flat = flatten(image, "L" if channels == 1 else "RGB", background, name)
            return flat if turn is None else flat.transpose(turn)


def probe(source: Path | Member | bytes, *, name: str = "", most_pixels: int | None = None) -> tuple[str, int, int]:
    """Read the header of a picture, without decoding it: (format, width, height), before any EXIF rotation.

    Raises:
        FormatError: as in `decode`.
    """
    name = name or _name(source)
    with _format_errors(name), _opened(source, name, most_pixels) as image:
        # MPO is a JPEG with a second picture after the first, as phones write it.
        return "JPEG" if image.format == "MPO" else str(image.format), *image.size


def size_of(path: str | Path | Member) -> tuple[int, int]:
    """(width, height) of a file, read from its header, before any EXIF rotation."""
    return probe(Path(path) if isinstance(path, str) else path)[1:]


def is_grey(path: str | Path | Member) -> bool:
    """Whether a file is grey, read from its header (mode 1, L, LA, or 16-bit grey)."""
    with _format_errors(str(path)), _opened(path, str(path), None) as image:
        return image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return f"the picture of {len(source):,} bytes"
    return "the picture" if isinstance(source, Image.Image) else str(source)


@contextmanager
def _opened(source: Source, name: str, most_pixels: int | None) -> Iterator[Image.Image]:
    """Open a picture and read only its header. The file is closed at the end; loaded pixels stay."""
    most_pixels = _limit() if most_pixels is None else most_pixels
    if isinstance(source, Image.Image):
        _check_size(source, name, most_pixels)
        yield source
        return
    if isinstance(source, Member):
        source = source.read_bytes()
    if not isinstance(source, bytes):
        _check_kind(Path(source), name)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with _quietly():
        try:
            image = Image.open(file, formats=FORMATS)
        except Image.UnidentifiedImageError:
            if not (len(source) if isinstance(source, bytes) else Path(source).stat().st_size):
                raise FormatError(f"{name} is empty: it has 0 bytes.") from None
            if not _is_heif(source):
                raise
            image = Image.open(file, formats=_heif(name))
    with image:
        _check_size(image, name, most_pixels)
        yield image


def _limit() -> int:
    """The limit on the pixels of a picture.

    Raises:
        UsageError: the variable is not a whole number above 0.
    """
    setting = os.environ.get("PELLUCID_MOST_PIXELS")
    if setting is None:
        return MOST_PIXELS
    if not setting.isdecimal() or int(setting) == 0:
        raise UsageError(f"PELLUCID_MOST_PIXELS is '{setting}'; expected a whole number such as {MOST_PIXELS}.")
    return int(setting)


_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def _is_heif(source: Path | str | bytes) -> bool:
    """Whether a file is HEIC, as from phones, by its first bytes (ISO/IEC 23008-12)."""
    if isinstance(source, bytes):
        head = source[:12]
    else:
        with Path(source).open("rb") as stream:
            head = stream.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _heif(name: str) -> tuple[str]:
    """Register pillow-heif with Pillow, and return the name of its format.

    Raises:
        FormatError: pillow-heif is not installed.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise FormatError(
            f"{name} is a HEIC picture, and pillow-heif is not installed. Run `pip install pillow-heif`, or save the "
            f"picture as JPEG."
        ) from error
    return ("HEIF",)


def _check_kind(path: Path, name: str) -> None:
    """Refuse pipes, sockets and devices: opening one may block for ever. Folders and missing files fail anyway."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FormatError(
            f"{name} is not a regular file, but a pipe, a socket or a device. Write the picture to a file first."
        )


def _check_size(image: Image.Image, name: str, most_pixels: int) -> None:
    width, height = image.size
    copies = _COPIES.get(image.format or "", 1)
    if width * height > most_pixels // copies:
        limit = f"{most_pixels // copies:,}"
        limit += f" for {image.format}, half of PELLUCID_MOST_PIXELS" if copies > 1 else ""
        raise FormatError(
            f"{name} declares {width:,}×{height:,} pixels, more than the limit of {limit}. Make it smaller, or set "
            f"PELLUCID_MOST_PIXELS."
        )
    if width * height == 0:
        raise FormatError(f"{name} has no pixels: it is {width}×{height}.")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The transposition that puts the picture upright, from EXIF; None if there is none, or EXIF is damaged."""
    try:
        with _quietly():
            return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 (damaged EXIF makes Pillow raise many kinds of exceptions)
        return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Let Pillow read a header without warnings and without its own pixel limit.

    The warnings are about damaged EXIF, which does not matter here. Users cannot raise Pillow's limit; our own check
    follows at once.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _format_errors(name: str) -> Iterator[None]:
    try:
        yield
    except PellucidError:
        raise
    except FileNotFoundError as error:
        raise MissingDataError(f"There is no picture at {name}.") from error
    except IsADirectoryError as error:
        raise FormatError(f"{name} is a folder; a picture was expected.") from error
    except PermissionError as error:
        raise DataError(f"{name} cannot be read: permission denied. Change its permissions, or copy it.") from error
    except Image.UnidentifiedImageError as error:
        if (known := _signature(name)) is not None:
            raise FormatError(
                f"{name} is a {known} of an unsupported kind, such as 64-bit floats or 16 bits with transparency. Save "
                f"it as PNG, or as a {known} of 8 or 16 bits."
            ) from error
        raise FormatError(f"{name} is not a supported picture: its content is not {READABLE}.") from error
    except Exception as error:
        detail = str(error) or type(error).__name__
        raise FormatError(f"{name} cannot be decoded: it is damaged or cut off ({detail}).") from error


_SIGNATURES = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
}
"""First bytes of a file -> its format, also for files that Pillow cannot open."""


def _signature(name: str) -> str | None:
    """The format of a file by its first bytes; None if they are unknown or cannot be read."""
    try:
        with Path(name).open("rb") as stream:
            head = stream.read(8)
    except (OSError, ValueError):
        return None
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)
