"""The IDX format of the MNIST files: an array of any type and rank, big endian, plain or gzipped.

    offset  what
    0       two zero bytes
    2       element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    3       rank
    4       one uint32 for each dimension, the slowest first
    ...     the values, row by row

Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".

Memory: a plain file's size is compared with what its header declares before anything is allocated. A gzipped file is
unpacked piece by piece and never past what its header declares, so that reading takes at most about twice the memory of
what the file truly holds, whatever its header says.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pellucid.data.files import unpacked
from pellucid.errors import DataError, FormatError
from pellucid.records import atomic

__all__ = ["read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(dtype): code for code, dtype in _TYPES.items()}
# NumPy 1 has no arrays of higher rank.
_MOST_DIMENSIONS = 32
_PIECE = 1 << 20


def read_idx(path: str | Path) -> np.ndarray:
    """Reads an IDX file.

    Returns:
        The array, of the file's type and shape, in the machine's own byte order.

    Raises:
        FormatError: the file is not IDX, is cut off, has bytes too many, or its gzip packing is damaged.
        MissingDataError: it is not there.
    """
    path = Path(path)
    with unpacked(path) as (stream, size):
        dtype, shape, header = _read_header(stream, path)
        declared = math.prod(shape) * dtype.itemsize
        if size is not None:
            _compare(path, shape, declared, size - header)
        values = _read_at_most(stream, declared)
        _compare(path, shape, declared, len(values))
        if stream.read(1):
            _compare(path, shape, declared, declared + 1, more=True)
    array = np.frombuffer(values, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: str | Path, array: np.ndarray) -> None:
    """Writes an array as an IDX file, gzipped when the name ends in `.gz`; equal arrays give equal bytes.

    Raises:
        DataError: IDX has no such element type.
    """
    path, array = Path(path), np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    if dtype not in _CODES:
        known = ", ".join(np.dtype(known).name for known in _TYPES.values())
        raise DataError(f"IDX files hold {known}; this array is {array.dtype}. Convert it with `array.astype(...)`.")
    header = bytes([0, 0, _CODES[dtype], array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.astype(dtype).tobytes()
    atomic.write_bytes(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _read_header(stream: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...], int]:
    """The element type, the shape, and how many bytes the header takes."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise FormatError(f"{path} is cut off: it has only {len(magic)} bytes, and an IDX header alone has more.")
    if magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise FormatError(
            f"{path} is not an IDX file: it starts with the bytes {magic.hex(' ')}, where 00 00, an element type "
            f"(08, 09, 0b, 0c, 0d or 0e) and the rank are expected."
        )
    rank = magic[3]
    if rank > _MOST_DIMENSIONS:
        raise FormatError(f"{path} declares {rank} dimensions; up to {_MOST_DIMENSIONS} can be read.")
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise FormatError(f"{path} is cut off: its header ends before its {rank} dimensions are told.")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    # An empty array's other dimensions cost nothing, but NumPy still wants their product to be addressable.
    if math.prod(size or 1 for size in shape) * dtype.itemsize >= 2**63:
        raise FormatError(f"{path} declares {_times(shape)} values, more than any machine holds; it is damaged.")
    return dtype, shape, 4 + 4 * rank


def _read_at_most(stream: BinaryIO, declared: int) -> bytearray:
    """Up to `declared` bytes. The buffer grows with what arrives, not with what was declared."""
    values = bytearray()
    while len(values) < declared:
        piece = stream.read(min(_PIECE, declared - len(values)))
        if not piece:
            break
        values += piece
    return values


def _compare(path: Path, shape: tuple[int, ...], declared: int, actual: int, *, more: bool = False) -> None:
    if actual < declared:
        raise FormatError(
            f"{path} is cut off: its header declares {_times(shape)} values in {declared:,} bytes, but {actual:,} "
            f"follow. Copy or download it again."
        )
    if actual > declared:
        excess = "more bytes follow" if more else f"{actual:,} follow"
        raise FormatError(
            f"{path} has trailing bytes: its header declares {_times(shape)} values in {declared:,} bytes, but "
            f"{excess}. Copy or download it again."
        )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) or "1"
