"""New labels by a table of decisions: writes a new table of pictures, and never touches the originals.

    split,index,score,given,suggested,decision
    test,17,21.4,7,9,9
    test,203,18.0,4,9,keep
    test,5,16.2,1,7,remove

A decision is a class, `keep` or `remove`; an empty one keeps the label. A picture is named by `id`, or by `split` and
`index` as in `label_errors.csv`. If the table has a column `given`, it must equal the present label.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import load
from pellucid.data.manifest import read_table
from pellucid.data.progress import watched
from pellucid.data.thumbnails import png_base64
from pellucid.errors import DataError, FormatError, UsageError
from pellucid.records import Dataset, PictureFiles, Split, atomic, csv_text
from pellucid.records.names import listed

__all__ = ["Relabelled", "relabel"]

KEEP, REMOVE = "keep", "remove"


@dataclass(frozen=True)
class Relabelled:
    """The result of `relabel`: numbers of changed, removed and confirmed labels, and of pictures in the new table."""

    path: Path
    changed: int
    removed: int
    confirmed: int
    total: int


def relabel(data: str, decisions: Path, out: Path) -> Relabelled:
    """Writes a table of the pictures (CSV: path, label, split, groups) with the decided labels.

    The paths are relative to the table. Pictures that are no files (those of named sets, archives) are written as files
    into a folder beside it.

    Args:
        data: the data, as in `pellucid.load`.
        decisions: a CSV or Parquet file, see above.
        out: the new table; a name that ends in `.csv`.

    Raises:
        UsageError: the name of the table has another suffix, or the file exists.
        FormatError: the decisions have no such columns.
        DataError: a decision names an unknown picture or class, or contradicts another one or the present label.
    """
    if out.suffix.lower() != ".csv":
        raise UsageError(f"The new table is a CSV file, but --out is '{out.name}'. Try --out {out.stem}.csv.")
    if out.exists():
        raise UsageError(f"{out} exists, and nothing is overwritten. Give another name.")
    dataset = load(data, test_fraction=0)
    decided = _read(decisions, data, dataset)
    known = set(dataset.classes)
    wrong = sorted(set(decided.values()) - known - {KEEP, REMOVE, ""})
    if wrong:
        raise DataError(
            f"{decisions} decides for '{wrong[0]}', which is no class. Write a class ({listed(dataset.classes, 10)}), "
            f"'{KEEP}' or '{REMOVE}'."
        )
    has_splits = len(dataset.splits) > 1 or "train" not in dataset.splits
    groups = any("groups" in split.columns for split in dataset)
    header = ["path", "label", *["split"] * has_splits, *["groups"] * groups]
    rows: list[list[str]] = []
    counts = {"changed": 0, REMOVE: 0, KEEP: 0}
    for split in dataset:
        for index, path in enumerate(_paths(split, out)):
            label = split.classes[split.known_labels()[index]]
            decision = decided.get(str(split.ids[index]), "")
            if decision == REMOVE:
                counts[REMOVE] += 1
                continue
            if decision in (KEEP, label):
                counts[KEEP] += 1
            elif decision:
                counts["changed"] += 1
                label = decision
            group = [str(split.columns["groups"][index])] if "groups" in split.columns else [""] * groups
            rows.append([path, label, *[split.name] * has_splits, *group])
    atomic.make_folder(out.parent)
    atomic.write_text(out, csv_text.as_text([header, *rows]))
    return Relabelled(out, counts["changed"], counts[REMOVE], counts[KEEP], len(rows))


def _read(path: Path, data: str, dataset: Dataset) -> dict[str, str]:
    """The decision for each picture: {id: decision}."""
    names, rows = read_table(path)
    lower = {name.strip().lower(): index for index, name in enumerate(names)}
    if "decision" not in lower:
        raise FormatError(
            f"{path} has no column 'decision'; it has {listed(names)}. Add one to label_errors.csv: a class, "
            f"'{KEEP}' or '{REMOVE}'."
        )
    name_column = next((lower[name] for name in ("id", "path") if name in lower), None)
    if name_column is None and not {"split", "index"} <= set(lower):
        raise FormatError(f"{path} names no pictures: it needs a column 'id', or 'split' and 'index'.")
    # As the audit counts: it takes all pictures of a folder without splits for test pictures.
    counted = None if name_column is not None else load(data, test_fraction=1)
    labels = {str(name): split.classes[label] for split in dataset
              for name, label in zip(split.ids, split.known_labels(), strict=True)}  # fmt: skip
    decided: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if counted is None:
            name = row[name_column or 0]
        else:
            name = _by_index(counted, row[lower["split"]], row[lower["index"]], f"{path}, row {number:,}")
        decision = row[lower["decision"]].strip()
        if name not in labels:
            raise DataError(f"{path}, row {number:,}: there is no picture '{name}' in '{dataset.name}'.")
        if "given" in lower and row[lower["given"]] != labels[name]:
            raise DataError(
                f"{path}, row {number:,}: the label of '{name}' is '{labels[name]}', but the table says "
                f"'{row[lower['given']]}'. It was made for other data."
            )
        if decided.setdefault(name, decision) != decision:
            raise DataError(f"{path} decides twice for '{name}': '{decided[name]}' and '{decision}'. Keep one of them.")
    return decided


def _by_index(dataset: Dataset, split: str, index: str, where: str) -> str:
    pictures = dataset.split(split)
    if not index.isdigit() or int(index) >= len(pictures):
        raise DataError(f"{where}: '{index}' is no index of the {len(pictures):,} pictures of {split}.")
    return str(pictures.ids[int(index)])


def _paths(split: Split, out: Path) -> Iterator[str]:
    """The paths of the pictures for the table; writes those that are no files."""
    folder = out.with_suffix("")
    if isinstance(split.pictures, PictureFiles):
        for index, source in enumerate(split.pictures.paths):
            if isinstance(source, Path):
                yield _relative(source, out.parent)
            else:
                yield _written(folder / split.name / f"{index:06}{source.suffix}", source.read_bytes(), out)
        return
    for index in watched(range(len(split)), len(split), f"Writing the pictures of {split.name}"):
        yield _written(folder / split.name / f"{index:06}.png", _png(split.pictures[index]), out)


def _png(picture: np.ndarray) -> bytes:
    import base64

    return base64.b64decode(png_base64(picture, max(picture.shape)))


def _written(path: Path, content: bytes, out: Path) -> str:
    atomic.make_folder(path.parent)
    path.write_bytes(content)
    return path.relative_to(out.parent).as_posix()


def _relative(path: Path, folder: Path) -> str:
    """The path from the folder of the table; the full path on another drive of Windows."""
    try:
        return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return path.absolute().as_posix()
