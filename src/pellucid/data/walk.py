"""Walks through a folder, and sorts its files into pictures, by name, and others.

Hidden and system files are skipped and counted. Symbolic links are followed inside the folder; a link that leads out of
it or in a circle is an error.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.data.decoding import SUFFIXES
from pellucid.data.files import read_errors
from pellucid.data.labels import clean_name
from pellucid.data.split_names import mentions_split, split_folders
from pellucid.errors import DataError
from pellucid.records.names import on_one_line
from pellucid.records.paths import command_line

__all__ = ["Found", "walk"]

_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", "$recycle.bin", "system volume information"}


@dataclass
class Found:
    """Content of a folder. All names are relative to the root, with `/` between their parts.

    Attributes:
        pictures: split -> class -> files with the suffix of a picture, sorted.
        has_splits: whether the folder has `train`, `validation` or `test` folders.
        hidden: hidden and system files and folders.
        foreign: files in class folders without the suffix of a picture.
        astray: files and folders outside the class folders.
        unnameable: files whose names are not valid Unicode.
        split_like: classes that are called like a split.
        joined: class -> its folders; several if names differ only in Unicode form or outer spaces.
        left_out_folders: folder outside the splits -> number of pictures in it.
    """

    root: Path
    pictures: dict[str, dict[str, list[Path]]] = field(default_factory=lambda: defaultdict(dict))
    has_splits: bool = False
    hidden: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)
    unnameable: list[str] = field(default_factory=list)
    split_like: list[str] = field(default_factory=list)
    joined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    left_out_folders: dict[str, int] = field(default_factory=dict)

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def walk(root: Path, *, splits: bool | None = None) -> Found:
    """Find the class folders and their pictures.

    Args:
        root: the folder.
        splits: whether its folders are splits (true) or classes (false); None decides by their names.

    Raises:
        DataError: a link leads out of the folder, to nothing, or in a circle; two folders name the same split; a folder
            cannot be read; it is unclear whether the folders are splits or classes.
    """
    result = Found(root)
    entries = _entries(root, (root.resolve(),), result)
    folders = {entry.name: entry for entry in entries if entry.is_dir()}
    named = split_folders(folders) if splits is not False else {}
    if splits and "train" not in named.values():
        named = {name: split for name in folders if (split := mentions_split(name)) is not None}
    # A class may be called "test" if there is no folder "train" beside it.
    result.has_splits = "train" in named.values() or (bool(named) and len(named) == len(folders))
    if not result.has_splits:
        if splits is None:
            _require_clear(root, folders)
        elif splits:
            raise DataError(f"{root} has no folder called train. Name its folders train, validation and test.")
        result.split_like += named
        _gather(entries, (root.resolve(),), "train", result)
        return result
    if len(set(named.values())) < len(named):
        names = " and ".join(f"'{on_one_line(name)}'" for name in named)
        raise DataError(f"{root} has two folders for the same split: {names}. Keep one of them.")
    for entry in entries:
        if entry.name in folders and entry.name not in named:
            above = (root.resolve(), folders[entry.name].resolve())
            result.left_out_folders[entry.name] = sum(1 for _ in _files(entry, above, Found(root)))
        elif entry.name not in named:
            result.astray.append(result.relative(entry))
    for name, split in named.items():
        above = (root.resolve(), folders[name].resolve())
        _gather(_entries(folders[name], above, result), above, split, result)
    return result


def _require_clear(root: Path, folders: Iterable[str]) -> None:
    """Refuse folders that may be splits or classes, such as `train_1` and `test_1`.

    Raises:
        DataError: the names are ambiguous; the message says how to choose.
    """
    mentioned = {name: split for name in folders if (split := mentions_split(name)) is not None}
    if len(set(mentioned.values())) < 2 or "train" not in mentioned.values():
        return
    names = ", ".join(f"'{on_one_line(name)}'" for name in list(mentioned)[:4])
    if len(set(mentioned.values())) < len(mentioned):
        as_splits = "For splits, rename them to train, validation and test"
    else:
        as_splits = f"For splits: pellucid train {command_line(f'{root}?splits=yes')}"
    raise DataError(
        f"{root} has the folders {names}: are they splits or classes? {as_splits}; for classes: pellucid train "
        f"{command_line(f'{root}?splits=no')}"
    )


def _gather(entries: Iterable[Path], above: tuple[Path, ...], split: str, result: Found) -> None:
    """Add the class folders of one split; `entries` are the files and folders of the split."""
    for entry in entries:
        if entry.is_dir():
            label = clean_name(entry.name) or entry.name
            result.joined[label].add(entry.name)
            paths = result.pictures[split].get(label, []) + list(_files(entry, (*above, _real(entry, above)), result))
            result.pictures[split][label] = sorted(paths)
        else:
            result.astray.append(result.relative(entry))


def _files(folder: Path, above: tuple[Path, ...], result: Found) -> Iterable[Path]:
    """The files below a class folder that have the suffix of a picture."""
    # A list instead of recursion, because folders can be nested deeper than Python's call stack.
    waiting = [(folder, above)]
    while waiting:
        current, chain = waiting.pop()
        for entry in _entries(current, chain, result):
            if entry.is_dir():
                waiting.append((entry, (*chain, _real(entry, chain))))
            elif entry.suffix.lower() in SUFFIXES and entry.is_file():
                yield entry
            else:
                result.foreign.append(result.relative(entry))


def _entries(folder: Path, above: tuple[Path, ...], result: Found) -> list[Path]:
    """The entries of a folder, sorted by name, without hidden and system files. Checks symbolic links.

    `above` has the resolved folders from the root to this one, included.
    """
    with read_errors(folder):
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    entries_kept = []
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
            result.hidden.append(result.relative(entry))
        elif not _is_unicode(entry.name):
            result.unnameable.append(result.relative(entry))
        else:
            _check_link(entry, above)
            entries_kept.append(entry)
    return entries_kept


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _may_be_link(entry: Path) -> bool:
    # Windows also has junctions, which only `resolve` detects.
    return entry.is_symlink() or (os.name == "nt" and entry.is_dir())


def _real(folder: Path, above: tuple[Path, ...]) -> Path:
    """The resolved folder. Resolves only links, because resolving every folder is slow."""
    return folder.resolve() if _may_be_link(folder) else above[-1] / folder.name


def _check_link(entry: Path, above: tuple[Path, ...]) -> None:
    """Refuse a link (on Windows also a junction) that leads out of the root, to nothing, or in a circle."""
    if not _may_be_link(entry):
        return
    name = on_one_line(str(entry))
    try:
        goal = entry.resolve(strict=True)
    except FileNotFoundError as error:
        raise DataError(f"The link {name} leads to nothing. Remove it.") from error
    except (OSError, RuntimeError) as error:
        raise DataError(f"The link {name} leads in a circle. Remove it.") from error
    if not goal.is_relative_to(above[0]):
        raise DataError(
            f"The link {name} leads out of the folder, to {on_one_line(str(goal))}. Copy its target, or remove the "
            f"link."
        )
    if goal in above:
        raise DataError(f"The link {name} leads in a circle, back to {on_one_line(str(goal))}. Remove it.")
