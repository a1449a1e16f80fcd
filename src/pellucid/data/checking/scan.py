"""Scan of pictures: decodes each one once and keeps the statistics that the checks need.

The statistics of a picture are a grey thumbnail of 32×32 and a few numbers, about a kilobyte. Memory is bounded by
these and by the pictures being decoded. Large JPEGs are decoded at a fraction of their size. The statistics of files
are cached by content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.data import cache, decoding
from pellucid.data.checking.descriptors import SIDE, resampling
from pellucid.data.files import read_errors
from pellucid.data.hashing import content_hashes, threads
from pellucid.data.progress import Progress, watched
from pellucid.errors import DataError, PellucidError
from pellucid.records import PictureFiles
from pellucid.records.pictures import Members

__all__ = ["PictureStatistics", "file_type", "jpeg_size", "scan_pictures"]


_MIN_SIZE = (96, 96)
"""Height and width that suffice to measure brightness and sharpness; a JPEG is decoded at twice these or more."""
_MAX_SIDE = 256
"""Larger pictures are reduced to at most this many pixels a side before sharpness is measured."""
_FILES_AT_ONCE, _ROWS_AT_ONCE = 64, 2048
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue (ITU-R 601-2), as in decoding."""


@dataclass(frozen=True)
class PictureStatistics:
    """Statistics of N pictures.

    Attributes:
        readable: bool (N,). The statistics of unreadable pictures are zero.
        thumbnails: grey, stretched to a square, uint8 (N, 32, 32).
        digests: hashes of the pixels, S16 (N,); equal pictures have equal digests.
        width, height: in pixels, after EXIF rotation, int32 (N,).
        file_types: by content (`JPEG`), str (N,); empty if the pictures do not come from files.
        brightness: mean grey level, 0 to 255, float32 (N,).
        contrast: standard deviation of the grey levels, float32 (N,).
        sharpness: logarithm of the variance of the Laplacian over that of the grey levels, float32 (N,).
        reasons: by index, why a picture cannot be read.
    """

    readable: np.ndarray
    thumbnails: np.ndarray
    digests: np.ndarray
    width: np.ndarray
    height: np.ndarray
    file_types: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray
    reasons: dict[int, str]

    @classmethod
    def empty(cls, n: int) -> PictureStatistics:
        return cls(
            readable=np.zeros(n, dtype=bool),
            thumbnails=np.zeros((n, SIDE, SIDE), dtype=np.uint8),
            digests=np.zeros(n, dtype="S16"),
            width=np.zeros(n, dtype=np.int32),
            height=np.zeros(n, dtype=np.int32),
            file_types=np.zeros(n, dtype="U8"),
            brightness=np.zeros(n, dtype=np.float32),
            contrast=np.zeros(n, dtype=np.float32),
            sharpness=np.zeros(n, dtype=np.float32),
            reasons={},
        )

    def __len__(self) -> int:
        return len(self.readable)

    @classmethod
    def joined(cls, parts: Sequence[PictureStatistics]) -> PictureStatistics:
        """The statistics of several sets of pictures, one after the other."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        reasons = {
            int(start) + i: reason
            for start, part in zip(starts[:-1], parts, strict=True)
            for i, reason in part.reasons.items()
        }
        names = [field.name for field in fields(cls) if field.name != "reasons"]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}, reasons=reasons)


def scan_pictures(pictures: Any, names: Sequence[str], progress: Progress | None = None) -> PictureStatistics:
    """Statistics of N pictures, which are files or an array (in memory or memory-mapped).

    Unreadable pictures raise no error; `reasons` says why they cannot be read.

    Args:
        pictures: `PictureFiles`, or uint8 (N, C, H, W).
        names: of the pictures, for messages.
        progress: called with (pictures done, pictures in total); None shows a bar in a terminal if it takes long.
    """
    statistics = PictureStatistics.empty(len(pictures))
    if isinstance(pictures, PictureFiles):
        cached = _StatisticsCache(pictures)
        contents = np.zeros(len(pictures), dtype="S32")
        unknown = np.flatnonzero(~cached.fill_in(statistics))
        _scan_files(statistics, pictures.paths, names, unknown.tolist(), contents, progress)
        cached.add(statistics, contents)
    else:
        for start in watched(_starts(len(pictures), _ROWS_AT_ONCE), len(pictures), "Scanning pictures", progress):
            _scan_arrays(statistics, start, np.asarray(pictures[start : start + _ROWS_AT_ONCE]))
    return statistics


def _starts(n: int, step: int) -> Iterable[int]:
    return range(0, n, step)


def _scan_files(
    statistics: PictureStatistics,
    paths: Sequence[Any],
    names: Sequence[str],
    indices: Sequence[int],
    contents: np.ndarray,
    progress: Progress | None,
) -> None:
    """Scans the files at these indices; writes the SHA-256 of their bytes to `contents`, S32 (N,)."""

    def scan_chunk(start: int) -> int:
        greys: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
        chunk_indices = indices[start : start + _FILES_AT_ONCE]
        for index in chunk_indices:
            try:
                grey = _scan_file(statistics, index, paths[index], names[index], contents)
                greys.setdefault(grey.shape, []).append((index, grey))
            except DataError as error:
                statistics.reasons[index] = str(error)
        for same_size in greys.values():
            _measure(statistics, np.array([index for index, _ in same_size]), np.stack([grey for _, grey in same_size]))
        return len(chunk_indices)

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            done = (1 for count in pool.map(scan_chunk, _starts(len(indices), _FILES_AT_ONCE)) for _ in range(count))
            for _ in watched(done, len(indices), "Scanning pictures", progress):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _scan_file(statistics: PictureStatistics, index: int, path: Any, name: str, contents: np.ndarray) -> np.ndarray:
    """Decodes a file and notes its statistics; returns it in grey, uint8 (h, w), at most 256 pixels a side."""
    with read_errors(path if isinstance(path, Path) else Path(str(path))):
        if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would block
            raise DataError(f"{name} is not a regular file.")
        content = path.read_bytes()
    if not content:
        raise DataError(f"{name} is empty: it has 0 bytes.")
    image = decoding.open_upright(content, 3, name=name, at_least=_MIN_SIZE)
    statistics.readable[index] = True
    contents[index] = hashlib.sha256(content).digest()
    statistics.file_types[index] = file_type(content)
    width, height = image.size
    if statistics.file_types[index] == "JPEG":
        full = jpeg_size(content) or image.size
        # The header has the size before EXIF rotation.
        rotated = (full[0] > full[1]) != (width > height) and full[0] != full[1]
        width, height = full[::-1] if rotated else full
    statistics.width[index], statistics.height[index] = width, height
    shape = f"{image.size} ".encode()
    statistics.digests[index] = hashlib.blake2b(shape + image.tobytes(), digest_size=16).digest()
    grey = image.convert("L")
    factor = -(-max(grey.size) // _MAX_SIDE)
    levels = np.asarray(grey if factor == 1 else grey.reduce(factor))
    if grey.size == (SIDE, SIDE):
        statistics.thumbnails[index] = levels
    else:
        statistics.thumbnails[index] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return levels


def _scan_arrays(statistics: PictureStatistics, start: int, pictures: np.ndarray) -> None:
    """Notes the statistics of the pictures from index `start` on, uint8 (B, C, H, W)."""
    rows = slice(start, start + len(pictures))
    channels, height, width = pictures.shape[1:]
    grey = pictures[:, 0] if channels == 1 else np.tensordot(pictures.astype(np.float32), _GREY, axes=(1, 0))
    grey = grey.astype(np.float32)
    statistics.readable[rows] = True
    statistics.width[rows], statistics.height[rows] = width, height
    small = resampling(height) @ grey @ resampling(width).T
    statistics.thumbnails[rows] = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    shape = f"{(width, height)} ".encode()
    statistics.digests[rows] = [
        hashlib.blake2b(shape + picture.tobytes(), digest_size=16).digest() for picture in pictures
    ]
    factor = -(-max(height, width) // _MAX_SIDE)
    _measure(statistics, np.arange(start, start + len(pictures)), grey[:, ::factor, ::factor])


def _measure(statistics: PictureStatistics, indices: np.ndarray, grey: np.ndarray) -> None:
    """Notes brightness, contrast and sharpness of grey pictures of one size, (B, h, w)."""
    levels = grey.astype(np.float32)
    statistics.brightness[indices] = levels.mean(axis=(1, 2))
    variance = levels.var(axis=(1, 2))
    statistics.contrast[indices] = np.sqrt(variance)
    if min(levels.shape[1:]) < 3:
        return
    middle = levels[:, 1:-1, 1:-1]
    neighbours = levels[:, :-2, 1:-1] + levels[:, 2:, 1:-1] + levels[:, 1:-1, :-2] + levels[:, 1:-1, 2:]
    # Adding one keeps noise in a flat picture from counting as sharpness.
    statistics.sharpness[indices] = np.log(((neighbours - 4 * middle).var(axis=(1, 2)) + 1) / (variance + 1))


_VERSION = 2
"""Version of the statistics: cached ones of other versions are ignored."""


class _StatisticsCache:
    """Cached statistics of the files of a folder, by content."""

    def __init__(self, pictures: PictureFiles) -> None:
        self.pictures = pictures
        self.path = None if isinstance(pictures.paths, Members) else _cache_path(pictures.paths)
        self.arrays = _read(self.path)

    def fill_in(self, statistics: PictureStatistics) -> np.ndarray:
        """Fills in cached statistics; returns for which pictures it did: bool (N,)."""
        known = np.zeros(len(statistics), dtype=bool)
        if not len(self.arrays.get("contents", ())):
            return known
        rows = {content: row for row, content in enumerate(self.arrays["contents"].tolist())}
        hashes = content_hashes(self.pictures).tolist()
        row = np.array([rows.get(content, -1) if content else -1 for content in hashes], dtype=np.int64)
        known = row >= 0
        for name in _cached_fields(statistics):
            getattr(statistics, name)[known] = self.arrays[name][row[known]]
        statistics.readable[known] = True
        return known

    def add(self, statistics: PictureStatistics, contents: np.ndarray) -> None:
        """Adds new statistics to the cache: those of readable pictures with a content hash, S32 (N,)."""
        new = np.flatnonzero(statistics.readable & (contents != b""))
        if self.path is None or not len(new):
            return
        arrays = {
            "contents": contents[new],
            **{name: getattr(statistics, name)[new] for name in _cached_fields(statistics)},
        }
        if self.arrays:
            arrays = {name: np.concatenate([self.arrays[name], array]) for name, array in arrays.items()}
        with contextlib.suppress(PellucidError, OSError):
            cache.make_room(sum(array.nbytes for array in arrays.values()), "The statistics of pictures")
            cache.write_arrays(self.path, **arrays)


def _cached_fields(statistics: PictureStatistics) -> list[str]:
    return [field.name for field in fields(statistics) if field.name not in ("readable", "reasons")]


def _cache_path(paths: Sequence[Path]) -> Path:
    """The cache file of the folder that contains all pictures."""
    top = os.path.dirname(os.path.commonprefix([os.path.abspath(path) for path in paths]))  # noqa: PTH100, PTH120, RUF071 (as in hashing)
    description = f"{_VERSION} {decoding.VERSION} {top}"
    name = hashlib.sha256(description.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache.cache_root() / "statistics" / f"{name}.arrays"


def _read(path: Path | None) -> dict[str, np.ndarray]:
    """The arrays of a cache file; nothing if it is missing or damaged."""
    arrays = None if path is None else cache.read_arrays(path)
    return arrays if arrays and len({array.shape[:1] for array in arrays.values()}) == 1 else {}


_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}


def file_type(content: bytes) -> str:
    """The format of a picture by its first bytes: `JPEG`, `PNG` ...; `other` if it is unknown."""
    for signature, name in _SIGNATURES.items():
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return _BRANDS.get(content[8:12], "other") if content[4:8] == b"ftyp" else "other"


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in the frame header of a JPEG (ITU-T T.81, B.2.2), before EXIF rotation; None if damaged."""
    offset = 2
    while offset + 9 <= len(content):
        if content[offset] != 0xFF:
            return None
        marker = content[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        # C0 to CF are frame headers, except C4 (Huffman tables), C8 (extensions) and CC (arithmetic coding).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[i : i + 2], "big") for i in (offset + 5, offset + 7))
            return width, height
        offset += (
            2 if 0xD0 <= marker <= 0xD9 or marker == 1 else 2 + int.from_bytes(content[offset + 2 : offset + 4], "big")
        )
    return None
