"""A table of pictures: CSV or Parquet with a path and a label in each row, and optionally a split and a group.

    path,label,split,patient
    scans/001.png,healthy,train,p17
    scans/002.png,ill,test,p18

Paths are relative to the table. The columns are recognised by their names (`pellucid.data.columns`), or named by the
caller: `load("scans.csv", columns={"label": "finding"})`, or `scans.csv?label=finding`.
An apostrophe before a formula (`'=A1`) is removed: it protects spreadsheets (`pellucid.records.csv_text`).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.data.columns import choose
from pellucid.data.files import read_errors
from pellucid.data.gathering import Origin, Picture, as_dataset, files, named_split, read_headers
from pellucid.data.labels import clean_cell, clean_column, ordered_classes
from pellucid.data.parquet_files import opened, values_of
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset, csv_text
from pellucid.records.names import counted, listed, on_one_line

__all__ = ["COLUMNS", "read", "read_table", "recognises"]

COLUMNS = ("path", "label", "split", "groups")
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class _Table:
    """Columns of text.

    Attributes:
        names: names of the columns.
        rows: values of each row.
        first: number of the first row in the file, counted from 1.
        unit: the word for a row in an error.
        fractions: names of the columns that hold fractions.
    """

    names: list[str]
    rows: list[list[str]]
    first: int
    unit: str
    fractions: set[str] = field(default_factory=set)

    def where(self, row: int) -> str:
        return f"{self.unit} {row + self.first:,}"


def recognises(path: Path) -> bool:
    """Whether the suffix is that of a table. A Parquet file with pictures inside is recognised earlier."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".parquet")


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns of a CSV or Parquet file, and its rows as text. Columns of pictures are left out.

    Raises:
        FormatError: the file is no such table.
    """
    table = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_csv(path)
    return table.names, table.rows


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0, columns: Mapping[str, str] | None = None) -> Dataset:
    """Reads a table. The pictures stay files and are decoded on demand.

    Args:
        path: the table.
        test_fraction: fraction carved off as the test split if the table has no splits; 0 carves nothing.
        seed: seed of the carving.
        columns: name of the column for `path`, `label`, `split` or `groups`, if its name does not show its role.

    Raises:
        FormatError: the file is not such a table, or a row is incomplete or contradicts another one.
        MissingDataError: no picture can be read.
        DataError: there is only one class.
    """
    table = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_csv(path)
    role = choose(table.names, COLUMNS, columns, path)
    column_index = {name: table.names.index(column) for name, column in role.items()}
    if role["label"] in table.fractions:
        raise FormatError(f"{path}: '{role['label']}' holds fractions, but a label is a whole number or a name.")
    rows = _Rows(path, table, column_index)
    try:
        labels = clean_column(row[column_index["label"]] for row in table.rows)
    except ValueError as error:
        raise FormatError(f"{path}: {error}.") from error
    for number, label in enumerate(labels):
        rows.take(number, label)
    checked = read_headers(list(rows.pictures.values()))
    notes = [*checked.notes(), *rows.notes()]
    roles = ", ".join(f"{name} from '{column}'" for name, column in role.items() if name != column)
    if roles and columns is None:
        notes.append(f"columns: {roles}")
    if not checked.readable:
        first = f" The first: {checked.unreadable[0][2]}" if checked.unreadable else ""
        raise MissingDataError(f"{path} has no readable picture among {files(len(rows.pictures))}.{first}")
    origin = Origin(
        path.stem,
        path.parent,
        f"Pictures of the table {on_one_line(path.name)}.",
        notes + checked.format_notes(),
        checked.unreadable,
    )
    return as_dataset(
        checked.readable,
        ordered_classes(picture.label for picture in checked.readable),
        origin,
        has_splits="split" in column_index,
        test_fraction=test_fraction,
        seed=seed,
    )


class _Rows:
    """Collects the pictures named by the rows of a table."""

    def __init__(self, path: Path, table: _Table, column: Mapping[str, int]) -> None:
        self.path, self.table, self.column = path, table, column
        self.pictures: dict[str, Picture] = {}
        self.unlabelled: list[str] = []
        self.repeated: list[str] = []
        self.backslashes: list[str] = []

    def take(self, number: int, label: str | None) -> None:
        """Adds the picture of a row.

        Raises:
            FormatError: the row has no path, or contradicts an earlier one.
        """
        row, where = self.table.rows[number], f"{self.path}, {self.table.where(number)},"
        text = row[self.column["path"]].strip()
        if not text or "\0" in text:
            raise FormatError(f"{where} has no path. Remove the line, or fill it in.")
        if label is None:
            self.unlabelled.append(text)
            return
        split = named_split(row[self.column["split"]], where) if "split" in self.column else "train"
        group = row[self.column["groups"]].strip() if "groups" in self.column else ""
        name = self._with_slashes(text)
        picture = Picture(Path(name).as_posix(), self.path.parent / name, split, label, group)
        before = self.pictures.setdefault(picture.identity, picture)
        if before != picture:
            pairs = {"class": (before.label, label), "split": (before.split, split), "group": (before.group, group)}
            what, (old, new) = next((key, pair) for key, pair in pairs.items() if pair[0] != pair[1])
            raise FormatError(
                f"{where} names '{on_one_line(text)}' again, with the {what} '{on_one_line(new)}' and not "
                f"'{on_one_line(old)}' as before. Keep one of them."
            )
        if before is not picture:
            self.repeated.append(text)

    def _with_slashes(self, text: str) -> str:
        r"""A Windows path, `scans\\a.png`, with `/` if only that file exists."""
        slashed = text.replace("\\", "/")
        folder = self.path.parent
        if slashed == text or (folder / text).exists() or not (folder / slashed).exists():
            return text
        self.backslashes.append(text)
        return slashed

    def notes(self) -> list[str]:
        """Notes for the user about the rows."""
        notes = []
        if self.unlabelled:
            notes.append(f"{files(len(self.unlabelled))} without a label left out: {listed(self.unlabelled)}")
        if self.repeated:
            notes.append(f"{files(len(self.repeated))} named twice, used once: {listed(self.repeated)}")
        if self.backslashes:
            count = files(len(self.backslashes))
            notes.append(f"{count} with \\ in the path (the Windows separator), read with / instead")
        return notes


def _from_csv(path: Path) -> _Table:
    with read_errors(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text in UTF-8. Save it as CSV in UTF-8.") from error
    rows, first = _parsed(text, path)
    # Files often end with empty lines.
    filled = [[csv_text.unguarded(cell) for cell in row] for row in rows if row]
    if not filled:
        raise FormatError(f"{path} is empty. Its first line names the columns, for example path,label.")
    table = _Table([name.strip() for name in filled[0]], filled[1:], first + 1, "row")
    _check_names(table.names, path)
    for number, row in enumerate(table.rows):
        if len(row) != len(table.names):
            raise FormatError(
                f"{path}, {table.where(number)}, has {counted(len(row), 'value')} where {len(table.names)} are "
                f"expected: "
                f"'{on_one_line(', '.join(row))[:80]}'."
            )
    return table


def _parsed(text: str, path: Path) -> tuple[list[list[str]], int]:
    """The rows of a CSV text, and the number of the line that names the columns.

    The separator is the one with which most rows have as many values as there are names; Excel's first line `sep=;`
    states it.

    Raises:
        FormatError: no separator gives a table.
    """
    stated = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    if stated:
        text = text[stated.end() :]
    best: tuple[tuple[bool, float, int], list[list[str]]] | None = None
    failed = ""
    for separator in [stated[1]] if stated else _SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            failed = str(error)
            continue
        filled = [row for row in rows if row]
        width = len(filled[0]) if filled else 0
        fitting = sum(len(row) == width for row in filled) / max(1, len(filled))
        rank = (width > 1, fitting, width)
        if best is None or rank > best[0]:
            best = (rank, rows)
    if best is None:
        raise FormatError(f"{path} cannot be read as CSV: {failed}.")
    return best[1], 2 if stated else 1


def _from_parquet(path: Path) -> _Table:
    import pyarrow as pa

    with opened(path) as file:
        plain = [
            column.name
            for column in file.schema_arrow
            if not pa.types.is_nested(column.type)
            and not pa.types.is_binary(getattr(column.type, "value_type", column.type))
        ]
        table = file.read(columns=plain, use_threads=False)
    _check_names(plain, path)
    values = [[clean_cell(value) for value in values_of(table.column(name))] for name in plain]
    fractions = {name for name in plain if _has_fractions(table.column(name))}
    return _Table(plain, [list(row) for row in zip(*values, strict=True)], 1, "row", fractions)


def _has_fractions(column: Any) -> bool:
    """Whether a column of floats has a value that is not whole."""
    import pyarrow as pa

    return pa.types.is_floating(column.type) and not all(
        value is None or math.isnan(value) or value.is_integer() for value in column.to_pylist()
    )


def _check_names(names: Sequence[str], path: Path) -> None:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise FormatError(f"{path} has two columns named '{on_one_line(double[0])}'. Rename one of them.")
