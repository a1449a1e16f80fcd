"""Reader of Parquet files that contain pictures, as on the Hugging Face hub: one file, or a folder of shards.

Columns: `image`, a struct of `bytes` and `path`, or only the bytes; `label`, a number or a name. The class names of
numbers are in the schema's metadata `huggingface`, as a `ClassLabel` feature. The names of the shards give the split:
`train-00000-of-00004.parquet` or `test/0000.parquet`. Rows are read by row group; at most three stay in memory.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.columns import choose
from pellucid.data.gathering import (
    LeftOut,
    Origin,
    Picture,
    as_dataset,
    files,
    unreadable_notes,
)
from pellucid.data.labels import clean_cell, clean_classes, clean_label, ordered_classes
from pellucid.data.parquet_files import opened, parquet_errors, values_of
from pellucid.data.shards import beneath, examine, find, nothing
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset, json_text
from pellucid.records.names import listed, on_one_line
from pellucid.records.pictures import Member

__all__ = ["COLUMNS", "ParquetShard", "read", "recognises"]

COLUMNS = ("image", "label", "groups")


class _RowGroups:
    """A thread-safe cache of the row groups that were read last, shared by all shards."""

    SIZE = 3

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.groups: OrderedDict[tuple[Path, int, str], Any] = OrderedDict()

    def get(self, shard: ParquetShard, group: int) -> Any:
        key = (shard.path, group, shard.column)
        with self.lock:
            if key not in self.groups:
                while len(self.groups) >= self.SIZE:
                    self.groups.popitem(last=False)
                self.groups[key] = shard.load(group)
            self.groups.move_to_end(key)
            return self.groups[key]


_ROW_GROUPS = _RowGroups()


@dataclass
class ParquetShard:
    """A Parquet file with pictures: their column, the names of its rows, and the first row of each row group."""

    path: Path
    column: str
    nested: bool
    starts: np.ndarray
    names: list[str] = field(default_factory=list)
    digests: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype="S32"))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, row: int) -> bytes:
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        content = _ROW_GROUPS.get(self, group)[row - int(self.starts[group])].as_py()
        assert content is not None, "rows without a picture were left out"
        return content

    def name(self, row: int) -> str:
        return self.names[row] if self.names else str(row)

    def load(self, group: int) -> Any:
        """The bytes of the pictures of one row group, as an Arrow array."""
        with opened(self.path) as file:
            name = f"{self.column}.bytes" if self.nested else self.column
            column = file.read_row_group(group, columns=[name], use_threads=False).column(0).combine_chunks()
        return column.field("bytes") if self.nested else column

    def contents(self) -> Iterator[bytes | None]:
        """The bytes of all pictures, in order; None for a row without a picture."""
        for group in range(len(self.starts) - 1):
            for value in self.load(group):
                yield value.as_py()


def recognises(path: Path) -> bool:
    """Whether a path is a Parquet file, or a folder of such files, with a column of bytes."""
    if path.is_dir():
        shards = beneath(path, ".parquet")
        # The folder may also have predictions or tables of paths; only a data set has pictures inside.
        return bool(shards) and _with_pictures(shards[0])
    return path.suffix.lower() == ".parquet" and _with_pictures(path)


def _with_pictures(path: Path) -> bool:
    import pyarrow.parquet as pq

    try:
        with parquet_errors(path):
            return bool(_picture_columns(pq.read_schema(path)))
    except FormatError:
        return False


def _picture_columns(schema: Any) -> dict[str, bool]:
    """Columns with bytes -> whether the bytes are in a struct."""
    import pyarrow as pa

    columns = {}
    for column in schema:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_struct(kind):
            if kind.get_field_index("bytes") >= 0:
                columns[column.name] = True
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            columns[column.name] = False
    return columns


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0, columns: Mapping[str, str] | None = None) -> Dataset:
    """Read a file or a folder of shards. Pictures stay in the files and are decoded on demand.

    Args:
        path: the file or the folder.
        test_fraction: fraction to split off as the test split if the names give no splits; 0 makes no test split.
        seed: seed of the split.
        columns: {role: column} for the image, the label and the groups, if the column names are not the common ones.

    Raises:
        FormatError: a file is damaged, or its columns differ from those of the first file.
        MissingDataError: no picture can be read, or a numbered shard is missing.
        DataError: there is only one class.
    """
    shards = find(path, ".parquet")
    top = path if path.is_dir() else path.parent
    tables = {split: [_Table(shard, columns) for shard in paths] for split, paths in shards.splits.items()}
    every = [table for split_tables in tables.values() for table in split_tables]
    for table in every[1:]:
        if (table.role, table.names) != (every[0].role, every[0].names):
            raise FormatError(
                f"{table.path} and {every[0].path} have different columns or classes. Put them in separate folders."
            )
    reasons = examine([table.shard for table in every], len, ParquetShard.contents)
    unique = _names_are_unique(every)
    pictures: list[Picture] = []
    unlabelled: list[str] = []
    unreadable: list[LeftOut] = []
    for (split, table), why in zip(
        [(split, table) for split, split_tables in tables.items() for table in split_tables], reasons, strict=True
    ):
        labels, groups, prefix = table.labels(), table.groups(), table.path.relative_to(top).as_posix()
        for row, label in enumerate(labels):
            identity = table.shard.names[row] if unique else f"{prefix}/{row}"
            if row in why:
                unreadable.append((split, identity, why[row]))
            if label is None:
                unlabelled.append(identity)
            elif row not in why:
                pictures.append(Picture(identity, Member(table.shard, row), split, label, groups[row]))
    notes = [*shards.notes, *unreadable_notes(unreadable)]
    if unlabelled:
        notes.append(f"{files(len(unlabelled))} without a label left out: {listed(unlabelled)}")
    if not pictures:
        raise MissingDataError(nothing(path, notes))
    classes = tuple(every[0].names) or ordered_classes(picture.label for picture in pictures)
    origin = Origin(
        path.resolve().stem if path.is_file() else path.resolve().name,
        top,
        f"Pictures in Parquet ({files(len(every))}).",
        notes,
        unreadable,
    )
    return as_dataset(
        pictures,
        classes,
        origin,
        has_splits=shards.has_splits,
        test_fraction=test_fraction,
        seed=seed,
    )


class _Table:
    """One Parquet file, and the information in its schema."""

    def __init__(self, path: Path, columns: Mapping[str, str] | None) -> None:
        self.path = path
        with opened(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
            rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            inside = _picture_columns(schema)
            others = [name for name in schema.names if name not in inside]
        if not inside:
            raise FormatError(f"{path} has no column with pictures, unlike the other files. Move it elsewhere.")
        only = {"image": next(iter(inside))} if len(inside) == 1 else {}
        self.role = choose([*inside, *others], COLUMNS, only | dict(columns or {}), path)
        column = self.role["image"]
        if column not in inside:
            raise FormatError(f"{path}: the column '{column}' does not contain pictures as bytes.")
        self.names = _label_names(schema, self.role["label"], path)
        self.shard = ParquetShard(path, column, inside[column], np.concatenate([[0], np.cumsum(rows)]).astype(np.int64))
        if inside[column] and schema.field(column).type.get_field_index("path") >= 0:
            paths = self._column(f"{column}.path")
            if all(isinstance(image, dict) and image.get("path") and isinstance(image["path"], str) for image in paths):
                self.shard.names = [on_one_line(image["path"]) for image in paths]

    def _column(self, name: str) -> list[Any]:
        with opened(self.path) as file:
            groups = (
                file.read_row_group(group, columns=[name], use_threads=False).column(0)
                for group in range(file.num_row_groups)
            )
            return [value for group in groups for value in values_of(group)]

    def labels(self) -> list[str | None]:
        """The class of each row; None for a row without a label (on hubs, −1 also means no label)."""
        return [self._class_name(value, row) for row, value in enumerate(self._column(self.role["label"]))]

    def _class_name(self, value: Any, row: int) -> str | None:
        try:
            label = clean_label(value)
        except ValueError as error:
            raise FormatError(f"{self.path}, row {row:,}: {error}.") from error
        if label is None or (label == "-1" and self.names):
            return None
        if not self.names or label in self.names:
            return label
        if not label.isdecimal() or int(label) >= len(self.names):
            raise FormatError(
                f"{self.path}, row {row:,}: the label {label} is not one of the {len(self.names)} classes."
            )
        return self.names[int(label)]

    def groups(self) -> list[str]:
        if "groups" not in self.role:
            return [""] * len(self.shard)
        return [clean_cell(value) for value in self._column(self.role["groups"])]


def _label_names(schema: Any, column: str, path: Path) -> list[str]:
    """The class names of a label column, from the metadata that hubs write; empty if there are none."""
    content = (schema.metadata or {}).get(b"huggingface")
    if content is None:
        return []
    try:
        feature = json_text.parse(content)["info"]["features"][column]
        names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    if isinstance(names, dict):  # older versions write {"0": "cat", ...}
        names = [names[key] for key in sorted(names, key=int)] if all(map(_is_index, names)) else None
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise FormatError(f"{path}: the metadata of '{column}' must have distinct class names.")
    return list(clean_classes(names, f"{path}: the metadata"))


def _is_index(key: str) -> bool:
    return key.isdecimal() and len(key) < 10


def _names_are_unique(tables: list[_Table]) -> bool:
    if not all(table.shard.names for table in tables):
        return False
    return max(Counter(name for table in tables for name in table.shard.names).values(), default=0) == 1
