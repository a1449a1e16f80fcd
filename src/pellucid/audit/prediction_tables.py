"""Predictions of any other tool: a CSV or Parquet file with one row per picture.

    id,label,cat,dog,sex
    a.png,cat,0.9,0.1,female

The columns: an id (`id`, or a name for a path), the label, one probability per class (named like the class, or
`p:cat`), and any further columns, which become groups. Without an id, rows are numbered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pellucid.data.columns import ROLES
from pellucid.data.labels import clean_column
from pellucid.data.manifest import read_table
from pellucid.errors import DataError, FormatError
from pellucid.records import Predictions
from pellucid.records.names import listed

__all__ = ["SUFFIXES", "read_columns", "read_predictions"]

SUFFIXES = (".csv", ".tsv", ".parquet")
_IDS = ("id", "ids", "name", "index", *ROLES["path"])
_PREFIXES = ("p:", "p_", "prob:", "prob_", "probability:", "probability_")
_LEAST_SUM, _MOST_SUM = 0.98, 1.02


def read_predictions(path: Path) -> Predictions:
    """Reads predictions that Pellucid or another tool made.

    Raises:
        FormatError: a column is missing, a value is no number, or the probabilities of a row do not sum to one.
    """
    if path.suffix.lower() == ".parquet" and (own := _own(path)) is not None:
        return own
    names, rows = read_table(path)
    by_name = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    if not rows:
        raise FormatError(f"{path} has no rows. It needs one per picture.")
    lower = {name.strip().lower(): name for name in reversed(names)}
    label = next((lower[name] for name in ROLES["label"] if name in lower), None)
    if label is None:
        raise FormatError(f"{path} has no column 'label' with the true class; it has {listed(names)}.")
    try:
        labels = clean_column(by_name[label])
    except ValueError as error:
        raise FormatError(f"{path}: {error}.") from error
    missing = sum(value is None for value in labels)
    if missing:
        raise FormatError(f"{path}: {missing:,} of {len(labels):,} rows have no label. Leave those rows out.")
    known = [str(value) for value in labels]
    id_column = next((lower[name] for name in _IDS if name in lower and lower[name] != label), None)
    others = [name for name in names if name not in (label, id_column)]
    chosen = _probability_columns(path, others, by_name, set(known))
    probabilities = np.array([_numbers(path, name, by_name[name]) for name in chosen.values()]).T
    _require_shares(path, probabilities)
    classes = tuple(chosen)
    index = {name: number for number, name in enumerate(classes)}
    ids = by_name[id_column] if id_column else [f"row {number + 1}" for number in range(len(rows))]
    return Predictions(
        ids=np.array(ids, dtype=str),
        probabilities=probabilities.astype(np.float32),
        classes=classes,
        labels=np.array([index[name] for name in known], dtype=np.int64),
        columns={name: np.array(by_name[name], dtype=str) for name in others if name not in _used(chosen)},
        dataset=path.stem,
    )


def _used(chosen: Mapping[str, str]) -> set[str]:
    return set(chosen.values())


def _own(path: Path) -> Predictions | None:
    """The predictions in a file that Pellucid wrote; None if another tool wrote it.

    Raises:
        FormatError: the file is Pellucid's, but is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        with path.open("rb") as stream:
            metadata = parquet.ParquetFile(stream).schema_arrow.metadata or {}
    except (pa.ArrowException, OSError):
        return None
    if b"pellucid" not in metadata:
        return None
    predictions = Predictions.load(path)
    if predictions.labels is None:
        raise FormatError(f"{path} has no labels, which an audit needs. Evaluate the model on labelled pictures.")
    return predictions


def _probability_columns(
    path: Path, names: Sequence[str], by_name: Mapping[str, Sequence[str]], labels: set[str]
) -> dict[str, str]:
    """The column with the probability of each class: {class: column}."""
    for prefix in _PREFIXES:
        found = {name[len(prefix) :]: name for name in names if name.lower().startswith(prefix)}
        if labels <= set(found) and found:
            return found
    lacking = sorted(labels - set(names))
    if lacking:
        raise FormatError(
            f"{path} has no column with the probability of the class {listed(lacking, 3)}. Name one column after each "
            f"class, or 'p:CLASS'; it has {listed(names)}."
        )
    chosen = {name: name for name in names if name in labels}
    total = sum(np.array(_numbers(path, name, by_name[name])) for name in chosen)
    # A class without a picture has a probability too: without it, the others do not sum to one.
    for name in names:
        if np.all(total > _LEAST_SUM):
            break
        values = _as_shares(by_name[name])
        if name not in chosen and values is not None and np.all(total + values < _MOST_SUM):
            chosen[name] = name
            total = total + values
    return {name: chosen[name] for name in names if name in chosen}


def _as_shares(texts: Sequence[str]) -> np.ndarray | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return values if np.all((values >= 0) & (values <= 1)) else None


def _numbers(path: Path, name: str, texts: Sequence[str]) -> list[float]:
    values = []
    for row, text in enumerate(texts, start=1):
        try:
            values.append(float(text))
        except ValueError:
            values.append(math.nan)
        if not 0 <= values[-1] <= 1:
            raise FormatError(
                f"{path}, row {row:,}: the probability of '{name}' is '{text}', but it must be a number from 0 to 1."
            )
    return values


def _require_shares(path: Path, probabilities: np.ndarray) -> None:
    sums = probabilities.sum(axis=1)
    bad = np.flatnonzero((sums < _LEAST_SUM) | (sums > _MOST_SUM))
    if len(bad):
        raise FormatError(
            f"{path}, row {bad[0] + 1:,}: the probabilities sum to {sums[bad[0]]:.3f}, but must sum to 1. Give one "
            f"column for every class, after the softmax."
        )


def read_columns(path: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Further columns of pictures, from a table with a column of ids (or paths).

    Args:
        path: a CSV or Parquet file.
        ids: the ids of N pictures.

    Returns:
        The columns by name, text (N,); empty text where the table has no row for a picture.

    Raises:
        FormatError: it has no column of ids, or two rows for one picture.
        DataError: it has no row for any of the pictures.
    """
    names, rows = read_table(path)
    lower = {name.strip().lower(): name for name in reversed(names)}
    id_column = next((lower[name] for name in _IDS if name in lower), None)
    if id_column is None:
        raise FormatError(f"{path} has no column 'id' with the names of the pictures; it has {listed(names)}.")
    place = names.index(id_column)
    table: dict[str, list[str]] = {}
    for row in rows:
        if table.setdefault(row[place], row) is not row:
            raise FormatError(f"{path} has two rows for the picture '{row[place]}'. Keep one of them.")
    known = [table.get(name) for name in ids.astype(str).tolist()]
    if not any(known):
        raise DataError(
            f"{path} has no row for any of these {len(ids):,} pictures. Their ids look like '{ids[0]}', those of the "
            f"table like '{next(iter(table), '')}'."
        )
    taken = {*(lower.get(name) for role in ("path", "label", "split") for name in ROLES[role]), id_column}
    return {
        name: np.array(["" if row is None else row[column] for row in known], dtype=str)
        for column, name in enumerate(names)
        if name not in taken
    }
