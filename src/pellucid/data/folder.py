"""A folder of class folders of pictures, with or without `train`, `validation` and `test` above them.

    photos/                      photos/
      ants/                        train/
        one.jpg                      ants/one.jpg
        garden/two.png               bees/three.jpg
      bees/                        val/
        three.jpg                    ants/four.jpg ...

Real folders are not tidy. What is not a picture, or cannot be read as one, is left out and named in the notes; hidden
and system files are left out and counted. Nothing is replaced or relabelled. Copies of one file are kept, and form a
group that is never torn apart when a split is carved: else a picture would be both learned from and tested on.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data.decoding import SUFFIXES, probe
from pellucid.data.files import read_errors
from pellucid.data.splitting import GROUPS, carve, carved_note, lacking
from pellucid.data.walk import Found, on_one_line, walk
from pellucid.errors import DataError, MissingDataError
from pellucid.records import Dataset, PictureFiles, Split

__all__ = ["read"]

_SHOWN = 20


@dataclass(frozen=True)
class _Picture:
    """One file that is named as a picture."""

    identity: str
    path: Path
    split: str
    label: str


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0, opened: bool = True) -> Dataset:
    """Reads a folder of class folders; the pictures stay files, decoded on demand.

    Every file's header is read, so that what is no picture is known before training. Where the folder has no splits,
    a test split is carved off; where it has `train` but no `test`, none is invented.

    Args:
        path: the folder.
        test_fraction: which part is carved off; 0 is none.
        seed: of the carving.
        opened: false opens no file, so that whatever is named as a picture is taken for one; for who decodes all of
            them at once anyway.

    Raises:
        MissingDataError: there are no pictures.
        DataError: there is only one class; or a link leads out of the folder, to nothing or in a circle.
    """
    found = walk(path)
    named = [
        _Picture(found.relative(file), file, split, label)
        for split, classes in found.pictures.items()
        for label, files in classes.items()
        for file in files
    ]
    named.sort(key=lambda picture: picture.identity)
    readable, unreadable, misnamed = _check(named) if opened else (named, [], [])
    if not readable:
        raise MissingDataError(_nothing(path, found, unreadable))
    classes = tuple(sorted({picture.label for picture in readable}))
    if len(classes) == 1:
        raise DataError(
            f"{path} has pictures of one class only, '{on_one_line(classes[0])}'; a classifier needs two or more. Make "
            f"one folder of pictures per class."
        )
    name = path.resolve().name or "folder"
    copies = _copies(readable) if opened else []
    splits = {
        split: _split(split, [picture for picture in readable if picture.split == split], classes, path, name, copies)
        for split in ("train", "validation", "test")
        if any(picture.split == split for picture in readable)
    }
    notes = _notes(found, unreadable, misnamed, classes) + _copies_note(copies)
    if not found.has_splits and test_fraction:
        try:
            splits["train"], splits["test"] = carve(splits["train"], test_fraction, seed, name="test")
            notes.append(carved_note(len(splits["test"]), test_fraction, seed))
        except DataError:
            notes.append("no test split was given, and there are too few pictures to set any apart")
    notes += lacking(splits)
    return Dataset(name, splits, f"Pictures of the folder {on_one_line(name)}, one folder per class.", tuple(notes))


def _split(
    name: str,
    pictures: list[_Picture],
    classes: tuple[str, ...],
    root: Path,
    dataset: str,
    copies: list[list[_Picture]],
) -> Split:
    """One split; where the folder has copies, its column `groups` names the first file of those bytes."""
    index = {label: i for i, label in enumerate(classes)}
    first = {picture.identity: group[0].identity for group in copies for picture in group}
    groups = np.array([first.get(picture.identity, picture.identity) for picture in pictures])
    return Split(
        name,
        PictureFiles(tuple(picture.path for picture in pictures), root),
        np.array([index[picture.label] for picture in pictures], dtype=np.int64),
        classes,
        given_ids=np.array([picture.identity for picture in pictures]),
        columns={GROUPS: groups} if copies else {},
        dataset=dataset,
    )


def _check(pictures: list[_Picture]) -> tuple[list[_Picture], list[str], list[str]]:
    """Reads every header.

    Returns:
        What can be read; a sentence on each of the others; and what is of another format than its name says.
    """

    def look(picture: _Picture) -> str | DataError:
        try:
            return probe(picture.path, name=on_one_line(picture.identity))[0]
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        looks = list(pool.map(look, pictures))
    readable, unreadable, misnamed = [], [], []
    for picture, seen in zip(pictures, looks, strict=True):
        if isinstance(seen, DataError):
            unreadable.append(str(seen))
            continue
        readable.append(picture)
        if seen != SUFFIXES[picture.path.suffix.lower()]:
            misnamed.append(f"{picture.identity} (is {seen})")
    return readable, unreadable, misnamed


def _notes(found: Found, unreadable: list[str], misnamed: list[str], classes: tuple[str, ...]) -> list[str]:
    notes = [f"left out: {reason}" for reason in unreadable]
    if unreadable:
        notes.insert(0, f"{_files(len(unreadable))} could not be read and left out, each named below")
    notes += [
        f"the folder '{on_one_line(label)}' was read as a class, as there is no 'train' beside it"
        for label in found.split_like
    ]
    if found.unnameable:
        notes.append(f"{_files(len(found.unnameable))} left out, as the name is not Unicode: {_list(found.unnameable)}")
    if found.astray:
        notes.append(f"{_files(len(found.astray))} outside the class folders left out: {_list(found.astray)}")
    if found.foreign:
        notes.append(
            f"{_files(len(found.foreign))} not named as PNG, JPEG, WebP, BMP or GIF left out: {_list(found.foreign)}"
        )
    empty = sorted({label for labels in found.pictures.values() for label in labels} - set(classes))
    if empty:
        notes.append(f"{len(empty)} class folder{'s' * (len(empty) > 1)} without a picture left out: {_list(empty)}")
    if found.hidden:
        kinds = sorted({name.rsplit("/", 1)[-1] for name in found.hidden})
        count = len(found.hidden)
        notes.append(f"{count:,} hidden or system file{'s' * (count > 1)} ignored: {_list(kinds)}")
    if misnamed:
        notes.append(f"{_files(len(misnamed))} of another format than the name says: {_list(misnamed)}")
    return notes


def _copies(pictures: list[_Picture]) -> list[list[_Picture]]:
    """The groups of files with exactly the same bytes; only those of equal size are read."""
    by_size: dict[int, list[_Picture]] = defaultdict(list)
    for picture in pictures:
        with read_errors(picture.path):
            by_size[picture.path.stat().st_size].append(picture)
    groups: list[list[_Picture]] = []
    for alike in by_size.values():
        by_content: dict[bytes, list[_Picture]] = defaultdict(list)
        if len(alike) > 1:
            for picture in alike:
                with read_errors(picture.path), picture.path.open("rb") as stream:
                    by_content[hashlib.file_digest(stream, "sha256").digest()].append(picture)
        groups += [group for group in by_content.values() if len(group) > 1]
    return sorted(groups, key=lambda group: group[0].identity)


def _copies_note(groups: list[list[_Picture]]) -> list[str]:
    if not groups:
        return []
    extra = sum(len(group) - 1 for group in groups)
    note = f"{_files(extra)} with exactly the bytes of another one, kept, and kept together where a split is carved"
    across = sum(len({picture.split for picture in group}) > 1 for group in groups)
    if across:
        note += f"; {across:,} such picture{'s' * (across > 1)} in more than one split"
    torn = sum(len({picture.label for picture in group}) > 1 for group in groups)
    if torn:
        note += f"; {torn:,} such picture{'s' * (torn > 1)} in more than one class"
    return [f"{note}: {_list([' = '.join(picture.identity for picture in group) for group in groups])}"]


def _nothing(root: Path, found: Found, unreadable: list[str]) -> str:
    """Why there is no picture at all."""
    if unreadable:
        return f"{root} has no picture that can be read, of {_files(len(unreadable))}. The first: {unreadable[0]}"
    loose = sum(Path(name).suffix.lower() in SUFFIXES for name in found.astray)
    if loose:
        return (
            f"{root} has {loose:,} picture{'s' * (loose > 1)}, but no class folders. Make one folder per class in it, "
            f"and put the pictures there."
        )
    return (
        f"{root} has no pictures (PNG, JPEG, WebP, BMP or GIF). Give a folder that has one folder of pictures per "
        f"class."
    )


def _files(n: int) -> str:
    return f"{n:,} file" + "s" * (n != 1)


def _list(names: list[str]) -> str:
    shown = ", ".join(f"'{on_one_line(name)}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
