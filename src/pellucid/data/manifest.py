"""A table of pictures: CSV or Parquet with a path and a label in each row, and where wanted a split and a group.

    path,label,split,patient
    scans/001.png,healthy,train,p17
    scans/002.png,ill,test,p18

An apostrophe before a formula (`'=A1`) is removed: it protects spreadsheets (`pellucid.records.csv_text`). Relative
paths are relative to the table. Which column is which is guessed by its name (`pellucid.data.columns`), or
said: `load("scans.csv", columns={"label": "finding"})`, or `scans.csv?label=finding`.
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
from pellucid.data.gathering import Origin, Picture, as_dataset, check, files, named_split
from pellucid.data.labels import clean_cell, clean_column, ordered_classes
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset, csv_text
from pellucid.records.names import listed, on_one_line

__all__ = ["COLUMNS", "read", "recognises"]

COLUMNS = ("path", "label", "split", "groups")
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class _Table:
    """Columns of text.

    Attributes:
        names: of the columns.
        rows: their values.
        first: the number of the first row, as people count.
        unit: what a row is called in an error.
        fractions: the columns of floats that are not whole.
    """

    names: list[str]
    rows: list[list[str]]
    first: int
    unit: str
    fractions: set[str] = field(default_factory=set)

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
    if role["label"] in table.fractions:
        raise FormatError(f"{path}: '{role['label']}' holds fractions, but a label is a whole number or a name.")
    rows = _Rows(path, table, column_index)
    labels = clean_column(row[column_index["label"]] for row in table.rows)
    for number, label in enumerate(labels):
        rows.take(number, label)
    checked = check(list(rows.pictures.values()))
    notes = [*checked.notes(), *rows.notes()]
    roles = ", ".join(f"{name} from '{column}'" for name, column in role.items() if name != column)
    if roles and columns is None:
        notes.append(f"columns: {roles}")
    if not checked.readable:
        first = f" The first: {checked.unreadable[0][2]}" if checked.unreadable else ""
        raise MissingDataError(f"{path} has no picture that can be read, of {files(len(rows.pictures))}.{first}")
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
    """The pictures that the rows of a table name."""

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
        r"""A path of Windows, `scans\\a.png`, with `/` if only that is there."""
        slashed = text.replace("\\", "/")
        folder = self.path.parent
        if slashed == text or (folder / text).exists() or not (folder / slashed).exists():
            return text
        self.backslashes.append(text)
        return slashed

    def notes(self) -> list[str]:
        """What the user should know about the rows."""
        notes = []
        if self.unlabelled:
            notes.append(f"{files(len(self.unlabelled))} without a label left out: {listed(self.unlabelled)}")
        if self.repeated:
            notes.append(f"{files(len(self.repeated))} named twice, and taken once: {listed(self.repeated)}")
        if self.backslashes:
            count = files(len(self.backslashes))
            notes.append(f"{count} with \\ in the path, as Windows writes it, read with / instead")
        return notes


def _from_csv(path: Path) -> _Table:
    with read_errors(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text in UTF-8. Save it as CSV in UTF-8.") from error
    rows, first = _parsed(text, path)
    # Empty lines are usual at the end. `first` is the number of the first row behind the names, as people count.
    filled = [[csv_text.unguarded(cell) for cell in row] for row in rows if row]
    if not filled:
        raise FormatError(f"{path} is empty. Its first line names the columns, for example path,label.")
    table = _Table([name.strip() for name in filled[0]], filled[1:], first + 1, "row")
    _check_names(table.names, path)
    for number, row in enumerate(table.rows):
        if len(row) != len(table.names):
            raise FormatError(
                f"{path}, {table.where(number)}, has {len(row)} values where {len(table.names)} are expected: "
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
        raise FormatError(f"{path} is no table that can be read: {failed}.")
    return best[1], 2 if stated else 1


def _from_parquet(path: Path) -> _Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with read_errors(path):
            table = pq.read_table(path)
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(
            f"{path} is damaged or not a Parquet file ({str(error).splitlines()[0]}). Copy it again."
        ) from error
    plain = [
        name
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if not pa.types.is_nested(kind) and not pa.types.is_binary(kind)
    ]
    _check_names(plain, path)
    values = [[clean_cell(value) for value in table.column(name).to_pylist()] for name in plain]
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
