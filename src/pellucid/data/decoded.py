"""The cache of decoded pictures: decodes each file content once per size, whatever data set or split it is in.

`decoded/3x224x224-stretch-d1-pillow13.0.0/` has the pictures of one preprocessing and one decoder, in segments. A
segment is a file that is written as a whole and never changed:

    magic (16 bytes), n, C, H, W (int64, little-endian), n × 32 bytes of SHA-256, n CRC-32 of the pixels of each picture
    (uint32, little-endian), SHA-256 of all that, zeros up to a multiple of 4,096, n × C × H × W bytes of pixels

Each picture is verified when it is first read. One that has changed since it was written is decoded again, and written
in its place. A killed program loses only the segment that it was writing. One process at a time writes to a folder; the
others wait, and then use what it decoded.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import cache
from pellucid.data.hashing import threads
from pellucid.data.progress import Progress, watched
from pellucid.errors import DataError, StorageError
from pellucid.records import MappedPictures, Preprocessing, atomic

__all__ = ["stored"]

Make = Callable[[int], np.ndarray | None]
"""Index of a picture -> the picture, uint8 (C, H, W); None if it cannot be decoded."""

_MAGIC = b"pellucid-pixels2"
_SEGMENT_BYTES = 256 * 1024**2
_SEGMENT_ROWS = 32_768
_TRIES = 3


@dataclass(frozen=True)
class _Segment:
    """A file of n pictures.

    Attributes:
        path: the file.
        digests: hash of the content of each picture, S32 (n,).
        checksums: CRC-32 of the pixels of each picture, uint32 (n,).
        shape: (n, C, H, W).
        start: offset of the pixels, in bytes.
    """

    path: Path
    digests: np.ndarray
    checksums: np.ndarray
    shape: tuple[int, int, int, int]
    start: int

    def map(self) -> np.ndarray:
        cache.used(self.path)
        mapped = np.memmap(self.path, dtype=np.uint8, mode="r", offset=self.start, shape=self.shape)
        return np.asarray(mapped)  # the same memory, but indexing an ndarray is much faster than indexing a memmap

    def replace(self, row: int, picture: np.ndarray) -> None:
        """Write the pixels of a picture again. If this process is killed within it, the checksum tells the next."""
        with self.path.open("r+b") as stream:
            stream.seek(self.start + row * picture.nbytes)
            stream.write(picture.tobytes())


class _Verification:
    """Verifies each picture when it is first read, and decodes those again that have changed.

    Args:
        segments: the segments that are read.
        digests: hash of the content of each picture that was asked for, S32 (N,).
        make: decodes one of these.
    """

    def __init__(self, segments: Sequence[_Segment], digests: np.ndarray, make: Make) -> None:
        self.segments, self.digests, self.make = segments, digests, make
        self.verified = [np.zeros(len(segment.digests), dtype=bool) for segment in segments]

    def __call__(self, number: int, row: int, picture: np.ndarray) -> None:
        if self.verified[number][row]:
            return
        segment = self.segments[number]
        if zlib.crc32(picture.data) != segment.checksums[row]:
            picture[:] = self._decoded_again(segment, row)
            cache.warn_of_damage(segment.path)
            try:
                segment.replace(row, picture)
            except OSError:
                return  # it is decoded again whenever it is read
        self.verified[number][row] = True

    def _decoded_again(self, segment: _Segment, row: int) -> np.ndarray:
        """The picture. Raises DataError if it can no longer be decoded, and removes the segment."""
        picture = self.make(int(np.flatnonzero(self.digests == segment.digests[row])[0]))
        if picture is None or zlib.crc32(np.ascontiguousarray(picture).data) != segment.checksums[row]:
            with contextlib.suppress(OSError):
                segment.path.unlink()
            raise DataError(
                "A decoded picture in the cache is damaged, and its file has changed since or is gone. Run the same "
                "command again."
            )
        return picture


def stored(
    digests: np.ndarray, how: Preprocessing, make: Make, *, progress: Progress | None = None
) -> tuple[MappedPictures, np.ndarray]:
    """Look up pictures by content, at the size of the preprocessing; decode and add those that are missing.

    Args:
        digests: SHA-256 of the content of each picture: S32 (N,).
        how: the preprocessing.
        make: decodes one picture; called from several threads, once for each content.
        progress: called with (pictures done, pictures in total), for the pictures that are decoded.

    Returns:
        (the readable pictures, memory-mapped and in order; whether each picture is readable, bool (N,)).

    Raises:
        DataError: the pictures exceed the limit of the cache.
        StorageError: the cache cannot be written to.
    """
    for attempt in range(_TRIES):
        folder = atomic.make_folder(cache.folder("decoded") / _name(how))
        with atomic.storage_errors(folder), cache.locked(folder):
            _sweep(folder)
            segments = _complete(folder, digests, how, make, progress)
        rows, needed = _rows(segments, digests)
        try:
            parts, starts = [], np.zeros(len(segments), dtype=np.int64)
            for number in needed:
                starts[number] = sum(map(len, parts)) - sum(len(segment.digests) for segment in segments[:number])
                parts.append(segments[number].map())
        except FileNotFoundError:
            # Another process deleted the segment before we mapped it. Try again.
            if attempt == _TRIES - 1:
                raise StorageError(
                    f"Other programs delete decoded pictures from {folder} as fast as this program writes them. Raise "
                    f"PELLUCID_CACHE_LIMIT, or run the programs one after the other."
                ) from None
            continue
        known = rows >= 0
        ends = np.cumsum([len(segment.digests) for segment in segments])
        segment_of = np.searchsorted(ends, rows[known], side="right")
        empty = np.zeros((0, *how.shape), dtype=np.uint8)
        verify = _Verification([segments[number] for number in needed], digests, make)
        return MappedPictures(parts or [empty], rows[known] + starts[segment_of], verify), known
    raise AssertionError


def _name(how: Preprocessing) -> str:
    """Name of the folder: what pixels depend on besides the content (size, fit, decoder), and the file format."""
    from pellucid.data.decoding import VERSION

    return f"{'x'.join(map(str, how.shape))}-{how.fit}-{VERSION}-{_MAGIC[-1:].decode()}"


def _sweep(folder: Path) -> None:
    """Delete unfinished files of killed programs. The caller holds the lock, so no process is writing."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _complete(
    folder: Path, digests: np.ndarray, how: Preprocessing, make: Make, progress: Progress | None
) -> list[_Segment]:
    """Add the missing pictures to the folder, and return all its segments. The caller holds the lock."""
    segments = list(_segments(folder, how))
    rows, needed = _rows(segments, digests)
    # Each content once, in the order of the pictures, so that neighbours in the data are neighbours in the file.
    first = np.unique(digests, return_index=True)[1]
    missing = np.sort(first[(rows[first] < 0) & (digests[first] != b"")])
    if not len(missing):
        return segments
    size = math.prod(how.shape)
    what = f"{len(np.unique(digests)):,} decoded pictures of {how.width}×{how.height}"
    keep = {segments[number].path for number in needed}
    cache.make_room(len(missing) * (size + 32), what, keep)
    step = max(1, min(_SEGMENT_ROWS, _SEGMENT_BYTES // size))
    chunks = [missing[start : start + step] for start in range(0, len(missing), step)]
    made = (row for chunk in chunks for row in _write(folder, chunk, digests, how, make))
    for _ in watched(made, len(missing), "Decoding pictures", progress):
        pass
    return list(_segments(folder, how))


class _NothingMadeError(Exception):
    """No picture of a segment could be decoded, so there is no segment to write."""


def _write(folder: Path, chunk: np.ndarray, digests: np.ndarray, how: Preprocessing, make: Make) -> Iterator[int]:
    """Write one segment; yield after each picture."""
    shape = (len(chunk), *how.shape)
    digests_written = digests[chunk].copy()
    path = folder / f"{uuid.uuid4().hex}.pixels"
    with contextlib.suppress(_NothingMadeError), atomic.replacing(path) as temporary:
        with temporary.open("wb") as stream:
            stream.truncate(_start(len(chunk)) + math.prod(shape))
        pixels = np.memmap(temporary, dtype=np.uint8, mode="r+", offset=_start(len(chunk)), shape=shape)
        checksums = np.zeros(len(chunk), dtype="<u4")
        yield from _fill(pixels, digests_written, checksums, chunk, make)
        if not digests_written.any():
            raise _NothingMadeError
        pixels.flush()
        del pixels  # Windows cannot rename a memory-mapped file
        with temporary.open("r+b") as stream:
            head = _MAGIC + np.array(shape, dtype="<i8").tobytes() + digests_written.tobytes() + checksums.tobytes()
            stream.write(head + hashlib.sha256(head).digest())


def _fill(
    pixels: np.ndarray, digests: np.ndarray, checksums: np.ndarray, chunk: np.ndarray, make: Make
) -> Iterator[int]:
    """Decode the pictures of a segment, and clear the hashes of those that cannot be decoded."""

    def put(row: int) -> int:
        picture = make(int(chunk[row]))
        if picture is None:
            digests[row] = b""
        else:
            pixels[row] = picture
            checksums[row] = zlib.crc32(np.ascontiguousarray(picture).data)  # of what was decoded, not what was written
        return row

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            yield from pool.map(put, range(len(chunk)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start(n: int) -> int:
    """Offset of the pixels in a segment of n pictures, in bytes."""
    return -(-(len(_MAGIC) + 32 + 36 * n + 32) // 4096) * 4096


def _segments(folder: Path, how: Preprocessing) -> Iterator[_Segment]:
    """The valid segments of a folder; damaged ones are deleted."""
    for path in sorted(folder.glob("*.pixels")):
        try:
            segment = _segment(path, how)
        except OSError:
            continue
        if segment is None:
            cache.discard(path)
        else:
            yield segment


def _segment(path: Path, how: Preprocessing) -> _Segment | None:
    """The segment in a file; None if its size or its header is wrong."""
    with path.open("rb") as stream:
        head = stream.read(len(_MAGIC) + 32)
        if len(head) < len(_MAGIC) + 32 or not head.startswith(_MAGIC):
            return None
        n, *shape = np.frombuffer(head[len(_MAGIC) :], dtype="<i8").tolist()
        if n < 0 or tuple(shape) != how.shape or path.stat().st_size != _start(n) + n * math.prod(shape):
            return None
        table = stream.read(36 * n)
        if stream.read(32) != hashlib.sha256(head + table).digest():
            return None
    digests, checksums = np.frombuffer(table[: 32 * n], dtype="S32"), np.frombuffer(table[32 * n :], dtype="<u4")
    return _Segment(path, digests, checksums, (n, *how.shape), _start(n))


def _rows(segments: Sequence[_Segment], digests: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """(row of each content, counted over all segments, int64 (N,), −1 if missing; numbers of the segments needed)."""
    rows = np.full(len(digests), -1, dtype=np.int64)
    if not segments:
        return rows, []
    stored_digests = np.concatenate([segment.digests for segment in segments])
    order = np.argsort(stored_digests, kind="stable")
    positions = np.searchsorted(stored_digests, digests, sorter=order).clip(max=len(stored_digests) - 1)
    hits = (stored_digests[order[positions]] == digests) & (digests != b"")
    rows[hits] = order[positions[hits]]
    ends = np.cumsum([len(segment.digests) for segment in segments])
    return rows, sorted(set(np.searchsorted(ends, rows[hits], side="right").tolist()))
