"""Reader and writer of IDX, the format of the MNIST files: one array of any type and rank, plain or gzipped.

    offset  content
    0       two zero bytes
    2       element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    3       rank
    4       one uint32 for each dimension, the slowest first
    ...     the values, row by row, big-endian

Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".

Memory: the size of a plain file is compared with its header before memory is allocated. A gzipped file is unpacked
piece by piece, and only up to the declared size, which must be plausible for the size of the file. So even with a wrong
header, reading needs at most about twice the memory of the real content.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pellucid.data.files import FREE_BYTES, MOST_RATIO, require_plausible, unpacked
from pellucid.errors import DataError, FormatError
from pellucid.records import atomic
from pellucid.records.names import counted

__all__ = ["read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(dtype): code for code, dtype in _TYPES.items()}
# NumPy 1 has no arrays of higher rank.
_MOST_DIMENSIONS = 32
_PIECE = 1 << 20


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file.

    Returns:
        An array with the type and shape of the file, in native byte order.

    Raises:
        FormatError: the file is not IDX, is cut off, has trailing bytes, or its gzip data are damaged.
        MissingDataError: the file does not exist.
    """
    path = Path(path)
    with unpacked(path) as (stream, size):
        dtype, shape, header = _read_header(stream, path)
        declared = math.prod(shape) * dtype.itemsize
        if size is not None:
            _compare(path, shape, declared, size - header)
        most = max(FREE_BYTES, MOST_RATIO * path.stat().st_size)
        values = _read_at_most(stream, min(declared, most))
        if len(values) == most:
            require_plausible(path, declared, "bytes", at_most=most)
        _compare(path, shape, declared, len(values))
        if stream.read(1):
            _compare(path, shape, declared, declared + 1, more=True)
    array = np.frombuffer(values, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: str | Path, array: np.ndarray) -> None:
    """Write an array as an IDX file, gzipped if the name ends in `.gz`; equal arrays give equal bytes.

    Raises:
        DataError: IDX does not have this element type.
    """
    path, array = Path(path), np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    if dtype not in _CODES:
        known = ", ".join(np.dtype(known).name for known in _TYPES.values())
        raise DataError(f"IDX supports {known}; this array is {array.dtype}. Convert it with `array.astype(...)`.")
    header = bytes([0, 0, _CODES[dtype], array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.astype(dtype).tobytes()
    atomic.write_bytes(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _read_header(stream: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...], int]:
    """(element type, shape, size of the header in bytes)."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise FormatError(f"{path} is cut off: it has only {counted(len(magic), 'byte')}, fewer than an IDX header.")
    if magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise FormatError(
            f"{path} is not an IDX file: it starts with the bytes {magic.hex(' ')}; expected are 00 00, an element "
            f"type (08, 09, 0b, 0c, 0d or 0e) and the rank."
        )
    rank = magic[3]
    if rank > _MOST_DIMENSIONS:
        raise FormatError(f"{path} declares {rank} dimensions; at most {_MOST_DIMENSIONS} are supported.")
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise FormatError(f"{path} is cut off: its header ends before all {rank} dimensions are given.")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    # Even for an empty array, NumPy requires that the product of the other dimensions is addressable.
    if math.prod(size or 1 for size in shape) * dtype.itemsize >= 2**63:
        raise FormatError(f"{path} declares {_times(shape)} values, more than fit into any memory; it is damaged.")
    return dtype, shape, 4 + 4 * rank


def _read_at_most(stream: BinaryIO, declared: int) -> bytearray:
    """Up to `declared` bytes. The buffer grows with the bytes read, not with the declared size."""
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
