"""Tar archives in the form of WebDataset: `shard-000000.tar` with `key.jpg` and `key.cls`, or `key.json`, side by side.

The archives are not unpacked: where each member begins is noted, and a picture is read from there. So no name within
can do harm. A key is a member's path up to the first dot of its last part. `key.cls` holds a number or a name;
`key.json` a dictionary with one of `label`, `cls` or `class`. A file `classes.txt` beside the archives may name the
numbers, one a line. The format is that of https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pellucid.data.decoding import SUFFIXES
from pellucid.data.files import read_errors
from pellucid.data.gathering import (
    LeftOut,
    Origin,
    Picture,
    as_dataset,
    files,
    listed,
    unreadable_notes,
)
from pellucid.data.labels import clean_classes, clean_label, ordered_classes
from pellucid.data.progress import watched
from pellucid.data.shards import beneath, examine, find, nothing
from pellucid.data.walk import on_one_line
from pellucid.errors import DataError, FormatError, MissingDataError
from pellucid.records import Dataset
from pellucid.records.pictures import Member

__all__ = ["TarShard", "read", "recognises"]

_LABELS = ("label", "cls", "class")
_LOOKED_AT = 20
_LARGEST_LABEL = 1_000_000


@dataclass
class TarShard:
    """An archive: where its pictures are. The places are in the order of the members."""

    path: Path
    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    digests: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype="S32"))

    def read(self, row: int) -> bytes:
        with read_errors(self.path), self.path.open("rb") as stream:
            stream.seek(self.starts[row])
            content = stream.read(self.sizes[row])
        if len(content) < self.sizes[row]:
            raise FormatError(f"{self.path} is cut off. Copy it again.")
        return content

    def name(self, row: int) -> str:
        return self.names[row]

    def contents(self) -> Iterator[bytes]:
        """All pictures, in their order."""
        return (self.read(row) for row in range(len(self.names)))


def recognises(path: Path) -> bool:
    """Whether it is such an archive, or a folder of `.tar` files whose first one is."""
    if path.is_dir():
        archives = beneath(path, ".tar")
        return bool(archives) and _is_shard(archives[0])
    return path.name.lower().endswith(".tar") and _is_shard(path)


def _is_shard(path: Path) -> bool:
    """Whether a picture and a label with one key are among the first members."""
    kinds: dict[str, set[str]] = {}
    # What is damaged further on is this format still, and is refused as such.
    faults = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError, FormatError)
    with contextlib.suppress(*faults), tarfile.open(path, "r:") as archive:
        for _, member in zip(range(_LOOKED_AT), _members(archive, path, path.stat().st_size), strict=False):
            key, suffix = _key(member.name)
            kinds.setdefault(key, set()).add(suffix)
    return any(suffixes & {".cls", ".json"} and suffixes & set(SUFFIXES) for suffixes in kinds.values())


def _key(name: str) -> tuple[str, str]:
    """`a/b.c.jpg` is the key `a/b` and the suffix `.jpg`; of several parts after the key the last one says the kind."""
    folder, slash, last = name.rpartition("/")
    key = last.split(".", 1)[0]
    return folder + slash + key, Path(last).suffix.lower()


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Reads an archive, or a folder of them; the pictures stay where they are, decoded on demand.

    Raises:
        FormatError: an archive is damaged or packed, or a label is none.
        MissingDataError: there are no pictures, or a numbered archive is not there.
    """
    archives = find(path, ".tar")
    shards = {split: [_index(one) for one in paths] for split, paths in archives.splits.items()}
    every = [shard for split_shards in shards.values() for shard in split_shards]
    reasons = examine(every, lambda shard: len(shard.names), TarShard.contents)
    why = {id(shard): one for shard, one in zip(every, reasons, strict=True)}
    top = path if path.is_dir() else path.parent
    names = _class_names(top / "classes.txt")
    pictures: list[Picture] = []
    unlabelled: list[str] = []
    unreadable: list[LeftOut] = []
    for split, split_shards in shards.items():
        for shard in split_shards:
            for row, label in enumerate(shard.labels):
                identity = f"{shard.path.relative_to(top).as_posix()}/{shard.names[row]}"
                if row in why[id(shard)]:
                    unreadable.append((split, identity, why[id(shard)][row]))
                if label is None:
                    unlabelled.append(identity)
                elif row not in why[id(shard)]:
                    called = _called(label, names, shard, row)
                    pictures.append(Picture(identity, Member(shard, row), split, called))
    notes = [*archives.notes, *_notes(every, unlabelled, unreadable)]
    if not pictures:
        raise MissingDataError(nothing(path, notes))
    classes = names or ordered_classes(picture.label for picture in pictures)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    origin = Origin(name, top, f"Pictures of tar archives ({files(len(every))}).", notes, unreadable)
    return as_dataset(
        pictures,
        classes,
        origin,
        has_splits=archives.has_splits,
        test_fraction=test_fraction,
        seed=seed,
    )


def _notes(shards: list[TarShard], unlabelled: list[str], unreadable: list[LeftOut]) -> list[str]:
    notes = unreadable_notes(unreadable)
    if unlabelled:
        notes.append(f"{files(len(unlabelled))} without a label left out: {listed(unlabelled)}")
    strangers = [name for shard in shards for name in shard.strangers]
    if strangers:
        notes.append(
            f"{files(len(strangers))} in the archives of no use here (links, or of other kinds): {listed(strangers)}"
        )
    return notes


def _index(path: Path) -> TarShard:
    """Where the pictures and labels of an archive are.

    Raises:
        FormatError: it is damaged, packed, or has a label that is none.
    """
    shard = TarShard(path)
    labels: dict[str, str] = {}
    keys: list[str] = []
    try:
        with read_errors(path), tarfile.open(path, "r:") as archive:
            size = path.stat().st_size
            for member in watched(_members(archive, path, size), 0, f"Reading {path.name}"):
                key, suffix = _key(member.name)
                if member.isreg() and suffix in (".cls", ".json"):
                    label = _label(archive, member, suffix, path)
                    if label is not None:
                        labels[key] = label
                elif member.isreg() and suffix in SUFFIXES and not member.issparse():
                    keys.append(key)
                    shard.names.append(member.name)
                    shard.starts.append(member.offset_data)
                    shard.sizes.append(member.size)
                elif not member.isdir():
                    shard.strangers.append(f"{path.name}/{member.name}")
    except (tarfile.TarError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise FormatError(
            f"{path} is no whole tar archive ({error}). Copy it again; if it is packed (.gz), unpack it to .tar first."
        ) from error
    if len(set(shard.names)) < len(shard.names):
        raise FormatError(f"{path} has two pictures of one name. Write the archive anew.")
    shard.labels = [labels.get(key) for key in keys]
    return shard


def _members(archive: tarfile.TarFile, path: Path, size: int) -> Iterator[tarfile.TarInfo]:
    """The members of an archive of `size` bytes, each behind the one before it and within the file.

    Raises:
        FormatError: a header declares a negative size, or more than the file holds.
    """
    kept = vars(archive)["members"]  # it would keep an object for each of a million members
    end = -1
    for member in archive:
        kept.clear()
        if member.size < 0 or member.offset_data <= end:
            raise FormatError(f"{path} is damaged: the header of '{on_one_line(member.name)}' declares a wrong size.")
        if member.isreg() and member.offset_data + member.size > size:
            raise FormatError(f"{path} is cut off within '{on_one_line(member.name)}'. Copy it again.")
        end = member.offset_data - 1
        yield member


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, path: Path) -> str | None:
    where = f"{path}: '{on_one_line(member.name)}'"
    stream = archive.extractfile(member)
    if stream is None or member.size > _LARGEST_LABEL:
        raise FormatError(f"{where} is no label: it has {member.size:,} bytes.")
    try:
        text = stream.read().decode("utf-8").strip()
        value = text if suffix == ".cls" else json.loads(text)
    except ValueError as error:
        raise FormatError(f"{where} is no label: it is not {'text' if suffix == '.cls' else 'JSON'}.") from error
    if suffix == ".json":
        value = next((value[key] for key in _LABELS if key in value), None) if isinstance(value, dict) else None
        if value is None:
            return None
    try:
        label = clean_label(value)
    except ValueError as error:
        raise FormatError(f"{where}: {error}.") from error
    if label is not None and "\n" in label:
        raise FormatError(f"{where} is no label: expected is a number or a name.")
    return label


def _class_names(path: Path) -> tuple[str, ...]:
    """The lines of `classes.txt`; none where it is not there."""
    if not path.is_file():
        return ()
    with read_errors(path):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return clean_classes([line for line in lines if line.strip()], str(path))
        except UnicodeDecodeError as error:
            raise FormatError(f"{path} is not text in UTF-8. Save it as such.") from error


def _called(label: str, names: tuple[str, ...], shard: TarShard, row: int) -> str:
    """The class of a label: numbers are places in `classes.txt`, where that is there."""
    if not names or label in names:
        return label
    if label.isdecimal() and int(label) < len(names):
        return names[int(label)]
    raise DataError(
        f"{shard.path}: the label '{on_one_line(label)}' of '{on_one_line(shard.names[row])}' is none of the "
        f"{len(names)} classes in classes.txt."
    )
