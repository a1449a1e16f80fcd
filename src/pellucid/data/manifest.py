"""A table of pictures: CSV or Parquet with a path and a label in each row, and where wanted a split and a group.

    path,label,split,patient
    scans/001.png,healthy,train,p17
    scans/002.png,ill,test,p18

Relative paths are relative to the table. Which column is which is guessed by its name (`pellucid.data.columns`), or
said: `load("scans.csv", columns={"label": "finding"})`, or `scans.csv?label=finding`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.data.columns import choose
from pellucid.data.files import read_errors
from pellucid.data.gathering import Origin, Picture, as_dataset, check, files, listed, named_split, ordered_classes
from pellucid.data.walk import on_one_line
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset

__all__ = ["COLUMNS", "read", "recognises"]

COLUMNS = ("path", "label", "split", "groups")
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class _Table:
    """Columns of text, and what a row is called in an error ("line 17")."""

    names: list[str]
    rows: list[list[str]]
    first: int
    unit: str

    def where(self, row: int) -> str:
        return f"{self.unit} {row + self.first:,}"


def recognises(path: Path) -> bool:
    """Whether it is a table, by its name; Parquet with pictures inside was recognised before."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".parquet")


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0, columns: Mapping[str, str] | None = None) -> Dataset:
    """Reads a table; the pictures stay files, decoded on demand.

    Args:
        path: the table.
        test_fraction: which part is carved off as the test split where the table has no splits; 0 is none.
        seed: of that carving.
        columns: which column is the path, the label, the split and the groups, where the names do not say it.

    Raises:
        FormatError: it is no such table; a row lacks something, or contradicts another one.
        MissingDataError: not one picture can be read.
        DataError: there is only one class.
    """
    table = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_csv(path)
    role = choose(table.names, COLUMNS, columns, path)
    column_index = {name: table.names.index(column) for name, column in role.items()}
    pictures: dict[str, Picture] = {}
    unlabelled, twice = [], []
    for number, row in enumerate(table.rows):
        where = f"{path}, {table.where(number)},"
        path_text, label = row[column_index["path"]].strip(), row[column_index["label"]].strip()
        if not path_text or "\0" in path_text:
            raise FormatError(f"{where} has no path. Remove the line, or fill it in.")
        if not label:
            unlabelled.append(path_text)
            continue
        split = named_split(row[column_index["split"]], where) if "split" in column_index else "train"
        group = row[column_index["groups"]].strip() if "groups" in column_index else ""
        identity = Path(path_text).as_posix()
        one = Picture(identity, path.parent / path_text, split, label, group)
        if pictures.setdefault(identity, one) != one:
            before = pictures[identity]
            what = ("class", before.label, label) if before.label != label else ("split", before.split, split)
            if what[1] == what[2]:
                what = ("group", before.group, group)
            raise FormatError(
                f"{where} names '{on_one_line(path_text)}' again, with the {what[0]} '{on_one_line(what[2])}' and not "
                f"'{on_one_line(what[1])}' as before. Keep one of them."
            )
        if pictures[identity] is not one:
            twice.append(path_text)
    checked = check(list(pictures.values()))
    notes = checked.notes()
    if unlabelled:
        notes.append(f"{files(len(unlabelled))} without a label left out: {listed(unlabelled)}")
    if twice:
        notes.append(f"{files(len(twice))} named twice, and taken once: {listed(twice)}")
    roles = ", ".join(f"{name} from '{column}'" for name, column in role.items() if name != column)
    if roles and columns is None:
        notes.append(f"columns: {roles}")
    if not checked.readable:
        first = f" The first: {checked.unreadable[0][2]}" if checked.unreadable else ""
        raise MissingDataError(f"{path} has no picture that can be read, of {files(len(pictures))}.{first}")
    origin = Origin(
        path.stem,
        path.parent,
        f"Pictures of the table {on_one_line(path.name)}.",
        notes + checked.format_notes(),
        checked.unreadable,
    )
    return as_dataset(
        checked.readable,
        ordered_classes([picture.label for picture in checked.readable], path),
        origin,
        has_splits="split" in column_index,
        test_fraction=test_fraction,
        seed=seed,
    )


def _from_csv(path: Path) -> _Table:
    with read_errors(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text in UTF-8. Save it as CSV in UTF-8.") from error
    head = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise FormatError(f"{path} is no table that can be read: {error}.") from error
    # Empty lines are usual at the end; `first` counts lines for people, from 1, behind the names.
    filled = [row for row in rows if row]
    if not filled:
        raise FormatError(f"{path} is empty. Its first line names the columns, for example path,label.")
    table = _Table([name.strip() for name in filled[0]], filled[1:], 2, "row")
    _check_names(table.names, path)
    for number, row in enumerate(table.rows):
        if len(row) != len(table.names):
            raise FormatError(
                f"{path}, {table.where(number)}, has {len(row)} values where {len(table.names)} are expected: "
                f"'{on_one_line(separator.join(row))[:80]}'."
            )
    return table


def _from_parquet(path: Path) -> _Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with read_errors(path):
            table = pq.read_table(path)
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"{path} is no whole Parquet file ({str(error).splitlines()[0]}). Copy it again.") from error
    plain = [
        name
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if not pa.types.is_nested(kind) and not pa.types.is_binary(kind)
    ]
    _check_names(plain, path)
    values = [["" if one is None else str(one) for one in table.column(name).to_pylist()] for name in plain]
    return _Table(plain, [list(row) for row in zip(*values, strict=True)], 1, "row")


def _check_names(names: Sequence[str], path: Path) -> None:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise FormatError(f"{path} has two columns named '{on_one_line(double[0])}'. Rename one of them.")
