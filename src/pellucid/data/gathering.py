"""Makes a dataset from encoded pictures and their labels, of folders, tables, Parquet files or tar archives.

Files that are not readable pictures are left out and named in the notes. Nothing is replaced or relabelled. Copies of a
file are kept, and form a group that stays in one split: otherwise a model is tested on pictures it learned from.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pellucid.data.decoding import SUFFIXES, probe
from pellucid.data.files import read_errors
from pellucid.data.hashing import threads
from pellucid.data.progress import watched
from pellucid.data.split_names import split_of
from pellucid.data.splitting import GROUPS, carve_test, lacking
from pellucid.errors import DataError, FormatError
from pellucid.records import Dataset, PictureFiles, Split
from pellucid.records.names import counted, listed, on_one_line
from pellucid.records.pictures import Member, Members

__all__ = [
    "HeaderCheck",
    "LeftOut",
    "Picture",
    "as_dataset",
    "files",
    "named_split",
    "read_headers",
    "unreadable_notes",
]

_FEW = 0.02
"""Files of an unusual format are reported if they are at most this share of the files."""
SPLITS = ("train", "validation", "test")
LeftOut = tuple[str, str, str]
"""(split, id, reason) of a file that could not be read."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture.

    Attributes:
        identity: its name, unique within the dataset.
        path: the file, or the member of a larger one.
        split: `train`, `validation` or `test`.
        label: its class.
        group: the patient, day, film ... that it belongs to; empty if unknown.
    """

    identity: str
    path: Path | Member
    split: str
    label: str
    group: str = ""


@dataclass(frozen=True)
class HeaderCheck:
    """The pictures whose headers can be read, and the files that cannot be read or look odd.

    Attributes:
        readable: the readable pictures.
        unreadable: the others, as (split, id, reason).
        misnamed: names of the files whose format differs from their suffix.
        unusual: names of the few files whose format differs from `usual_format`; empty if they are not few.
        usual_format: the most frequent format.
    """

    readable: list[Picture]
    unreadable: list[LeftOut]
    misnamed: list[str]
    unusual: Sequence[str] = ()
    usual_format: str = ""

    def notes(self) -> list[str]:
        """Names each file that was left out."""
        return unreadable_notes(self.unreadable)

    def format_notes(self) -> list[str]:
        """Names files of an unexpected format: they are often a web page's placeholder."""
        notes = []
        if self.misnamed:
            notes.append(f"{files(len(self.misnamed))} whose format differs from the suffix: {listed(self.misnamed)}")
        if self.unusual:
            notes.append(
                f"{files(len(self.unusual))} in another format than the others ({self.usual_format}); kept, but check "
                f"that {'it belongs' if len(self.unusual) == 1 else 'they belong'} there: {listed(self.unusual)}"
            )
        return notes


def unreadable_notes(unreadable: Sequence[LeftOut]) -> list[str]:
    """The number of files that could not be read, then each with its reason."""
    if not unreadable:
        return []
    count = f"{files(len(unreadable))} could not be read and left out, each named below"
    return [count, *(f"left out: {reason}" for _, _, reason in unreadable)]


def read_headers(pictures: Sequence[Picture]) -> HeaderCheck:
    """Reads the header of every file."""

    def read_header(picture: Picture) -> str | DataError:
        assert isinstance(picture.path, Path)
        try:
            return probe(picture.path, name=on_one_line(picture.identity))[0]
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            headers = list(watched(pool.map(read_header, pictures), len(pictures), "Reading the headers"))
        except BaseException:  # without this, Ctrl-C would wait for all files
            pool.shutdown(cancel_futures=True)
            raise
    readable, unreadable, misnamed, formats = [], [], [], []
    for picture, header in zip(pictures, headers, strict=True):
        if isinstance(header, DataError):
            unreadable.append((picture.split, picture.identity, str(header)))
            continue
        readable.append(picture)
        formats.append(header)
        if header != SUFFIXES.get(picture.path.suffix.lower(), header):
            misnamed.append(f"{picture.identity} (is {header})")
    usual = max(set(formats), key=formats.count, default="")
    unusual = [picture.identity for picture, kind in zip(readable, formats, strict=True) if kind != usual]
    few = len(unusual) <= _FEW * len(readable)
    return HeaderCheck(readable, unreadable, misnamed, unusual if few else (), usual)


@dataclass(frozen=True)
class Origin:
    """Where pictures come from.

    Attributes:
        name: name of the dataset.
        root: the folder that identities are relative to.
        description: one sentence.
        notes: what the user should know about the data.
        left_out: pictures that could not be read.
    """

    name: str
    root: Path
    description: str
    notes: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()


def as_dataset(
    pictures: Sequence[Picture],
    classes: Sequence[str],
    origin: Origin,
    *,
    has_splits: bool,
    test_fraction: float,
    seed: int,
    find_copies: bool = True,
) -> Dataset:
    """Makes the dataset, and carves a test split if it has no splits of its own.

    Args:
        pictures: the readable pictures, at least one.
        classes: the class names, in order.
        origin: their source.
        has_splits: whether the data have splits of their own.
        test_fraction: fraction to carve if they have none; 0 carves nothing, 1 makes everything the test split.
        seed: seed of the carving.
        find_copies: whether to find files with the same bytes; they then stay in one split.

    Raises:
        DataError: there is only one class, and `test_fraction` is not 1.
    """
    if len(classes) == 1 and test_fraction != 1:
        raise DataError(
            f"{origin.root} has pictures of one class only, '{on_one_line(classes[0])}'; a classifier needs two or "
            f"more. Make one folder of pictures per class."
        )
    copies = _copies(pictures) if find_copies else []
    groups = _joined(pictures, copies)
    splits = {}
    for split in SPLITS:
        in_split = [i for i, picture in enumerate(pictures) if picture.split == split]
        if in_split:
            splits[split] = _split(
                split, [pictures[i] for i in in_split], classes, origin.root, origin.name, [groups[i] for i in in_split]
            )
    all_notes = [*origin.notes, *_copies_note(copies)]
    if not has_splits and test_fraction == 1:
        splits = {"test": replace(splits["train"], name="test")}
    elif not has_splits and test_fraction:
        try:
            splits["train"], splits["test"], note = carve_test(splits["train"], test_fraction, seed)
            all_notes.append(note)
        except DataError:
            all_notes.append("there are too few pictures for a test split, so all are in train")
    all_notes += lacking(splits)
    return Dataset(origin.name, splits, origin.description, tuple(all_notes), tuple(origin.left_out))


def _split(
    name: str, pictures: Sequence[Picture], classes: Sequence[str], root: Path, dataset: str, groups: Sequence[str]
) -> Split:
    index = {label: i for i, label in enumerate(classes)}
    return Split(
        name,
        PictureFiles(_paths(pictures), root),
        np.array([index[picture.label] for picture in pictures], dtype=np.int64),
        tuple(classes),
        explicit_ids=np.array([picture.identity for picture in pictures]),
        columns={GROUPS: np.array(groups)} if any(groups) else {},
        dataset=dataset,
    )


def _paths(pictures: Sequence[Picture]) -> tuple[Path, ...] | Members:
    paths = [picture.path for picture in pictures]
    members = [path for path in paths if isinstance(path, Member)]
    if not members:
        return tuple(path for path in paths if isinstance(path, Path))
    shards = {id(member.shard): member.shard for member in members}
    number = {key: i for i, key in enumerate(shards)}
    return Members(
        tuple(shards.values()),
        np.array([number[id(member.shard)] for member in members], dtype=np.int32),
        np.array([member.index for member in members], dtype=np.int64),
    )


def _joined(pictures: Sequence[Picture], copies: Sequence[Sequence[Picture]]) -> list[str]:
    """The group of each picture: its own, or that of its copies; groups that share a copy become one."""
    if not copies and not any(picture.group for picture in pictures):
        return [""] * len(pictures)
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def own(picture: Picture) -> str:
        return picture.group or picture.identity

    for group in copies:
        for picture in group[1:]:
            parent[top(own(picture))] = top(own(group[0]))
    return [top(own(picture)) for picture in pictures]


def _copies(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """The groups of pictures with the same bytes. Only files of equal size are read."""
    by_content: dict[bytes, list[Picture]] = defaultdict(list)
    by_size: dict[int, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if isinstance(picture.path, Member):
            by_content[picture.path.digest].append(picture)
        else:
            with read_errors(picture.path):
                by_size[picture.path.stat().st_size].append(picture)
    for candidates in by_size.values():
        if len(candidates) > 1:
            for picture in candidates:
                assert isinstance(picture.path, Path)
                with read_errors(picture.path), picture.path.open("rb") as stream:
                    by_content[hashlib.file_digest(stream, "sha256").digest()].append(picture)
    return sorted((group for group in by_content.values() if len(group) > 1), key=lambda group: group[0].identity)


def _copies_note(groups: Sequence[Sequence[Picture]]) -> list[str]:
    if not groups:
        return []
    extra = sum(len(group) - 1 for group in groups)
    note = (
        f"{files(extra)} with the same bytes as another file; all are kept, and a split made here keeps copies together"
    )
    across = sum(len({picture.split for picture in group}) > 1 for group in groups)
    if across:
        note += f"; {counted(across, 'such picture')} in more than one split"
    in_several_classes = sum(len({picture.label for picture in group}) > 1 for group in groups)
    if in_several_classes:
        note += f"; {counted(in_several_classes, 'such picture')} in more than one class"
    # The check before a training lists all of them.
    return [f"{note}: {listed([' = '.join(picture.identity for picture in group) for group in groups], at_most=3)}"]


def named_split(name: str, where: str) -> str:
    """The split with this name: `val` is `validation`.

    Raises:
        FormatError: the name is not that of a split.
    """
    split = split_of(name)
    if split is None:
        raise FormatError(f"{where} has the split '{on_one_line(name)}'; expected: train, validation (or val) or test.")
    return split


def files(n: int) -> str:
    """`1 file`, `2 files`."""
    return f"{n:,} file" + "s" * (n != 1)
