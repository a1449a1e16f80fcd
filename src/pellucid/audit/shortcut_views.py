"""What the shortcut probes see: parts and properties of pictures that should not tell the class.

A view turns N pictures into numbers, float64 (N, D), or None if the pictures do not have it (files only). Views of
pixels come from a copy of 32×32; views of files come from their headers.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.inference.streaming import chunks
from pellucid.records import PictureFiles, Preprocessing, Split

__all__ = ["OBJECT", "SIDE", "VIEWS", "Sample", "middle", "sample_of"]

SIDE = 32
_BORDER = 4
"""Width of the border: an eighth of the side."""
_MIDDLE = 0.7
"""Side of the middle, as a fraction: half of the area."""


@dataclass(frozen=True)
class Header:
    """What the header of a picture file says: its type, size in bytes, width, height, JPEG quality, camera and date."""

    file_type: str
    size: int
    width: int
    height: int
    quality: float
    camera: str
    date: str


@dataclass(frozen=True)
class Sample:
    """Pictures for the probes.

    Attributes:
        pixels: float32 (N, C, 32, 32), 0 to 1.
        headers: of the N files; None if the pictures do not come from files.
    """

    pixels: np.ndarray
    headers: Sequence[Header] | None


def sample_of(split: Split, rows: np.ndarray) -> tuple[Sample, np.ndarray]:
    """The readable ones of the pictures at these rows, and their rows."""
    channels = 1 if split.shape is not None and split.shape[0] == 1 else 3
    small = Preprocessing(channels=channels, height=SIDE, width=SIDE, fit="stretch")
    parts = [chunk for chunk in chunks(split.pictures, small, rows.tolist()) if len(chunk.pictures)]
    readable = np.concatenate([chunk.indices for chunk in parts]) if parts else np.zeros(0, np.int64)
    pixels = np.concatenate([chunk.pictures for chunk in parts]) if parts else np.zeros((0, channels, SIDE, SIDE))
    headers = None
    if isinstance(split.pictures, PictureFiles):
        headers = [_header(split.pictures.paths[row]) for row in readable.tolist()]
    return Sample(pixels.astype(np.float32) / 255, headers), readable


_CAMERA, _DATE, _EXIF, _ORIGINAL = 272, 306, 34665, 36867
_UNREADABLE = (OSError, ValueError, SyntaxError, KeyError, TypeError, Image.DecompressionBombError)


def _header(source: Any) -> Header:
    """The header of a file, as far as it can be read."""
    content = source if isinstance(source, Path) else io.BytesIO(source.read_bytes())
    size = source.stat().st_size if isinstance(source, Path) else len(content.getbuffer())  # type: ignore[union-attr]
    file_type, width, height, quality, camera, date = "", 0, 0, 0.0, "", ""
    with contextlib.suppress(*_UNREADABLE), Image.open(content) as image:
        file_type, (width, height) = image.format or "", image.size
        tables: Mapping[int, Sequence[int]] = getattr(image, "quantization", None) or {}
        quality = float(np.mean([np.mean(table) for table in tables.values()])) if tables else 0.0
        exif = image.getexif()
        camera = str(exif.get(_CAMERA, ""))
        date = str(exif.get_ifd(_EXIF).get(_ORIGINAL) or exif.get(_DATE, ""))[:10]
    return Header(file_type, size, width, height, quality, camera, date)


def middle(side: int, other: int) -> tuple[slice, slice]:
    """The rows and columns of the middle of a picture of this height and width."""
    cut = [round(length * (1 - _MIDDLE) / 2) for length in (side, other)]
    return slice(cut[0], side - cut[0]), slice(cut[1], other - cut[1])


def _shrunken(pixels: np.ndarray, side: int) -> np.ndarray:
    step = SIDE // side
    return pixels.reshape(*pixels.shape[:2], side, step, side, step).mean(axis=(3, 5))


def _masked(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The pixels under a mask (32, 32), in cells of 2×2, and their mean, spread and extremes in each channel."""
    inside = pixels[:, :, mask]
    cells = _shrunken(pixels, SIDE // 2)[:, :, mask[::2, ::2]]
    extremes = np.concatenate([inside.mean(2), inside.std(2), inside.min(2), inside.max(2)], axis=1)
    return np.concatenate([cells.reshape(len(pixels), -1), extremes], axis=1)


def _border(sample: Sample) -> np.ndarray:
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    return _masked(sample.pixels, mask)


def _background(sample: Sample) -> np.ndarray:
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[middle(SIDE, SIDE)] = False
    return _masked(sample.pixels, mask)


def _blurred(sample: Sample) -> np.ndarray:
    return _shrunken(sample.pixels, 8).reshape(len(sample.pixels), -1)


def _tiny(sample: Sample) -> np.ndarray:
    return _shrunken(sample.pixels, 4).reshape(len(sample.pixels), -1)


def _colours(sample: Sample) -> np.ndarray | None:
    if sample.pixels.shape[1] == 1:
        return None
    means = sample.pixels.mean(axis=(2, 3))
    # Relative to the brightness, which has a probe of its own.
    return _curved(means / np.maximum(means.sum(axis=1, keepdims=True), 1e-3))


def _brightness(sample: Sample) -> np.ndarray:
    return _curved(np.stack([sample.pixels.mean(axis=(1, 2, 3)), sample.pixels.std(axis=(1, 2, 3))], axis=1))


def _size(sample: Sample) -> np.ndarray | None:
    if sample.headers is None:
        return None
    sides = np.array([(max(header.width, 1), max(header.height, 1)) for header in sample.headers], dtype=float)
    logs = np.log(sides)
    usual = _one_hot([f"{header.width}×{header.height}" for header in sample.headers])
    return np.concatenate([_curved(np.stack([logs[:, 0], logs[:, 1], logs[:, 0] - logs[:, 1]], axis=1)), usual], axis=1)


def _bytes(sample: Sample) -> np.ndarray | None:
    if sample.headers is None:
        return None
    return _curved(np.log([[max(header.size, 1)] for header in sample.headers]))


def _file_type(sample: Sample) -> np.ndarray | None:
    return None if sample.headers is None else _one_hot([header.file_type for header in sample.headers])


def _quality(sample: Sample) -> np.ndarray | None:
    if sample.headers is None:
        return None
    values = [header.quality for header in sample.headers]
    return np.concatenate([_curved(np.array(values)[:, None]), _one_hot([f"{value:.2f}" for value in values])], axis=1)


def _camera(sample: Sample) -> np.ndarray | None:
    return None if sample.headers is None else _one_hot([header.camera for header in sample.headers])


def _date(sample: Sample) -> np.ndarray | None:
    if sample.headers is None:
        return None
    dates = [header.date for header in sample.headers]
    return np.concatenate(
        [_one_hot(dates), _one_hot([date[:7] for date in dates]), _one_hot([d[:4] for d in dates])], 1
    )


def _curved(values: np.ndarray) -> np.ndarray:
    """Numbers, their squares, and in which tenth of the pictures they lie: a linear probe then sees any dependence."""
    # Equal values share a tenth: otherwise the order of the pictures would tell them apart.
    ranks = np.stack([np.searchsorted(np.sort(column), column) for column in values.T], axis=1) * 10 // len(values)
    tenths = [(ranks[:, [column]] == np.arange(10)).astype(float) for column in range(values.shape[1])]
    return np.concatenate([values, values**2, *tenths], axis=1)


_MOST_VALUES = 30


def _one_hot(values: Sequence[str]) -> np.ndarray:
    """One column for each of the most frequent values that occur at least twice: float64 (N, V)."""
    names, counts = np.unique(np.array(values, dtype=str), return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")][: min(_MOST_VALUES, int((counts > 1).sum()))]
    return (np.array(values, dtype=str)[:, None] == kept[None, :]).astype(float)


VIEWS: dict[str, Callable[[Sample], np.ndarray | None]] = {
    "border": _border,
    "background": _background,
    "colour": _colours,
    "brightness": _brightness,
    "size in pixels": _size,
    "size in bytes": _bytes,
    "file type": _file_type,
    "JPEG quality": _quality,
    "EXIF camera": _camera,
    "EXIF date": _date,
    "picture blurred to 8×8": _blurred,
    "picture shrunk to 4×4": _tiny,
}
"""The views by name."""

OBJECT = ("picture blurred to 8×8", "picture shrunk to 4×4")
"""Views that show the object too. They are reported as an easy baseline, and raise no alarm."""
