"""Which names of folders, files and values mean a split: `Training set`, `val`, `test_images`, `holdout`."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["SPLIT_NAMES", "mentions_split", "split_folders", "split_of"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
}
"""From a word, in lower case, to the split that it means."""

_SECOND_CHOICE = {"dev": "validation", "eval": "validation", "evaluation": "validation", "holdout": ""}
"""What a word means if its first meaning is taken already; nothing for those that have no other."""

_GENERIC = {
    *("set", "split", "data", "dataset", "folder", "part", "samples", "files"),
    *("image", "images", "img", "imgs", "picture", "pictures", "photo", "photos"),
}
"""Words that may go with the name of a split and do not name a class."""


def _words(name: str) -> list[str]:
    """`TrainingSet`, `training_set` and `Training set` are all `training`, `set`; `trainset` is `train`, `set`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = []
    for word in re.split(r"[\W_]+", spaced.lower()):
        glued = re.fullmatch(rf"({'|'.join(SPLIT_NAMES)})({'|'.join(sorted(_GENERIC))})", word)
        words += list(glued.groups()) if glued else [word]
    joined = " ".join(filter(None, words)).replace("hold out", "holdout").replace("held out", "holdout")
    return joined.split()


def split_of(name: str) -> str | None:
    """The split that a name means; None if it means none, or names something else too."""
    words = [word for word in _words(name) if word not in _GENERIC]
    return SPLIT_NAMES.get(words[0]) if len(words) == 1 else None


def mentions_split(name: str) -> str | None:
    """The split that a name mentions beside other words: `train 2` and `test cats` may be splits, or may not."""
    mentioned = [SPLIT_NAMES[word] for word in _words(name) if word in SPLIT_NAMES]
    return mentioned[0] if mentioned else None


def split_folders(names: Iterable[str]) -> dict[str, str]:
    """The folders that are splits: {name: split}.

    `eval` is the test split, or validation if there is a `test` folder; `holdout` beside `test` is none.
    """
    splits = {name: split for name in names if (split := split_of(name)) is not None}
    for name, split in list(splits.items()):
        if list(splits.values()).count(split) < 2:
            continue
        word = next(word for word in _words(name) if word in SPLIT_NAMES)
        if word not in _SECOND_CHOICE:
            continue
        other = _SECOND_CHOICE[word]
        if other and other not in splits.values():
            splits[name] = other
        else:
            del splits[name]
    return splits
