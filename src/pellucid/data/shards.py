"""Shards: files that contain many pictures each. Finds them by split, and checks each picture once."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from pellucid.data.decoding import VERSION, probe
from pellucid.data.files import read_errors
from pellucid.data.gathering import files
from pellucid.data.hashing import recall, remember
from pellucid.data.progress import watched
from pellucid.data.split_names import SPLIT_NAMES, split_of
from pellucid.errors import DataError, MissingDataError
from pellucid.records.names import listed
from pellucid.records.pictures import Shard

__all__ = ["Found", "beneath", "examine", "find", "nothing"]

_VERSION = zlib.crc32(VERSION.encode())
_FOLDERS = ("data", "default", "shards")
_NUMBERED = re.compile(r"[-_.]?(?P<number>\d{4,})(?:-of-(?P<of>\d{4,}))?$")
Held = TypeVar("Held", bound=Shard)


@dataclass(frozen=True)
class Found:
    """The shards of a data set.

    Attributes:
        splits: split -> its files, in order.
        has_splits: whether the names give the splits.
        notes: sentences about files left out.
    """

    splits: dict[str, list[Path]]
    has_splits: bool
    notes: list[str] = field(default_factory=list)


def find(path: Path, suffix: str) -> Found:
    """Find the files with this suffix, by split. The name of a file, or of its folder, begins with the split.

    Examples: `train-00000-of-00004.parquet`, `data/test-….parquet`, `train/0000.parquet`, `shard-000000.tar`.

    Raises:
        MissingDataError: a numbered shard is missing.
    """
    if path.is_file():
        return Found({"train": [path]}, has_splits=False)
    everything = beneath(path, suffix)
    of_split = {file: _split(file.relative_to(path)) for file in everything}
    has_splits = "train" in of_split.values()
    left_out = [file for file in everything if has_splits and of_split[file] is None]
    splits: dict[str, list[Path]] = {}
    for file in everything:
        if file not in left_out:
            splits.setdefault((of_split[file] if has_splits else None) or "train", []).append(file)
    for shards in splits.values():
        _check_complete(shards)
    names = [file.relative_to(path).as_posix() for file in left_out]
    notes = [f"{files(len(left_out))} without a split in the name left out: {listed(names)}"] if left_out else []
    return Found(splits, has_splits, notes)


def beneath(folder: Path, suffix: str) -> list[Path]:
    """The files with this suffix in a folder, and in subfolders called `data`, `default`, `shards` or like a split.

    Other subfolders are skipped: they may have a hundred thousand pictures.
    """
    with read_errors(folder):
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    shards = [entry for entry in entries if entry.name.lower().endswith(suffix) and entry.is_file()]
    for entry in entries:
        known = entry.name.lower() in _FOLDERS or split_of(entry.name) is not None
        if known and entry.is_dir() and not entry.is_symlink():
            shards += beneath(entry, suffix)
    return shards


def _split(relative: Path) -> str | None:
    """The split that the name of a file, or of a folder above it, begins with; None if there is none."""
    for part in (relative.stem, *reversed(relative.parts[:-1])):
        word = re.split(r"[-_.\d]", part.lower())[0]
        split = SPLIT_NAMES.get(word) or split_of(part)
        if split is not None:
            return split
    return None


def _check_complete(shards: Sequence[Path]) -> None:
    """Check that no shard is missing, if the names give the number of shards.

    Raises:
        MissingDataError: a shard is missing.
    """
    numbered: dict[tuple[Path, str, int], set[int]] = {}
    for shard in shards:
        match = _NUMBERED.search(shard.stem)
        if match and match["of"]:
            series = (shard.parent, shard.stem[: match.start()], int(match["of"]))
            numbered.setdefault(series, set()).add(int(match["number"]))
    for (folder, prefix, total), numbers in numbered.items():
        missing = sorted(set(range(total)) - numbers) if total < 10**6 else []
        if missing:
            raise MissingDataError(
                f"{folder} has {len(numbers)} of {total} shards of '{prefix}': number {missing[0]:05d} is missing. "
                f"Copy it too."
            )


def examine(
    shards: Sequence[Held], count: Callable[[Held], int], contents: Callable[[Held], Iterable[bytes | None]]
) -> list[dict[int, str]]:
    """Read the bytes of every picture once: store their SHA-256 in the shard, and check the header of the picture.

    The result is cached until the shard changes.

    Returns:
        For each shard, the reasons for the pictures that cannot be read: {index: reason}.
    """
    by_shard: list[dict[int, str] | None] = [_recalled(shard, count(shard)) for shard in shards]
    todo = [i for i, reasons in enumerate(by_shard) if reasons is None]

    def check() -> Iterator[None]:
        for i in todo:
            digests, reasons = np.zeros(count(shards[i]), dtype="S32"), {}
            for row, content in enumerate(contents(shards[i])):
                if content is None:
                    reasons[row] = f"{_full_name(shards[i], row)} has no content."
                else:
                    digests[row] = hashlib.sha256(content).digest()
                    try:
                        probe(content, name=_full_name(shards[i], row))
                    except DataError as error:
                        reasons[row] = str(error)
                yield
            shards[i].digests = digests
            by_shard[i] = reasons
            _store(shards[i], reasons)

    for _ in watched(check(), sum(count(shards[i]) for i in todo), "Checking pictures"):
        pass
    return [reasons or {} for reasons in by_shard]


def _full_name(shard: Shard, row: int) -> str:
    return f"{shard.path.name}/{shard.name(row)}"


def _recalled(shard: Shard, count: int) -> dict[int, str] | None:
    arrays = recall(shard.path, _VERSION)
    if arrays is None or not {"digests", "places", "reasons"} <= set(arrays) or len(arrays["digests"]) != count:
        return None
    shard.digests = arrays["digests"]
    reasons = arrays["reasons"].tobytes().decode("utf-8", "surrogateescape").split("\0")
    return dict(zip(arrays["places"].tolist(), reasons, strict=False))


def _store(shard: Shard, reasons: dict[int, str]) -> None:
    text = "\0".join(reasons.values()).encode("utf-8", "surrogateescape")
    remember(
        shard.path,
        _VERSION,
        digests=shard.digests,
        places=np.array(list(reasons), dtype=np.int64),
        reasons=np.frombuffer(text, dtype=np.uint8),
    )


def nothing(path: Path, notes: Sequence[str]) -> str:
    """The error message for data without a readable picture, with the first note."""
    why = f" {notes[0].rstrip('.')}." if notes else ""
    return f"{path} has no readable picture with a label.{why}"
