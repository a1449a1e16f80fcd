"""One look at every picture: it is decoded once, and everything that the checks need is taken from it in that pass.

Each picture leaves a grey thumbnail of 32×32 and some numbers, about a kilobyte, so that memory is bounded by
that and by what is being decoded. JPEGs are decoded at a fraction of their size where they are large. What was seen of
files is remembered by their content (`seen`).
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

__all__ = ["Memory", "PictureStatistics", "jpeg_size", "kind_of", "scan_pictures"]


_AT_LEAST = (96, 96)
"""Height and width that are enough to see brightness and sharpness by; a JPEG is decoded at twice these or more."""
_MOST = 256
"""Longer sides are reduced to this many pixels before sharpness is measured."""
_FILES_AT_ONCE, _ROWS_AT_ONCE = 64, 2048
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R 601-2, as in decoding."""


@dataclass(frozen=True)
class PictureStatistics:
    """Statistics of N pictures.

    Attributes:
        readable: bool (N,); of the others, everything below but the reasons is zero.
        thumbnails: grey, stretched, uint8 (N, 32, 32).
        digests: of the pixels: equal pictures have equal ones, S16 (N,).
        width, height: in pixels, upright, int32 (N,).
        kinds: the formats by content (`JPEG`); empty where pictures did not come from files, str (N,).
        brightness: the mean grey level, 0 to 255, float32 (N,).
        contrast: the standard deviation of the grey levels, float32 (N,).
        sharpness: the logarithm of the ratio of the variances of the Laplacian and of the grey levels, float32 (N,).
        reasons: why a picture cannot be read, by its index.
    """

    readable: np.ndarray
    thumbnails: np.ndarray
    digests: np.ndarray
    width: np.ndarray
    height: np.ndarray
    kinds: np.ndarray
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
            kinds=np.zeros(n, dtype="U8"),
            brightness=np.zeros(n, dtype=np.float32),
            contrast=np.zeros(n, dtype=np.float32),
            sharpness=np.zeros(n, dtype=np.float32),
            reasons={},
        )

    def __len__(self) -> int:
        return len(self.readable)

    @classmethod
    def joined(cls, parts: Sequence[PictureStatistics]) -> PictureStatistics:
        """The looks at several sets of pictures, one after the other."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        reasons = {
            int(start) + i: reason
            for start, part in zip(starts[:-1], parts, strict=True)
            for i, reason in part.reasons.items()
        }
        names = [field.name for field in fields(cls) if field.name != "reasons"]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}, reasons=reasons)


def scan_pictures(pictures: Any, names: Sequence[str], progress: Progress | None = None) -> PictureStatistics:
    """Statistics of N pictures, files or an array (in memory or mapped); `names` are for error messages.

    What cannot be read is named in the reasons, and stops nothing.
    """
    statistics = PictureStatistics.empty(len(pictures))
    if isinstance(pictures, PictureFiles):
        memory = Memory(pictures)
        contents = np.zeros(len(pictures), dtype="S32")
        unknown = np.flatnonzero(~memory.recall(statistics))
        _look_at_files(statistics, pictures.paths, names, unknown.tolist(), contents, progress)
        memory.keep(statistics, contents)
    else:
        for start in watched(_starts(len(pictures), _ROWS_AT_ONCE), len(pictures), "Looking at pictures", progress):
            _look_at_arrays(statistics, start, np.asarray(pictures[start : start + _ROWS_AT_ONCE]))
    return statistics


def _starts(n: int, step: int) -> Iterable[int]:
    return range(0, n, step)


def _look_at_files(
    statistics: PictureStatistics,
    paths: Sequence[Any],
    names: Sequence[str],
    which: Sequence[int],
    contents: np.ndarray,
    progress: Progress | None,
) -> None:
    """Scans the files at these indices; writes the SHA-256 of their bytes to `contents`, S32 (N,)."""

    def chunk(start: int) -> int:
        greys: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
        indices = which[start : start + _FILES_AT_ONCE]
        for index in indices:
            try:
                grey = _look_at_file(statistics, index, paths[index], names[index], contents)
                greys.setdefault(grey.shape, []).append((index, grey))
            except DataError as error:
                statistics.reasons[index] = str(error)
        for same in greys.values():
            _measure(statistics, np.array([index for index, _ in same]), np.stack([grey for _, grey in same]))
        return len(indices)

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            done = (1 for count in pool.map(chunk, _starts(len(which), _FILES_AT_ONCE)) for _ in range(count))
            for _ in watched(done, len(which), "Looking at pictures", progress):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _look_at_file(statistics: PictureStatistics, index: int, path: Any, name: str, contents: np.ndarray) -> np.ndarray:
    """Decodes a file, notes its statistics, and returns it in grey, uint8 (h, w), at most 256 pixels long."""
    with read_errors(path if isinstance(path, Path) else Path(str(path))):
        if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would be to wait
            raise DataError(f"{name} is no regular file.")
        content = path.read_bytes()
    if not content:
        raise DataError(f"{name} is empty: it has 0 bytes.")
    image = decoding.open_upright(content, 3, name=name, at_least=_AT_LEAST)
    statistics.readable[index] = True
    contents[index] = hashlib.sha256(content).digest()
    statistics.kinds[index] = kind_of(content)
    width, height = image.size
    if statistics.kinds[index] == "JPEG":
        full = jpeg_size(content) or image.size
        # The header's size is that before EXIF turns the picture.
        turned = (full[0] > full[1]) != (width > height) and full[0] != full[1]
        width, height = full[::-1] if turned else full
    statistics.width[index], statistics.height[index] = width, height
    shape = f"{image.size} ".encode()
    statistics.digests[index] = hashlib.blake2b(shape + image.tobytes(), digest_size=16).digest()
    grey = image.convert("L")
    factor = -(-max(grey.size) // _MOST)
    levels = np.asarray(grey if factor == 1 else grey.reduce(factor))
    if grey.size == (SIDE, SIDE):
        statistics.thumbnails[index] = levels
    else:
        statistics.thumbnails[index] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return levels


def _look_at_arrays(statistics: PictureStatistics, start: int, pictures: np.ndarray) -> None:
    """Notes the statistics of some pictures, uint8 (B, C, H, W)."""
    here = slice(start, start + len(pictures))
    channels, height, width = pictures.shape[1:]
    grey = pictures[:, 0] if channels == 1 else np.tensordot(pictures.astype(np.float32), _GREY, axes=(1, 0))
    grey = grey.astype(np.float32)
    statistics.readable[here] = True
    statistics.width[here], statistics.height[here] = width, height
    small = resampling(height) @ grey @ resampling(width).T
    statistics.thumbnails[here] = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    shape = f"{(width, height)} ".encode()
    statistics.digests[here] = [hashlib.blake2b(shape + one.tobytes(), digest_size=16).digest() for one in pictures]
    factor = -(-max(height, width) // _MOST)
    _measure(statistics, np.arange(start, start + len(pictures)), grey[:, ::factor, ::factor])


def _measure(statistics: PictureStatistics, indices: np.ndarray, grey: np.ndarray) -> None:
    """Brightness, contrast and sharpness of grey pictures of one size, (B, h, w)."""
    levels = grey.astype(np.float32)
    statistics.brightness[indices] = levels.mean(axis=(1, 2))
    variance = levels.var(axis=(1, 2))
    statistics.contrast[indices] = np.sqrt(variance)
    if min(levels.shape[1:]) < 3:
        return
    middle = levels[:, 1:-1, 1:-1]
    around = levels[:, :-2, 1:-1] + levels[:, 2:, 1:-1] + levels[:, 1:-1, :-2] + levels[:, 1:-1, 2:]
    # One is added so that noise in a flat picture is not taken for sharpness.
    statistics.sharpness[indices] = np.log(((around - 4 * middle).var(axis=(1, 2)) + 1) / (variance + 1))


_VERSION = 1
"""Version of the statistics: those of another version are not used."""


class Memory:
    """Cached statistics of the files of one folder."""

    def __init__(self, pictures: PictureFiles) -> None:
        self.pictures = pictures
        self.place = None if isinstance(pictures.paths, Members) else _place(pictures.paths)
        self.before = _read(self.place)

    def recall(self, statistics: PictureStatistics) -> np.ndarray:
        """Fills in cached statistics, and returns for which pictures: bool (N,)."""
        known = np.zeros(len(statistics), dtype=bool)
        if not len(self.before.get("contents", ())):
            return known
        rows = {content: row for row, content in enumerate(self.before["contents"].tolist())}
        remembered_rows = [
            rows.get(content, -1) if content else -1 for content in content_hashes(self.pictures).tolist()
        ]
        row = np.array(remembered_rows, dtype=np.int64)
        known = row >= 0
        for name in _remembered(statistics):
            getattr(statistics, name)[known] = self.before[name][row[known]]
        statistics.readable[known] = True
        return known

    def keep(self, statistics: PictureStatistics, contents: np.ndarray) -> None:
        """Adds the new statistics of the pictures whose content is not empty, S32 (N,)."""
        new = np.flatnonzero(statistics.readable & (contents != b""))
        if self.place is None or not len(new):
            return
        arrays = {
            "contents": contents[new],
            **{name: getattr(statistics, name)[new] for name in _remembered(statistics)},
        }
        if self.before:
            arrays = {name: np.concatenate([self.before[name], array]) for name, array in arrays.items()}
        with contextlib.suppress(PellucidError, OSError):
            cache.make_room(sum(array.nbytes for array in arrays.values()), "The statistics of pictures")
            cache.write_arrays(self.place, **arrays)


def _remembered(statistics: PictureStatistics) -> list[str]:
    return [field.name for field in fields(statistics) if field.name not in ("readable", "reasons")]


def _place(paths: Sequence[Path]) -> Path:
    """The file of the folder that all pictures lie in."""
    top = os.path.dirname(os.path.commonprefix([os.path.abspath(path) for path in paths]))  # noqa: PTH100, PTH120, RUF071 (as in hashing)
    description = f"{_VERSION} {decoding.VERSION} {top}"
    name = hashlib.sha256(description.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache.cache_root() / "looks" / f"{name}.npz"


def _read(path: Path | None) -> dict[str, np.ndarray]:
    """The arrays of a cache file; nothing if it is missing or damaged."""
    arrays = None if path is None else cache.read_arrays(path)
    return arrays if arrays and len({array.shape[:1] for array in arrays.values()}) == 1 else {}


_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}


def kind_of(content: bytes) -> str:
    """The format of a picture by its first bytes: `JPEG`, `PNG` ...; `other` where these are of none that is known."""
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return _BRANDS.get(content[8:12], "other") if content[4:8] == b"ftyp" else "other"


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in a JPEG's frame header (ITU-T T.81, B.2.2), before EXIF turns it; None if it is broken."""
    offset = 2
    while offset + 9 <= len(content):
        if content[offset] != 0xFF:
            return None
        marker = content[offset + 1]
        if marker == 0xFF:  # a byte that fills up
            offset += 1
            continue
        # C0 to CF are frame headers, but for tables of Huffman codes, extensions and arithmetic coding.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[i : i + 2], "big") for i in (offset + 5, offset + 7))
            return width, height
        offset += (
            2 if 0xD0 <= marker <= 0xD9 or marker == 1 else 2 + int.from_bytes(content[offset + 2 : offset + 4], "big")
        )
    return None
