"""Reader of a folder with one folder of pictures per class, optionally below `train`, `validation` and `test`.

    photos/                      photos/
      ants/                        train/
        one.jpg                      ants/one.jpg
        garden/two.png               bees/three.jpg
      bees/                        val/
        three.jpg                    ants/four.jpg ...

Files that are not pictures or cannot be read are left out and named in the notes; hidden and system files are counted.
Nothing is replaced or relabelled. Copies of a file stay in the data, and always in the same split: otherwise a picture
could be both trained and tested on.
"""

from __future__ import annotations

from pathlib import Path

from pellucid.data.decoding import READABLE, SUFFIXES
from pellucid.data.gathering import HeaderCheck, Origin, Picture, as_dataset, files, read_headers
from pellucid.data.labels import ordered_classes
from pellucid.data.split_names import split_of
from pellucid.data.walk import Found, walk
from pellucid.errors import DataError, MissingDataError
from pellucid.records import Dataset
from pellucid.records.names import counted, listed, on_one_line

__all__ = ["read"]


def read(
    path: Path, *, test_fraction: float = 0.2, seed: int = 0, opened: bool = True, splits: bool | None = None
) -> Dataset:
    """Read a folder of class folders. Pictures stay in their files and are decoded on demand.

    The header of every file is read, so that unreadable files are known before training. A folder without splits gets a
    test split; a folder with `train` but no `test` does not.

    Args:
        path: the folder.
        test_fraction: fraction of the pictures to split off as the test split; 0 makes no test split.
        seed: seed of the split.
        opened: whether to read the headers. If not, every file with the suffix of a picture counts as one; for callers
            that decode all of them anyway.
        splits: whether its folders are splits (true) or classes (false); None decides by their names.

    Raises:
        MissingDataError: there are no pictures.
        DataError: there is only one class; or a link leads out of the folder, to nothing or in a circle.
    """
    walked = walk(path, splits=splits)
    named = [
        Picture(walked.relative(file), file, split, label)
        for split, classes in walked.pictures.items()
        for label, paths in classes.items()
        for file in paths
    ]
    named.sort(key=lambda picture: picture.identity)
    checked = read_headers(named) if opened else HeaderCheck(named, [], [])
    if not checked.readable:
        raise MissingDataError(_nothing(path, walked, [reason for _, _, reason in checked.unreadable]))
    classes = ordered_classes(picture.label for picture in checked.readable)
    if len(classes) == 1 and (inner := _wrapped(path)) is not None:
        raise DataError(f"{path} is one level above the data: its class folders are in {inner}. Give that folder.")
    name = path.resolve().name or "folder"
    origin = Origin(
        name,
        path,
        f"Pictures of the folder {on_one_line(name)}, one folder per class.",
        _notes(walked, checked, classes),
        checked.unreadable,
    )
    return as_dataset(
        checked.readable,
        classes,
        origin,
        has_splits=walked.has_splits,
        test_fraction=test_fraction,
        seed=seed,
        find_copies=opened,
    )


def _wrapped(path: Path) -> Path | None:
    """The folder below that holds the classes or splits, if only one folder leads to it, as in an unpacked archive."""
    current = path
    for _ in range(8):
        try:
            inside = [entry for entry in sorted(current.iterdir()) if not entry.name.startswith((".", "__MACOSX"))]
        except OSError:
            return None
        folders = [entry for entry in inside if entry.is_dir()]
        if len(folders) > 1 or (folders and split_of(folders[0].name) is not None):
            return current if current != path else None
        if len(folders) != 1 or any(entry.suffix.lower() in SUFFIXES for entry in inside):
            return None
        current = folders[0]
    return None


def _notes(walked: Found, checked: HeaderCheck, classes: tuple[str, ...]) -> list[str]:
    notes = checked.notes()
    notes += [
        f"the folder '{on_one_line(label)}' was read as a class, because there is no folder 'train' next to it"
        for label in walked.split_like
    ]
    for label, names in sorted(walked.joined.items()):
        if len(names) > 1:
            notes.append(f"{len(names)} folders were read as the class '{on_one_line(label)}': {listed(sorted(names))}")
    for name, count in walked.left_out_folders.items():
        pictures = f"{counted(count, 'picture')}"
        notes.append(f"the folder '{on_one_line(name)}' with {pictures} was left out: it is next to the splits")
    if walked.unnameable:
        notes.append(
            f"{files(len(walked.unnameable))} left out, as the name is not Unicode: {listed(walked.unnameable)}"
        )
    if walked.astray:
        notes.append(f"{files(len(walked.astray))} outside the class folders left out: {listed(walked.astray)}")
    if walked.foreign:
        notes.append(f"{files(len(walked.foreign))} not named as {READABLE} left out: {listed(walked.foreign)}")
    empty = sorted({label for labels in walked.pictures.values() for label in labels} - set(classes))
    if empty:
        notes.append(f"{counted(len(empty), 'class folder')} without a picture left out: {listed(empty)}")
    if walked.hidden:
        kinds = sorted({name.rsplit("/", 1)[-1] for name in walked.hidden})
        count = len(walked.hidden)
        notes.append(f"{counted(count, 'hidden or system file')} ignored: {listed(kinds)}")
    return notes + checked.format_notes()


def _nothing(root: Path, walked: Found, unreadable: list[str]) -> str:
    """The error message for a folder without readable pictures."""
    if unreadable:
        return f"{root} has no readable picture among {files(len(unreadable))}. The first: {unreadable[0]}"
    loose = sum(Path(name).suffix.lower() in SUFFIXES for name in walked.astray)
    if loose:
        return (
            f"{root} has {counted(loose, 'picture')}, but no class folders. Make one folder per class in it, "
            f"and put the pictures there."
        )
    return f"{root} has no pictures ({READABLE}). Give a folder that has one folder of pictures per class."
