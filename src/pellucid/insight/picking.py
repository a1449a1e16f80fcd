"""The picture that is meant: a file, or one of a data set by its number or its id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.data import load
from pellucid.data.catalogue import DATASETS, lookup
from pellucid.errors import MissingDataError, UsageError
from pellucid.inference.pictures import as_split
from pellucid.insight.recording import standing
from pellucid.records import Dataset, PictureFiles, Specification, Split

_FOLDERS = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
"""What folders of splits are called besides."""


def pick(picture: Any, specification: Specification) -> tuple[Split, str]:
    """One picture as a split of length 1, and what it is called.

    Args:
        picture: the path of a file; `mnist:17`, the picture of that number of a data set's test split, from 0
            (of its validation split where it has no test split); `mnist:train/17` or any other id of the set; for a
            folder of pictures `photos:17`; or one picture as `pellucid.predict` takes it.
        specification: of the model that will see it.

    Raises:
        UsageError: it is no such thing, or more than one picture.
        MissingDataError: there is no such file, split or picture.
    """
    if isinstance(picture, Split):
        split, name = picture, str(picture.ids[0]) if len(picture) else ""
    elif isinstance(picture, (str, Path)) and not Path(picture).is_file():
        return _of_a_dataset(str(picture))
    else:
        split, name = as_split(picture, specification), Path(picture).name if isinstance(picture, (str, Path)) else ""
    if len(split) != 1:
        raise UsageError(f"Feature maps are those of one picture; {len(split):,} were given.")
    return split, name or "the picture"


def _of_a_dataset(given: str) -> tuple[Split, str]:
    source, separator, which = given.rpartition(":")
    if not separator or not (source in DATASETS or Path(source).is_dir()):
        if separator and source.replace("-", "").isalnum() and len(source) > 1:
            lookup(source)  # says which data set was probably meant
        raise MissingDataError(
            f"There is no picture at {given}. Give a picture file, or one of a data set's test pictures by its number, "
            f"as in mnist:17."
        )
    dataset = load(source)
    split, index = _place(dataset, which)
    # A file is known by its name, a picture of an array by where it stands.
    name = split.ids[index] if isinstance(split.pictures, PictureFiles) else f"{split.name}/{index}"
    return split.take([index]), f"{dataset.name} {name}"


def _place(dataset: Dataset, which: str) -> tuple[Split, int]:
    """The split and the index of a number, or of an id."""
    name, _, number = which.rpartition("/")
    usual = standing(dataset)
    name = _FOLDERS.get(name, name) if name not in dataset.splits else name
    if number.isdecimal() and name in ("", *dataset.splits):
        split = dataset.split(name or usual)
        if int(number) >= len(split):
            raise UsageError(
                f"The {split.name} split of '{dataset.name}' has {len(split):,} pictures, numbered from 0 to "
                f"{len(split) - 1}; given: {number}."
            )
        return split, int(number)
    for held in dataset.splits.values():
        for index, one in enumerate(held.ids.tolist()):
            if one == which:
                return held, index
    raise UsageError(
        f"'{dataset.name}' has no picture '{which}'. Give the number of a {usual} picture, as in {dataset.name}:17, "
        f"one of another split, as in {dataset.name}:train/17, or an id, as in "
        f"{dataset.name}:{next(iter(dataset.splits.values())).ids[0]}."
    )
