"""Picture files become arrays: the one place where they are decoded.

What comes out is what a person sees: turned upright as EXIF says, the first frame of an animation or page of a TIFF,
transparency laid over a stated background (white), 16 bits scaled to 8, CMYK and palettes turned into RGB. Colour
becomes grey by ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B; grey becomes colour by repeating it. A colour profile (ICC)
other than sRGB is converted to sRGB, and so is a PNG's gamma. What a TIFF says of its values is honoured: WhiteIsZero,
and 12 bits in 16.

A truncated or damaged file is refused with a sentence that names it, not half-decoded, and so is one whose header
declares more pixels than a limit, before they are allocated. One damage goes unseen: a JPEG has no checksum, and when
its end mark is in place, Pillow does not report that bytes before it are wrong or missing.
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

from pellucid.data.pixel_values import flatten
from pellucid.errors import DataError, FormatError, MissingDataError, PellucidError, UsageError
from pellucid.records.pictures import Member

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FORMATS", "MOST_PIXELS", "READABLE", "SUFFIXES", "decode", "open_upright", "probe", "size_of"]

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF")
"""What is read, by content; no other decoder of Pillow is reached, but HEIF where `pillow_heif` is installed."""
READABLE = "PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF"
"""The same, for sentences."""
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
"""The names of picture files, in lower case, and the format that each promises."""
MOST_PIXELS = 100_000_000
"""A picture of more pixels than this is refused before it is decoded; `$PELLUCID_MOST_PIXELS` sets another limit."""

VERSION = f"d2-pillow{PIL.__version__}"
"""What pixels of a file depend on besides its bytes: cached ones are decoded anew when it changes."""

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
# Pillow's pixel limit and Python's warning filters belong to the whole process: one thread at a time changes them.
_LOCK = threading.Lock()

_LARGE = 25_000_000
# Eight threads with a picture of 100 million pixels each would hold gigabytes: those above `_LARGE` go one by one.
_LARGE_LOCK = threading.Lock()

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
    """Decodes one picture.

    Args:
        source: a file, a member of a larger file, the bytes of one, or a Pillow picture.
        channels: 1 (grey) or 3 (RGB).
        name: what an error calls it; left out: its path.
        background: what transparent parts lie over, RGB.
        at_least: (height, width) that are enough: a JPEG may then be decoded at a fraction of its size, never below
            twice these.
        most_pixels: more than this are refused; left out: `$PELLUCID_MOST_PIXELS`, or 100 million.

    Returns:
        uint8 (C, H, W).

    Raises:
        FormatError: it is no picture, damaged, truncated or too large; names the file.
        MissingDataError: there is no such file.
    """
    image = open_upright(source, channels, name=name, background=background, at_least=at_least, most_pixels=most_pixels)
    return to_array(image)


def to_array(image: Image.Image) -> np.ndarray:
    """A picture of mode L or RGB as uint8 (C, H, W)."""
    array = np.asarray(image)
    return array[np.newaxis] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def open_upright(
    source: Source,
    channels: int,
    *,
    name: str = "",
    background: tuple[int, int, int] = (255, 255, 255),
    at_least: tuple[int, int] | None = None,
    most_pixels: int | None = None,
) -> Image.Image:
    """As `decode`, but gives a Pillow picture of mode L (1 channel) or RGB (3 channels)."""
    name = name or _name(source)
    with _format_errors(name), _opened(source, name, most_pixels) as image:
        if at_least is not None and image is not source and image.format in ("JPEG", "MPO"):
            # JPEG's own scaled decoding averages whole blocks. Twice the size leaves the sharpness to the resize; a
            # square, because the picture may still be turned.
            side = 2 * max(at_least)
            image.draft(None, (side, side))
        with _LARGE_LOCK if image.width * image.height > _LARGE else nullcontext():
            if image.format == "TIFF":
                _turn(image)  # reads its EXIF quietly: Pillow turns a TIFF itself when it loads it, and says so
            image.load()
            turn = _turn(image)
            flat = flatten(image, "L" if channels == 1 else "RGB", background, name)
            return flat if turn is None else flat.transpose(turn)


def probe(source: Path | Member | bytes, *, name: str = "", most_pixels: int | None = None) -> tuple[str, int, int]:
    """What a picture's header says, without decoding it: (format, width, height), before any EXIF rotation.

    Raises:
        FormatError: as in `decode`.
    """
    name = name or _name(source)
    with _format_errors(name), _opened(source, name, most_pixels) as image:
        # A JPEG with a second picture behind the first, as phones write them, calls itself MPO.
        return "JPEG" if image.format == "MPO" else str(image.format), *image.size


def size_of(path: str | Path | Member) -> tuple[int, int]:
    """(width, height) of a file, from its header, before any EXIF rotation."""
    return probe(Path(path) if isinstance(path, str) else path)[1:]


def is_grey(path: str | Path | Member) -> bool:
    """Whether a file's header says that it has no colours (mode 1, L, LA, or 16 bits of grey)."""
    with _format_errors(str(path)), _opened(path, str(path), None) as image:
        return image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return f"the picture of {len(source):,} bytes"
    return "the picture" if isinstance(source, Image.Image) else str(source)


@contextmanager
def _opened(source: Source, name: str, most_pixels: int | None) -> Iterator[Image.Image]:
    """A picture of which only the header was read; a file is closed at the end, and what was loaded stays."""
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
    """How many pixels are too many.

    Raises:
        UsageError: the variable is no number.
    """
    setting = os.environ.get("PELLUCID_MOST_PIXELS")
    if setting is None:
        return MOST_PIXELS
    if not setting.isdecimal() or int(setting) == 0:
        raise UsageError(f"PELLUCID_MOST_PIXELS is a whole number such as {MOST_PIXELS}; '{setting}' was given.")
    return int(setting)


_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def _is_heif(source: Path | str | bytes) -> bool:
    """Whether a file is of phones' HEIC, by its first bytes (ISO/IEC 23008-12)."""
    if isinstance(source, bytes):
        head = source[:12]
    else:
        with Path(source).open("rb") as stream:
            head = stream.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _heif(name: str) -> tuple[str]:
    """The format to open a HEIC picture with: Pillow has none of its own."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise FormatError(
            f"{name} is a HEIC picture, and what reads these is not installed: run `pip install pillow-heif`, or save "
            f"it as JPEG."
        ) from error
    return ("HEIF",)


def _check_kind(path: Path, name: str) -> None:
    """Refuses pipes, sockets and devices: opening one may wait for ever. Folders and missing files fail anyway."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FormatError(
            f"{name} is no regular file, but a pipe, a socket or a device. Write the picture into a file first."
        )


def _check_size(image: Image.Image, name: str, most_pixels: int) -> None:
    width, height = image.size
    if width * height > most_pixels:
        raise FormatError(
            f"{name} declares {width:,}×{height:,} pixels; more than {most_pixels:,} are refused before decoding. "
            f"Make it smaller first."
        )
    if width * height == 0:
        raise FormatError(f"{name} has no pixels: it is {width}×{height}.")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How the picture has to be turned to stand upright, as its EXIF says; damaged EXIF says nothing."""
    try:
        with _quietly():
            return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 (Pillow meets damaged EXIF with exceptions of every kind)
        return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Lets Pillow read a header without its warnings and without its own limit on pixels.

    Its warnings are of damaged EXIF, which is no concern here. Its limit cannot be raised by a user; ours follows at
    once.
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
        raise FormatError(f"{name} is a folder, where a picture is expected.") from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read by this user. Change its permissions, or copy it.") from error
    except Image.UnidentifiedImageError as error:
        if (known := _signature(name)) is not None:
            raise FormatError(
                f"{name} is a {known} of a kind that cannot be read, such as 64-bit floats or 16 bits with "
                f"transparency. Save it as PNG, or as a {known} of 8 or 16 bits."
            ) from error
        raise FormatError(
            f"{name} is not a picture that can be read: its content is none of {READABLE}, whatever its name says."
        ) from error
    except Exception as error:
        detail = str(error) or type(error).__name__
        raise FormatError(f"{name} cannot be decoded; it is damaged or cut off ({detail}).") from error


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
"""First bytes of files that are of a known format even if Pillow cannot open them."""


def _signature(name: str) -> str | None:
    """The format that the first bytes of a file claim; None if it cannot be read or claims none."""
    try:
        with Path(name).open("rb") as stream:
            head = stream.read(8)
    except (OSError, ValueError):
        return None
    return next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None)
