"""`load`: reads a named data set or a path as a `Dataset`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from pellucid.data.catalogue import DATASETS, FORMATS, lookup
from pellucid.data.files import read_errors
from pellucid.data.splitting import check_fraction
from pellucid.errors import FormatError, MissingDataError, UsageError
from pellucid.records import Dataset
from pellucid.records.paths import expand_user

__all__ = ["load"]


def load(
    source: str | Path, *, test_fraction: float = 0.2, seed: int = 0, columns: Mapping[str, str] | None = None
) -> Dataset:
    """Load a dataset.

    Args:
        source: a named set (`pellucid datasets` lists them); a folder of class folders, optionally below `train`,
            `validation` and `test`; a folder of IDX, CIFAR, Parquet or tar files; or a table of pictures (CSV,
            Parquet). A named set takes precedence over a folder of the same name; write `./mnist` for the folder.
        test_fraction: fraction of the pictures to split off as the test split, if the data have no splits. 0 makes no
            test split; 1 makes all pictures the test split, to score a model on them.
        seed: seed of the split.
        columns: {role: column} of a table or of Parquet, for the roles `path` (or `image`), `label`, `split` and
            `groups`; needed if the columns do not have common names. `scans.csv?label=finding&groups=patient` is the
            same as a path.

    Raises:
        UsageError: the name is empty.
        UnknownNameError: there is no named set and no folder of this name.
        MissingDataError: the folder does not exist or has no pictures, or the download failed.
        FormatError: a file is damaged or has another format.
    """
    _check(source, test_fraction)
    if isinstance(source, str) and source in DATASETS:
        return importlib.import_module(lookup(source).module).load(source)
    path = expand_user(source)
    with read_errors(path):
        if "?" in path.name and not path.exists():
            path, columns = _columns(path, columns)
        there = path.exists()
    if not there:
        if isinstance(source, str) and not _looks_like_a_path(source):
            lookup(source)
        raise MissingDataError(
            f"There is no folder at {source}. Give the path of a folder of pictures, or one of the names "
            f"{', '.join(DATASETS)}."
        )
    for module_path in FORMATS.values():
        module = importlib.import_module(module_path)
        if module.recognises(path):
            if columns and not hasattr(module, "COLUMNS"):
                break
            named = {"columns": columns} if columns else {}
            return module.read(path, test_fraction=test_fraction, seed=seed, **named)
    splits = _splits_are_named(path, columns) if columns else None
    if columns and splits is None:
        raise UsageError(f"{path} is not a table, so it has no columns to name: {', '.join(columns)}.")
    if not path.is_dir():
        raise FormatError(
            f"{source} is a file; data is a folder with one folder of pictures per class, a table of pictures (.csv, "
            f".parquet), an archive (.tar), or one of the names {', '.join(DATASETS)}."
        )
    from pellucid.data import folder

    return folder.read(path, test_fraction=test_fraction, seed=seed, splits=splits)


def _check(source: object, test_fraction: float) -> None:
    """Check the types and values of the arguments of `load`."""
    if test_fraction not in (0, 1):
        check_fraction(test_fraction, "test_fraction")
    if not isinstance(source, (str, Path)):
        raise UsageError(
            f"Data are loaded by a name or a path, for example 'mnist' or 'photos/'; given: {source!r}. Arrays become "
            f"data with pellucid.from_arrays."
        )
    if isinstance(source, str) and not source.strip():
        # As a path, "" would be the current folder, but more likely a variable was never set.
        raise UsageError(
            f"The data set has no name: '{source}' was given. Give the path of a folder ('.' is this one), or "
            f"one of the names {', '.join(DATASETS)}."
        )


def _columns(path: Path, assigned: Mapping[str, str] | None) -> tuple[Path, dict[str, str]]:
    """Split `scans.csv?label=finding&groups=patient` into the path and its columns."""
    name, _, query = path.name.partition("?")
    columns = {}
    for part in query.split("&"):
        role, equals, column = part.partition("=")
        if not equals or not role or not column:
            raise UsageError(f"After the ? name columns, as in {name}?label=finding&groups=patient; given: '{query}'.")
        columns[role] = column
    return path.with_name(name), columns | dict(assigned or {})


def _splits_are_named(path: Path, columns: Mapping[str, str]) -> bool | None:
    """The answer of `photos?splits=no`: whether the folders are splits; None if the query is about something else.

    Raises:
        UsageError: the answer is neither yes nor no.
    """
    if set(columns) != {"splits"} or not path.is_dir():
        return None
    if columns["splits"] not in ("yes", "no"):
        raise UsageError(f"splits is yes or no, as in {path}?splits=no; given: '{columns['splits']}'.")
    return columns["splits"] == "yes"


def _looks_like_a_path(source: str) -> bool:
    return any(mark in source for mark in "/\\~") or source in (".", "..")
