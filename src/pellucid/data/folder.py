"""A folder of class folders of pictures, with or without `train`, `validation` and `test` above them.

    photos/                      photos/
      ants/                        train/
        one.jpg                      ants/one.jpg
        garden/two.png               bees/three.jpg
      bees/                        val/
        three.jpg                    ants/four.jpg ...

Real folders are not tidy. What is not a picture, or cannot be read as one, is left out and named in the notes; hidden
and system files are left out and counted. Nothing is replaced or relabelled. Links are followed while they stay inside
the folder and make no circle.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pellucid.data.decoding import SUFFIXES, probe
from pellucid.data.splitting import carve
from pellucid.errors import DataError, FormatError, MissingDataError
from pellucid.records import Dataset, PictureFiles, Split

__all__ = ["read"]

_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"}
_SHOWN = 20


@dataclass
class _Found:
    """What was met on the way through a folder."""

    pictures: dict[str, dict[str, list[Path]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    hidden: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Reads a folder of class folders; the pictures stay files, decoded on demand.

    Every file's header is read, so that what is no picture is known before training. Where the folder has no splits,
    a test split is carved off; where it has `train` but no `test`, none is invented.

    Raises:
        MissingDataError: there are no pictures.
        DataError: there is only one class, or a link leads out of the folder or in a circle.
    """
    found = _Found()
    parts = {entry.name: entry for entry in _entries(path, path, found) if entry.is_dir()}
    splits = {name: _SPLITS[name.lower()] for name in parts if name.lower() in _SPLITS}
    if len(set(splits.values())) < len(splits):
        raise DataError(f"{path} has two folders for one split: {_listed(sorted(splits))}. Keep one of them.")
    if "train" in splits.values():
        for name in sorted(set(parts) - set(splits)):
            found.astray.append(f"{name}/")
        for name, split in splits.items():
            _gather(parts[name], path, split, found)
    elif splits and not set(parts) - set(splits):
        for name, split in splits.items():
            _gather(parts[name], path, split, found)
    else:
        # A class may be called "test" as long as there is no "train" beside it.
        splits = {}
        _gather(path, path, "train", found)
    return _assemble(path, found, bool(splits), test_fraction, seed)


def _assemble(root: Path, found: _Found, given: bool, test_fraction: float, seed: int) -> Dataset:  # noqa: FBT001
    everything = [(split, name, file) for split, classes in found.pictures.items() for name, files in classes.items() for file in files]
    readable, unreadable, misnamed = _check(root, [file for _, _, file in everything])
    notes = _notes(root, found, unreadable, misnamed, _copies(root, readable))
    kept = set(readable)
    classes = tuple(sorted({name for _, name, file in everything if file in kept}))
    if not kept:
        raise MissingDataError(_nothing(root, found, unreadable))
    if len(classes) == 1:
        raise DataError(
            f"{root} has pictures of one class only, '{_shown(classes[0])}'; a classifier needs two or more. Make one "
            f"folder of pictures per class."
        )
    name = root.resolve().name or "folder"
    index = {label: i for i, label in enumerate(classes)}
    splits: dict[str, Split] = {}
    for split in ("train", "validation", "test"):
        members = sorted(
            (file.relative_to(root).as_posix(), file, index[label])
            for part, label, file in everything
            if part == split and file in kept
        )
        if not members:
            continue
        splits[split] = Split(
            split,
            PictureFiles(tuple(file for _, file, _ in members), root),
            np.array([label for _, _, label in members], dtype=np.int64),
            classes,
            given_ids=np.array([identity for identity, _, _ in members]),
            dataset=name,
        )
        absent = [label for label, n in splits[split].counts().items() if n == 0]
        if absent:
            notes.append(f"{split} lacks the class{'es' if len(absent) > 1 else ''} {_listed(absent)}")
    if not given and test_fraction:
        _carve_test(splits, test_fraction, seed, notes)
    return Dataset(name, splits, f"Pictures of the folder {name}, one folder per class.", tuple(notes))


def _carve_test(splits: dict[str, Split], fraction: float, seed: int, notes: list[str]) -> None:
    try:
        splits["train"], splits["test"] = carve(splits["train"], fraction, seed, name="test")
    except DataError:
        notes.append("no test split: there are too few pictures to set any apart")
        return
    notes.append(
        f"no test split was given: {len(splits['test']):,} pictures ({100 * fraction:g} % of each class) were set "
        f"apart by seed {seed}"
    )


def _entries(folder: Path, root: Path, found: _Found) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden and system files; links are checked."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except PermissionError as error:
        raise DataError(f"{folder} may not be read by this user. Change its permissions, or copy it.") from error
    kept = []
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
            found.hidden.append(entry.relative_to(root).as_posix())
            continue
        if entry.is_symlink():
            _check_link(entry, root)
        kept.append(entry)
    return kept


def _check_link(link: Path, root: Path) -> None:
    try:
        goal = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "to nothing" if missing else "in a circle"
        raise DataError(f"The link {_shown(str(link))} leads {what}. Remove it.") from error
    if not goal.is_relative_to(root.resolve()):
        raise DataError(
            f"The link {_shown(str(link))} leads out of the folder, to {goal}. Copy what it leads to, or remove it."
        )
    if goal.is_dir() and link.parent.resolve().is_relative_to(goal):
        raise DataError(f"The link {_shown(str(link))} leads in a circle, back to {goal}. Remove it.")


def _gather(folder: Path, root: Path, split: str, found: _Found) -> None:
    """Takes the class folders of one split."""
    for entry in _entries(folder, root, found):
        if entry.is_dir():
            for file in _walk(entry, root, found):
                found.pictures[split][entry.name].append(file)
        else:
            found.astray.append(entry.relative_to(root).as_posix())


def _walk(folder: Path, root: Path, found: _Found) -> Iterator[Path]:
    """The files below a class folder that call themselves pictures."""
    for entry in _entries(folder, root, found):
        if entry.is_dir():
            yield from _walk(entry, root, found)
        elif entry.suffix.lower() in SUFFIXES and entry.is_file():
            yield entry
        else:
            found.foreign.append(entry.relative_to(root).as_posix())


def _check(root: Path, files: list[Path]) -> tuple[list[Path], dict[str, str], list[str]]:
    """Reads every header: (readable files, {id: reason} of the others, ids whose content is of another format)."""

    def look(file: Path) -> str | DataError:
        try:
            return probe(file)[0]
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        looks = list(pool.map(look, files))
    readable, unreadable, misnamed = [], {}, []
    for file, seen in zip(files, looks, strict=True):
        identity = file.relative_to(root).as_posix()
        if isinstance(seen, DataError):
            unreadable[identity] = str(seen)
            continue
        readable.append(file)
        if seen != SUFFIXES[file.suffix.lower()]:
            misnamed.append(f"{identity} (content {seen})")
    return readable, unreadable, misnamed


def _copies(root: Path, files: Iterable[Path]) -> list[list[str]]:
    """Groups of files with exactly the same bytes; only those of equal size are read."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        by_size[file.stat().st_size].append(file)
    groups = []
    for alike in by_size.values():
        if len(alike) < 2:
            continue
        by_content: dict[bytes, list[str]] = defaultdict(list)
        for file in alike:
            by_content[hashlib.sha256(file.read_bytes()).digest()].append(file.relative_to(root).as_posix())
        groups += [sorted(names) for names in by_content.values() if len(names) > 1]
    return sorted(groups)


def _notes(
    root: Path, found: _Found, unreadable: dict[str, str], misnamed: list[str], copies: list[list[str]]
) -> list[str]:
    notes = []
    if unreadable:
        notes.append(f"{_files(len(unreadable))} could not be read and {_were(len(unreadable))} left out:")
        notes += [_shown(reason) for _, reason in sorted(unreadable.items())]
    if found.astray:
        notes.append(f"{_files(len(found.astray))} outside the class folders left out: {_listed(found.astray)}")
    if found.foreign:
        notes.append(f"{_files(len(found.foreign))} not named as a picture left out: {_listed(found.foreign)}")
    if found.hidden:
        names = Counter(name.rsplit("/", 1)[-1] for name in found.hidden)
        kinds = ", ".join(_shown(name) for name in sorted(names))
        notes.append(f"{len(found.hidden):,} hidden or system {_files(len(found.hidden))[2:]} ignored: {kinds}")
    if misnamed:
        notes.append(f"{_files(len(misnamed))} read by content, which is not what the name says: {_listed(misnamed)}")
    if copies:
        extra = sum(len(group) - 1 for group in copies)
        shown = "; ".join(" = ".join(_shown(name) for name in group) for group in copies[:_SHOWN])
        notes.append(f"{_files(extra)} with exactly the bytes of another one, kept: {shown}")
    return notes


def _nothing(root: Path, found: _Found, unreadable: dict[str, str]) -> str:
    if unreadable:
        first = next(iter(sorted(unreadable.values())))
        return f"{root} has no picture that can be read: {len(unreadable):,} files are damaged; the first: {first}"
    loose = [name for name in found.astray if Path(name).suffix.lower() in SUFFIXES]
    if loose:
        return (
            f"{root} has {len(loose):,} pictures, but no class folders. Make one folder per class in it, and put the "
            f"pictures there."
        )
    return (
        f"{root} has no pictures (PNG, JPEG, WebP, BMP or GIF). Give a folder that has one folder of pictures per class."
    )


def _files(n: int) -> str:
    return f"{n:,} file" + ("s" if n != 1 else "")


def _were(n: int) -> str:
    return "were" if n != 1 else "was"


def _shown(name: str) -> str:
    """A name on one line: line ends and other control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{_shown(name)}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
