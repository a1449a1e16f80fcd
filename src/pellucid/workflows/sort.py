"""Photos into class folders: copied and never overwritten, the unsure ones apart, with a table of what went where."""

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
from pellucid.records import Model, atomic

UNSURE = "unsure"
THRESHOLD = 0.8
"""Photos whose class is less probable than this go apart, where the model itself names no threshold."""
LOG = "sorted.csv"
COLUMNS = ("photo", "size", "changed", "went_to", "class", "probability")

_AT_ONCE = 256
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10))}


@dataclass
class Sorted:
    """What was done.

    Attributes:
        counts: how many photos went into each folder, in this call.
        before: how many had been sorted by an earlier call.
        unreadable: what could not be read, and stayed where it is: {photo: reason}.
        threshold: below which a photo went to `unsure`.
    """

    threshold: float
    counts: Counter[str] = field(default_factory=Counter)
    before: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def sort(
    model: Model,
    photos: Sequence[str | Path],
    into: str | Path,
    *,
    threshold: float | None = None,
    move: bool = False,
    **settings: Any,
) -> Sorted:
    """Copies photos into one folder per class within `into`.

    It can be interrupted at any moment, and called again: what the table `sorted.csv` says to be done is not done
    again. A file that is there is never overwritten: a photo of the same name gets a number, and one of the same
    content as well is not copied twice.

    Args:
        model: what names the classes.
        photos: files.
        into: a folder, made where it is not there.
        threshold: a photo whose class is less probable goes to the folder `unsure`; None takes the model's own, or 0.8.
        move: whether photos are taken away from where they are, once their copy is safe.
        **settings: `network`, for a model of your own.

    Raises:
        UsageError: the threshold is no probability, or a photo lies within `into`.
        StorageError: nothing can be written, or another process sorts into the same folder.
    """
    into = Path(into)
    threshold = model.specification.abstain_below if threshold is None else threshold
    threshold = THRESHOLD if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise UsageError(f"The threshold is a probability between 0 and 1; given: {threshold}.")
    _require_outside(photos, into)
    folders = class_folders(model.classes)
    atomic.make_folder(into)
    done = Sorted(threshold)
    with _alone(into):
        log = _read(into / LOG)
        open_ = [str(photo) for photo in photos if not _is_done(str(photo), log, into)]
        done.before = len(photos) - len(open_)

        def work() -> Iterator[None]:
            for start in range(0, len(open_), _AT_ONCE):
                some = open_[start : start + _AT_ONCE]
                found = describe(model, as_split(some, model.specification), **settings).predictions
                done.unreadable.update(found.unreadable)
                # Ids are names as text can hold them; the files are found by their place.
                readable = [photo for photo in some if _text(photo) not in found.unreadable]
                try:
                    for photo, index, sure in zip(readable, found.predicted, found.confidence, strict=True):
                        folder = folders[index] if sure >= threshold else UNSURE
                        log[_text(photo)] = _place(
                            Path(photo), into, folder, model.classes[index], float(sure), move=move
                        )
                        done.counts[folder] += 1
                        yield None
                finally:
                    _write(into / LOG, log)
                yield from [None] * (len(some) - len(readable))

        for _ in watched(work(), len(open_), "Sorting photos"):
            pass
    return done


def class_folders(classes: Sequence[str]) -> list[str]:
    """A folder's name for each class: its own, where every system can have a folder of that name."""
    names: list[str] = []
    taken = {UNSURE, LOG}
    for label in classes:
        plain = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", label).strip(" .") or "_"
        plain = f"{plain}_" if plain.lower() in _RESERVED else plain
        name, number = plain, 2
        while name.lower() in taken:
            name, number = f"{plain} ({number})", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _text(name: str) -> str:
    """A file's name as text can hold it: bytes that are no text become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _require_outside(photos: Sequence[str | Path], into: Path) -> None:
    whole = into.resolve()
    inside = next((photo for photo in photos if Path(photo).resolve().is_relative_to(whole)), None)
    if inside is not None:
        raise UsageError(f"{inside} lies within {into}, where the sorted photos go. Choose a folder elsewhere.")


@contextmanager
def _alone(into: Path) -> Iterator[None]:
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
    """Whether the log says so, and the copy is there; a photo that has changed since is a new one."""
    row = log.get(_text(photo))
    if row is None or not (into / row[3]).is_file():
        return False
    try:
        return _state(Path(photo)) == (row[1], row[2])
    except OSError:  # it was moved: gone from there, and here
        return True


def _place(photo: Path, into: Path, folder: str, label: str, sure: float, *, move: bool) -> tuple[str, ...]:
    """Copies (or moves) one photo, and gives its row of the log."""
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
    return (_text(str(photo)), *state, _text(target.relative_to(into).as_posix()), label, f"{sure:.4f}")


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    """The rows of the log, by photo.

    Raises:
        FormatError: it is something else.
    """
    if not path.exists():
        return {}
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read: {error}. Choose another folder with --into.") from error
    if not rows or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise FormatError(f"{path} is not a table of sorted photos. Choose another folder with --into.")
    return {row[0]: tuple(row) for row in rows[1:]}


def _write(path: Path, log: dict[str, tuple[str, ...]]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(log.values())
    atomic.write_text(path, text.getvalue())
