"""Reader of folders of IDX files, and of the named sets in this format: MNIST, Fashion-MNIST and KMNIST.

A folder has pairs `PREFIX-images...` and `PREFIX-labels...`, such as `train-images-idx3-ubyte`,
`t10k-labels.idx1-ubyte.gz` or `emnist-letters-train-images-idx3-ubyte`. The prefix names the split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pellucid.data.arrays import as_pictures
from pellucid.data.catalogue import DATASETS
from pellucid.data.download import Remote, obtain
from pellucid.data.files import read_errors
from pellucid.data.idx import read_idx
from pellucid.data.labels import MOST_CLASSES
from pellucid.data.split_names import SPLIT_NAMES
from pellucid.data.splitting import carve_test, lacking
from pellucid.errors import FormatError, MissingDataError
from pellucid.records import Dataset, Split
from pellucid.records.names import counted

__all__ = ["REMOTES", "load", "read", "recognises"]

_NAME = re.compile(
    r"(?P<prefix>.*?)[-_. ]?(?P<what>images|labels)(?P<form>[-_.]idx\d?(?:[-_.]ubyte)?|[-_.]ubyte|)(?P<packed>\.gz)?",
    re.IGNORECASE | re.DOTALL,
)

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CLASSES = {
    "mnist": tuple(str(digit) for digit in range(10)),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}
_TITLES = {
    "mnist": "MNIST: handwritten digits of 28×28 pixels (LeCun, Cortes, Burges, 1998).",
    "fashion-mnist": "Fashion-MNIST: clothes as grey pictures of 28×28 pixels (Xiao, Rasul, Vollgraf, 2017).",
    "kmnist": "KMNIST: cursive Japanese characters of 28×28 pixels (Clanuwat and others, 2018).",
}


def _remotes(mirrors: Sequence[str], sums: Sequence[str], *, of_unpacked: bool) -> tuple[Remote, ...]:
    return tuple(
        Remote(f"{file}.gz", tuple(f"{mirror}{file}.gz" for mirror in mirrors), md5, of_unpacked=of_unpacked)
        for file, md5 in zip(_FILES, sums, strict=True)
    )


REMOTES: dict[str, tuple[Remote, ...]] = {
    "mnist": _remotes(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        # The mirrors have the same files, gzipped differently.
        of_unpacked=True,
    ),
    "fashion-mnist": _remotes(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        of_unpacked=False,
    ),
    "kmnist": _remotes(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        of_unpacked=False,
    ),
}
"""Files of each named set, with download addresses and published MD5 sums."""


@dataclass
class _Pair:
    """The two files of one split."""

    files: dict[str, Path] = field(default_factory=dict)
    ignored: list[Path] = field(default_factory=list)


def load(name: str) -> Dataset:
    """Read a named set from the data root; download missing files first.

    Raises:
        DownloadError: a download failed; the message says where to put which file.
        FormatError: a file is damaged or has another format.
    """
    folder = DATASETS[name].root()
    if DATASETS[name].found() is None:
        for remote in REMOTES[name]:
            if not (folder / remote.file).exists() and not (folder / remote.file.removesuffix(".gz")).exists():
                obtain(remote, folder)
    splits, notes = _read_splits(folder, _CLASSES[name], name)
    for split, expected in DATASETS[name].pictures:
        if split not in splits:
            raise MissingDataError(f"{folder} has no {split} split of {name}.")
        if len(splits[split]) != expected:
            notes.append(f"{split} has {counted(len(splits[split]), 'picture')}; the published set has {expected:,}")
    return Dataset(name, splits, _TITLES[name], tuple(notes))


def recognises(path: Path) -> bool:
    """Whether a folder has IDX files of pictures, by their names."""
    if not path.is_dir():
        return False
    with read_errors(path):
        matches = [match for entry in path.iterdir() if entry.is_file() and (match := _NAME.fullmatch(entry.name))]
    kinds = {match["what"].lower() for match in matches}
    return kinds == {"images", "labels"} or any("idx" in match["form"].lower() for match in matches)


def read(path: Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Read a folder of IDX pairs; the classes are the numbers from 0 to the highest label.

    If no file name gives a split, a test split is split off.

    Raises:
        FormatError: a file is damaged, a pair does not fit together, or the folder has several sets.
    """
    name = path.resolve().name
    splits, notes = _read_splits(path, None, name)
    if set(_pairs(path)) == {""} and test_fraction == 1:
        splits = {"test": replace(splits["train"], name="test")}
    elif set(_pairs(path)) == {""} and test_fraction:
        splits["train"], splits["test"], note = carve_test(splits["train"], test_fraction, seed)
        notes.append(note)
    return Dataset(name, splits, f"IDX files of the folder {name}.", tuple(notes))


def _pairs(folder: Path) -> dict[str, _Pair]:
    """The pairs by split: `train`, `validation`, `test`, or "" if the names give none."""
    pairs: dict[str, _Pair] = {}
    sets: dict[str, str] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.suffix.lower() == ".gz", path.name)):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        words = re.split(r"[-_. ]", match["prefix"].lower())
        split = SPLIT_NAMES.get(words[-1], "")
        which = "-".join(words[:-1] if split else words)
        if sets.setdefault(split, which) != which:
            raise FormatError(
                f"{folder} has several sets of IDX files, '{sets[split]}' and '{which}'. Put each set in its "
                f"own folder."
            )
        pair = pairs.setdefault(split, _Pair())
        if match["what"].lower() in pair.files:
            pair.ignored.append(path)
        else:
            pair.files[match["what"].lower()] = path
    return pairs


def _read_splits(folder: Path, classes: tuple[str, ...] | None, name: str) -> tuple[dict[str, Split], list[str]]:
    pairs, notes = _pairs(folder), []
    pictures: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    for split, pair in sorted(pairs.items(), key=lambda item: ("", "train", "validation", "test").index(item[0])):
        for what, other in (("images", "labels"), ("labels", "images")):
            if what not in pair.files:
                raise MissingDataError(
                    f"The {what} of {pair.files[other]} are missing; put the file with the {what} in the same folder."
                )
        key = split or "train"
        if key in pictures:
            raise FormatError(
                f"{folder} has IDX files of the split 'train' and others without a split in their names. Rename or "
                f"remove one of them."
            )
        pictures[key], labels[key] = _read_pair(pair, notes)
        notes += [
            f"{path.name} was not read: {_read_instead(pair, path)} has the same content" for path in pair.ignored
        ]
    if classes is None:
        classes = tuple(str(i) for i in range(max(int(values.max()) for values in labels.values()) + 1))
    for split, values in labels.items():
        highest = int(values.max())
        if highest >= len(classes):
            raise FormatError(
                f"The highest label in the {split} split of {name} is {highest}, but its {len(classes)} classes are "
                f"numbered 0 to {len(classes) - 1}."
            )
    splits = {key: Split(key, pictures[key], labels[key], classes, dataset=name) for key in pictures}
    notes += lacking(splits)
    return splits, notes


def _read_instead(pair: _Pair, path: Path) -> str:
    """Name of the file that was read instead of `path`."""
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    return pair.files[match["what"].lower()].name


def _read_pair(pair: _Pair, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, C, H, W) and labels int64 (N,)."""
    images, labels = read_idx(pair.files["images"]), read_idx(pair.files["labels"])
    if images.ndim not in (3, 4):
        raise FormatError(
            f"{pair.files['images']} has {images.ndim} dimensions; pictures need three (number, height, width) or four."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise FormatError(
            f"{pair.files['labels']} has {labels.dtype} values in {labels.ndim} dimensions; labels must be whole "
            f"numbers in one dimension."
        )
    if len(images) != len(labels):
        raise FormatError(
            f"{pair.files['images']} has {counted(len(images), 'picture')}, but {pair.files['labels']} has "
            f"{len(labels):,} "
            f"labels; each picture needs exactly one label."
        )
    if not images.size:
        raise FormatError(f"{pair.files['images']} has no pictures.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        wrong = low if low < 0 else high
        raise FormatError(
            f"{pair.files['labels']} has a label out of range: {wrong}; labels must be between 0 and "
            f"{MOST_CLASSES - 1:,}."
        )
    array, array_notes = as_pictures(images)
    notes += [f"{pair.files['images'].name}: {note}" for note in array_notes]
    return array, labels.astype(np.int64)
