"""Sorts photos into class folders: copies them, overwrites nothing, and writes a table of what went where."""

from __future__ import annotations

import csv
import filecmp
import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.data.progress import watched
from pellucid.errors import FormatError, StorageError, UsageError
from pellucid.inference.features import describe
from pellucid.inference.pictures import as_split
from pellucid.records import ExportedModel, Model, atomic, csv_text
from pellucid.records.predictions import valid_text

UNSURE = "unsure"
THRESHOLD = 0.8
"""Default threshold; photos with a lower probability go to the folder `unsure`."""
LOG = "sorted.csv"
COLUMNS = ("photo", "size", "changed", "went_to", "class", "probability")

_BATCH_SIZE = 256
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10))}


@dataclass
class SortResult:
    """The result of sorting.

    Attributes:
        threshold: photos with a lower probability went to `unsure`.
        counts: number of photos that this call put into each folder.
        already_sorted: number of photos that an earlier call sorted.
        unreadable: photos that could not be read, and were left alone: {photo: reason}.
    """

    threshold: float
    counts: Counter[str] = field(default_factory=Counter)
    already_sorted: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def sort(
    model: Model | ExportedModel,
    photos: Sequence[str | Path],
    into: str | Path,
    *,
    threshold: float | None = None,
    move: bool = False,
    **settings: Any,
) -> SortResult:
    """Copies photos into one folder per class within `into`.

    It can be interrupted at any moment and called again: photos that the table `sorted.csv` lists are skipped. Existing
    files are never overwritten: another photo of the same name gets a number, and an identical photo is not copied.

    Args:
        model: predicts the class of each photo.
        photos: paths of the photos.
        into: target folder; it is made if it does not exist.
        threshold: photos with a lower probability go to the folder `unsure`; None takes the model's threshold, or 0.8.
        move: whether to delete each original after it is copied.
        **settings: `network`, for a network of your own.

    Raises:
        UsageError: the threshold is not a probability, or a photo is within `into`.
        StorageError: a file cannot be written, or another process is sorting into the folder.
    """
    into = Path(into)
    threshold = model.specification.abstain_below if threshold is None else threshold
    threshold = THRESHOLD if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise UsageError(f"The threshold is a probability between 0 and 1; given: {threshold}.")
    _require_outside(photos, into)
    folders = class_folders(model.classes)
    atomic.make_folder(into)
    result = SortResult(threshold)
    with _locked(into):
        log = _read(into / LOG)
        remaining = [str(photo) for photo in photos if not _is_done(str(photo), log, into)]
        result.already_sorted = len(photos) - len(remaining)

        def work() -> Iterator[None]:
            for start in range(0, len(remaining), _BATCH_SIZE):
                batch = remaining[start : start + _BATCH_SIZE]
                predictions = describe(model, as_split(batch, model.specification), **settings).predictions
                result.unreadable.update(predictions.unreadable)
                # Ids are names in valid UTF-8, so photos are matched by position.
                readable = [photo for photo in batch if valid_text(photo) not in predictions.unreadable]
                try:
                    for photo, index, confidence in zip(
                        readable, predictions.predicted, predictions.confidence, strict=True
                    ):
                        folder = folders[index] if confidence >= threshold else UNSURE
                        log[valid_text(photo)] = _sort_photo(
                            Path(photo), into, folder, model.classes[index], float(confidence), move=move
                        )
                        result.counts[folder] += 1
                        yield None
                finally:
                    _write(into / LOG, log)
                yield from [None] * (len(batch) - len(readable))

        for _ in watched(work(), len(remaining), "Sorting photos"):
            pass
    return result


def class_folders(classes: Sequence[str]) -> list[str]:
    """Folder names for the classes: their own, with characters replaced that some system does not allow."""
    names: list[str] = []
    taken = {UNSURE, LOG}
    for label in classes:
        base = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", label).strip(" .") or "_"
        base = f"{base}_" if base.lower() in _RESERVED else base
        name, number = base, 2
        while name.lower() in taken:
            name, number = f"{base} ({number})", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _require_outside(photos: Sequence[str | Path], into: Path) -> None:
    target = into.resolve()
    inside = next((photo for photo in photos if Path(photo).resolve().is_relative_to(target)), None)
    if inside is not None:
        raise UsageError(f"{inside} is within {into}, the folder for the sorted photos. Choose another folder.")


@contextmanager
def _locked(into: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(into / ".sorting.lock")
    with atomic.storage_errors(into):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise StorageError(
                f"Another process is sorting into {into}. Wait for it, or choose another folder."
            ) from error
    try:
        yield
    finally:
        lock.release()


def _state(photo: Path) -> tuple[str, str]:
    status = photo.stat()
    return str(status.st_size), str(status.st_mtime_ns)


def _is_done(photo: str, log: dict[str, tuple[str, ...]], into: Path) -> bool:
    """Whether the log lists the photo and its copy exists. A photo that has changed since counts as new."""
    row = log.get(valid_text(photo))
    if row is None or not (into / row[3]).is_file():
        return False
    try:
        return _state(Path(photo)) == (row[1], row[2])
    except OSError:  # the original was moved
        return True


def _sort_photo(photo: Path, into: Path, folder: str, label: str, confidence: float, *, move: bool) -> tuple[str, ...]:
    """Copies or moves one photo, and returns its row of the log."""
    with atomic.storage_errors(photo):
        state = _state(photo)
    atomic.make_folder(into / folder)
    target, number = into / folder / photo.name, 2
    while target.exists() and not filecmp.cmp(photo, target, shallow=False):
        target, number = target.with_name(f"{photo.stem} ({number}){photo.suffix}"), number + 1
    if not target.exists():
        with atomic.replacing(target) as temporary:
            shutil.copy2(photo, temporary)
    if move:
        with atomic.storage_errors(photo):
            photo.unlink()
    return (valid_text(str(photo)), *state, valid_text(target.relative_to(into).as_posix()), label, f"{confidence:.4f}")


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    """The rows of the log, by photo.

    Raises:
        FormatError: the file is something else.
    """
    if not path.exists():
        return {}
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read: {error}. Choose another folder with --out.") from error
    if not rows or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise FormatError(f"{path} is not a table of sorted photos. Choose another folder with --out.")
    cells = [tuple(map(csv_text.unguarded, row)) for row in rows[1:]]
    return {row[0]: row for row in cells}


def _write(path: Path, log: dict[str, tuple[str, ...]]) -> None:
    atomic.write_text(path, csv_text.as_text([COLUMNS, *log.values()]))
