"""Opens Parquet files, and reads their columns in bounded memory.

A dictionary page stores a long value once, for any number of rows. Such columns stay encoded while they are read:
otherwise half a megabyte of file becomes terabytes in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.data.files import read_errors, require_plausible
from pellucid.errors import FormatError

__all__ = ["opened", "parquet_errors", "values_of"]

_FREE_ROWS = 1_000_000
"""Rows that are plausible for a file of any size; otherwise each row takes at least a byte."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` whose dictionary-encoded columns of text and bytes stay encoded.

    Raises:
        FormatError: the file is damaged or not Parquet, or declares more rows than it can hold.
    """
    import pyarrow.parquet as pq

    with parquet_errors(path):
        metadata = pq.read_metadata(path)
        require_plausible(path, metadata.num_rows, "rows", at_most=max(_FREE_ROWS, path.stat().st_size))
        with pq.ParquetFile(path, read_dictionary=_encoded_columns(metadata)) as file:
            yield file


def _encoded_columns(metadata: Any) -> list[str]:
    """The columns of text or bytes that have a dictionary page in some row group."""
    names = set()
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.has_dictionary_page and column.physical_type == "BYTE_ARRAY":
                names.add(column.path_in_schema)
    return sorted(names)


def values_of(column: Any) -> list[Any]:
    """The values of an Arrow column. Equal values of a dictionary are one object."""
    import pyarrow as pa

    values: list[Any] = []
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if pa.types.is_struct(chunk.type):
            names = [chunk.type.field(index).name for index in range(chunk.type.num_fields)]
            fields = [values_of(chunk.field(index)) for index in range(chunk.type.num_fields)]
            rows = zip(*fields, strict=True)
            values += [
                dict(zip(names, row, strict=True)) if valid else None
                for row, valid in zip(rows, chunk.is_valid().to_pylist(), strict=True)
            ]
        elif pa.types.is_dictionary(chunk.type):
            distinct = chunk.dictionary.to_pylist()
            values += [None if index is None else distinct[index] for index in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return values


@contextlib.contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Translate the errors of pyarrow.

    Raises:
        FormatError: the file is damaged or not Parquet.
    """
    import pyarrow as pa

    try:
        with read_errors(path):
            yield
    except (pa.ArrowException, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(f"{path} is damaged or not a Parquet file ({reason}). Copy it again.") from error
