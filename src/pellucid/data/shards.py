"""What the sources of many pictures in few large files share: each picture is looked at once, and remembered."""

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
    """The large files of a data set: from each split to its files in order; whether the splits are its own; notes."""

    splits: dict[str, list[Path]]
    has_splits: bool
    notes: list[str] = field(default_factory=list)


def find(path: Path, suffix: str) -> Found:
    """The files with this suffix, by split: a file, or a folder of shards, whose names or folders begin with a split.

    `train-00000-of-00004.parquet`, `data/test-….parquet`, `train/0000.parquet`, `shard-000000.tar`.

    Raises:
        MissingDataError: one of the numbered shards is not there.
    """
    if path.is_file():
        return Found({"train": [path]}, has_splits=False)
    everything = beneath(path, suffix)
    of_split = {one: _split(one.relative_to(path)) for one in everything}
    has_splits = "train" in of_split.values()
    left = [one for one in everything if has_splits and of_split[one] is None]
    splits: dict[str, list[Path]] = {}
    for one in everything:
        if one not in left:
            splits.setdefault((of_split[one] if has_splits else None) or "train", []).append(one)
    for shards in splits.values():
        _check_whole(shards)
    names = [one.relative_to(path).as_posix() for one in left]
    notes = [f"{files(len(left))} of no known split left out: {listed(names)}"] if left else []
    return Found(splits, has_splits, notes)


def beneath(folder: Path, suffix: str) -> list[Path]:
    """The files with this suffix in a folder, and in those of its folders that are named as parts of a data set are.

    Others are not looked into: there may be a hundred thousand pictures in them.
    """
    with read_errors(folder):
        entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    shards = [one for one in entries if one.name.lower().endswith(suffix) and one.is_file()]
    for one in entries:
        if (one.name.lower() in _FOLDERS or split_of(one.name) is not None) and one.is_dir() and not one.is_symlink():
            shards += beneath(one, suffix)
    return shards


def _split(relative: Path) -> str | None:
    """What split the name of a file, or of a folder above it, begins with."""
    for part in (relative.stem, *reversed(relative.parts[:-1])):
        word = re.split(r"[-_.\d]", part.lower())[0]
        split = SPLIT_NAMES.get(word) or split_of(part)
        if split is not None:
            return split
    return None


def _check_whole(shards: Sequence[Path]) -> None:
    """Where names say how many shards there are, all of them have to be there."""
    numbered: dict[tuple[Path, str, int], set[int]] = {}
    for shard in shards:
        match = _NUMBERED.search(shard.stem)
        if match and match["of"]:
            series = (shard.parent, shard.stem[: match.start()], int(match["of"]))
            numbered.setdefault(series, set()).add(int(match["number"]))
    for (folder, prefix, of), there in numbered.items():
        missing = sorted(set(range(of)) - there) if of < 10**6 else []
        if missing:
            raise MissingDataError(
                f"{folder} has {len(there)} of {of} shards of '{prefix}': number {missing[0]:05d} is not there. Copy "
                f"it too."
            )


def examine(
    shards: Sequence[Held], count: Callable[[Held], int], contents: Callable[[Held], Iterable[bytes | None]]
) -> list[dict[int, str]]:
    """Reads every picture's bytes once: notes their SHA-256 in the shard, and whether their header is a picture's.

    What was found is remembered until the shard changes.

    Returns:
        For each shard, why the pictures that cannot be read cannot: {place: sentence}.
    """
    by_shard: list[dict[int, str] | None] = [_recalled(shard, count(shard)) for shard in shards]
    todo = [i for i, one in enumerate(by_shard) if one is None]

    def look() -> Iterator[None]:
        for i in todo:
            digests, reasons = np.zeros(count(shards[i]), dtype="S32"), {}
            for row, content in enumerate(contents(shards[i])):
                if content is None:
                    reasons[row] = f"{_named(shards[i], row)} has no content."
                else:
                    digests[row] = hashlib.sha256(content).digest()
                    try:
                        probe(content, name=_named(shards[i], row))
                    except DataError as error:
                        reasons[row] = str(error)
                yield
            shards[i].digests = digests
            by_shard[i] = reasons
            _keep(shards[i], reasons)

    for _ in watched(look(), sum(count(shards[i]) for i in todo), "Looking at the pictures"):
        pass
    return [one or {} for one in by_shard]


def _named(shard: Shard, row: int) -> str:
    return f"{shard.path.name}/{shard.name(row)}"


def _recalled(shard: Shard, count: int) -> dict[int, str] | None:
    arrays = recall(shard.path, _VERSION)
    if arrays is None or not {"digests", "places", "reasons"} <= set(arrays) or len(arrays["digests"]) != count:
        return None
    shard.digests = arrays["digests"]
    reasons = arrays["reasons"].tobytes().decode("utf-8", "surrogateescape").split("\0")
    return dict(zip(arrays["places"].tolist(), reasons, strict=False))


def _keep(shard: Shard, reasons: dict[int, str]) -> None:
    text = "\0".join(reasons.values()).encode("utf-8", "surrogateescape")
    remember(
        shard.path,
        _VERSION,
        digests=shard.digests,
        places=np.array(list(reasons), dtype=np.int64),
        reasons=np.frombuffer(text, dtype=np.uint8),
    )


def nothing(path: Path, notes: Sequence[str]) -> str:
    """The sentence for data without one picture, with the first reason."""
    why = f" {notes[0].rstrip('.')}." if notes else ""
    return f"{path} has no picture with a label that can be read.{why}"
