"""Reader of WebDataset tar archives: `shard-000000.tar` with `key.jpg` next to `key.cls` or `key.json`.

Archives are never extracted: an index has the offset of each picture, and pictures are read from there. So names in an
archive can do no harm. A key is the path of a member up to the first dot of its last part. `key.cls` has a number or a
name; `key.json` a dictionary with `label`, `cls` or `class`. A file `classes.txt` beside the archives may name the
classes, one per line. Format: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import contextlib
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
    unreadable_notes,
)
from pellucid.data.labels import clean_classes, clean_label, ordered_classes
from pellucid.data.progress import watched
from pellucid.data.shards import beneath, examine, find, nothing
from pellucid.errors import DataError, FormatError, MissingDataError
from pellucid.records import Dataset, json_text
from pellucid.records.names import counted, listed, on_one_line
from pellucid.records.pictures import Member

__all__ = ["TarShard", "read", "recognises"]

_LABELS = ("label", "cls", "class")
_LOOKED_AT = 20
_LARGEST_LABEL = 1_000_000


@dataclass
class TarShard:
    """An archive: names, offsets, sizes in bytes and labels of its pictures, in the order of the members."""

    path: Path
    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
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
        """The bytes of all pictures, in order."""
        return (self.read(row) for row in range(len(self.names)))


def recognises(path: Path) -> bool:
    """Whether a path is a WebDataset archive, or a folder of `.tar` files of which the first one is."""
    if path.is_dir():
        archives = beneath(path, ".tar")
        return bool(archives) and _is_shard(archives[0])
    return path.name.lower().endswith(".tar") and _is_shard(path)


def _is_shard(path: Path) -> bool:
    """Whether the first members contain a picture and a label with the same key."""
    kinds: dict[str, set[str]] = {}
    # Damage further on does not matter here: the reader reports it.
    faults = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError, FormatError)
    with contextlib.suppress(*faults), tarfile.open(path, "r:") as archive:
        for _, member in zip(range(_LOOKED_AT), _members(archive, path, path.stat().st_size), strict=False):
            key, suffix = _key(member.name)
            kinds.setdefault(key, set()).add(suffix)
    return any(suffixes & {".cls", ".json"} and suffixes & set(SUFFIXES) for suffixes in kinds.values())


def _key(name: str) -> tuple[str, str]:
    """Key and last suffix of a name: `a/b.c.jpg` gives `a/b` and `.jpg`."""
    folder, slash, last = name.rpartition("/")
    key = last.split(".", 1)[0]
    return folder + slash + key, Path(last).suffix.lower()


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Read an archive or a folder of archives. Pictures stay in the archives and are decoded on demand.

    Raises:
        FormatError: an archive is damaged or compressed, or a label is invalid.
        MissingDataError: there are no pictures, or a numbered archive is missing.
    """
    archives = find(path, ".tar")
    shards = {split: [_index(archive) for archive in paths] for split, paths in archives.splits.items()}
    every = [shard for split_shards in shards.values() for shard in split_shards]
    reasons = examine(every, lambda shard: len(shard.names), TarShard.contents)
    reasons_of = {id(shard): shard_reasons for shard, shard_reasons in zip(every, reasons, strict=True)}
    top = path if path.is_dir() else path.parent
    names = _class_names(top / "classes.txt")
    pictures: list[Picture] = []
    unlabelled: list[str] = []
    unreadable: list[LeftOut] = []
    for split, split_shards in shards.items():
        for shard in split_shards:
            why = reasons_of[id(shard)]
            for row, label in enumerate(shard.labels):
                identity = f"{shard.path.relative_to(top).as_posix()}/{shard.names[row]}"
                if row in why:
                    unreadable.append((split, identity, why[row]))
                if label is None:
                    unlabelled.append(identity)
                elif row not in why:
                    pictures.append(Picture(identity, Member(shard, row), split, _class_name(label, names, shard, row)))
    notes = [*archives.notes, *_notes(every, unlabelled, unreadable)]
    if not pictures:
        raise MissingDataError(nothing(path, notes))
    classes = names or ordered_classes(picture.label for picture in pictures)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    origin = Origin(name, top, f"Pictures in tar archives ({files(len(every))}).", notes, unreadable)
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
    ignored = [name for shard in shards for name in shard.ignored]
    if ignored:
        notes.append(f"{files(len(ignored))} in the archives ignored (neither pictures nor labels): {listed(ignored)}")
    return notes


def _index(path: Path) -> TarShard:
    """Index the pictures and labels of an archive.

    Raises:
        FormatError: it is damaged or compressed, or has an invalid label.
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
                    shard.ignored.append(f"{path.name}/{member.name}")
    except (tarfile.TarError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise FormatError(
            f"{path} is damaged or not a tar archive ({error}). Copy it again; if it is compressed (.gz), unpack it to "
            f".tar first."
        ) from error
    if len(set(shard.names)) < len(shard.names):
        raise FormatError(f"{path} has two pictures with the same name. Write the archive again.")
    shard.labels = [labels.get(key) for key in keys]
    return shard


def _members(archive: tarfile.TarFile, path: Path, size: int) -> Iterator[tarfile.TarInfo]:
    """The members of an archive of `size` bytes, each after the previous one and inside the file.

    Raises:
        FormatError: a header declares a negative size, or more bytes than the file has.
    """
    cached = vars(archive)["members"]  # tarfile keeps an object for each member; there may be a million
    end = -1
    for member in archive:
        cached.clear()
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
        raise FormatError(f"{where} is not a label: it has {counted(member.size, 'byte')}.")
    try:
        text = stream.read().decode("utf-8").strip()
        value = text if suffix == ".cls" else json_text.parse(text)
    except ValueError as error:
        raise FormatError(f"{where} is not a label: it is not {'text' if suffix == '.cls' else 'JSON'}.") from error
    if suffix == ".json":
        value = next((value[key] for key in _LABELS if key in value), None) if isinstance(value, dict) else None
        if value is None:
            return None
    try:
        label = clean_label(value)
    except ValueError as error:
        raise FormatError(f"{where}: {error}.") from error
    if label is not None and "\n" in label:
        raise FormatError(f"{where} is not a label: expected a number or a name.")
    return label


def _class_names(path: Path) -> tuple[str, ...]:
    """The lines of `classes.txt`; empty if the file does not exist."""
    if not path.is_file():
        return ()
    with read_errors(path):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return clean_classes([line for line in lines if line.strip()], str(path))
        except UnicodeDecodeError as error:
            raise FormatError(f"{path} is not text in UTF-8. Save it as UTF-8.") from error


def _class_name(label: str, names: tuple[str, ...], shard: TarShard, row: int) -> str:
    """The class of a label; a number is an index into `names`, the lines of `classes.txt`."""
    if not names or label in names:
        return label
    if label.isdecimal() and int(label) < len(names):
        return names[int(label)]
    raise DataError(
        f"{shard.path}: the label '{on_one_line(label)}' of '{on_one_line(shard.names[row])}' is not one of the "
        f"{len(names)} classes in classes.txt."
    )
