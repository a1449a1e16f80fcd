"""`Dataset`: labelled pictures in splits, the data of `data + network = model`.

Pictures are in memory (one uint8 array, N×C×H×W), in memory-mapped files (`MappedPictures`), or files that are decoded
on demand (`PictureFiles`). The splits are `train`, `validation` and `test`; a missing one raises MissingDataError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError, MissingDataError, on_one_line
from pellucid.records import display
from pellucid.records.names import counted
from pellucid.records.pictures import MappedPictures, Member, PictureFiles

SPLITS = ("train", "validation", "test")


def require_unique(classes: Sequence[str]) -> None:
    """Refuses duplicate class names.

    Raises:
        DataError: a name occurs twice; the message names the first.
    """
    names: set[str] = set()
    for name in classes:
        if name in names:
            raise DataError(f"The class name '{name}' occurs twice; each class needs a name of its own.")
        names.add(name)


@dataclass(frozen=True)
class Split:
    """One part of a dataset: N pictures with their labels.

    Attributes:
        name: `train`, `validation`, `test`, or the origin of the pictures.
        pictures: uint8 (N, C, H, W) with C = 1 (grey) or 3 (RGB), in memory or as `MappedPictures`; or `PictureFiles`.
        labels: int64 (N,), indices into `classes`; None if they are unknown.
        classes: the class names; a class may have no pictures here.
        explicit_ids: str (N,), names of the pictures, unique within the dataset; None numbers them, as in `test/17`.
        columns: further values per picture (groups, source, patient), each of length N.
        dataset: name of the dataset of this split.
    """

    name: str
    pictures: np.ndarray | MappedPictures | PictureFiles
    labels: np.ndarray | None
    classes: tuple[str, ...]
    explicit_ids: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    dataset: str = ""

    def __post_init__(self) -> None:
        pictures = self.pictures
        is_decoded = not isinstance(pictures, PictureFiles)
        if is_decoded and (pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1] not in (1, 3)):
            raise DataError(
                f"Pictures are expected as uint8 of shape (N, C, H, W) with C = 1 or 3; these are {pictures.dtype} of "
                f"shape {pictures.shape}."
            )
        if isinstance(pictures, np.memmap):
            # Indexing a mapped array would copy the pictures into memory.
            object.__setattr__(self, "pictures", MappedPictures((np.asarray(pictures),)))
        for what, values in {"labels": self.labels, "ids": self.explicit_ids, **self.columns}.items():
            if values is not None and len(values) != len(self):
                raise DataError(
                    f"The {self.name} split has {counted(len(self), 'picture')} but {len(values):,} {what}; "
                    f"each picture needs exactly one."
                )
        if self.labels is not None and len(self.labels):
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"The {self.name} split has labels from {low} to {high}, but with "
                    f"{counted(len(self.classes), 'class', 'classes')} "
                    f"they must lie between 0 and {len(self.classes) - 1}."
                )

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def ids(self) -> np.ndarray:
        """Names of the pictures: str (N,)."""
        if self.explicit_ids is not None:
            return self.explicit_ids
        return np.array([f"{self.name}/{i}" for i in range(len(self))])

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of decoded pictures, which have one size; None for files."""
        return None if isinstance(self.pictures, PictureFiles) else tuple(self.pictures.shape[1:])

    def known_labels(self) -> np.ndarray:
        """The labels, int64 (N,).

        Raises:
            DataError: they are unknown.
        """
        if self.labels is None:
            raise DataError(f"The pictures of '{self.name}' have no labels, which are needed here.")
        return self.labels

    def counts(self) -> dict[str, int]:
        """Number of pictures of each class in this split, in the order of the classes."""
        counts = np.bincount(self.known_labels(), minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def take(self, indices: Sequence[int] | np.ndarray, name: str | None = None) -> Split:
        """The pictures at `indices`, in that order, with their labels, ids and columns."""
        indices = np.asarray(indices, dtype=np.int64)
        pictures = self.pictures[indices] if isinstance(self.pictures, np.ndarray) else self.pictures.take(indices)
        return replace(
            self,
            name=name or self.name,
            pictures=pictures,
            labels=None if self.labels is None else self.labels[indices],
            explicit_ids=self.ids[indices],
            columns={key: values[indices] for key, values in self.columns.items()},
        )

    def fingerprint(self) -> str:
        """SHA-256 of pictures, labels and class names (hexadecimal).

        Mapped pictures have the same fingerprint as pictures in memory, and members of larger files the same as files.

        Raises:
            DataError: a file cannot be read.
        """
        digest = hashlib.sha256(repr((self.shape, len(self), self.classes)).encode())
        if isinstance(self.pictures, PictureFiles):
            for path in self.pictures.paths:
                digest.update(_sha256(path))
        elif isinstance(self.pictures, MappedPictures):
            step = max(1, _HASH_BLOCK_BYTES // max(int(np.prod(self.pictures.shape[1:])), 1))
            for start in range(0, len(self), step):
                digest.update(self.pictures[start : start + step].data)
        else:
            digest.update(np.ascontiguousarray(self.pictures).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


_HASH_BLOCK_BYTES = 16 * 1024**2
"""Number of bytes of mapped pictures that are in memory at once while they are hashed."""


def _sha256(path: Path | Member) -> bytes:
    """SHA-256 of a file, or of a member of a larger file."""
    if isinstance(path, Member):
        return path.digest
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise DataError(f"{path} can no longer be read: {error.strerror or error}.") from error


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures in splits that share their class names.

    Attributes:
        name: short, as in file names: `mnist`, or the name of a folder.
        splits: `train`, `validation` and `test` → their pictures.
        description: one sentence on its content and origin.
        notes: remarks on how it was read: "validation lacks the class 'moth'", "3 files left out".
        left_out: files that could not be read as pictures, and are in no split: (split, id, reason) for each.
    """

    name: str
    splits: Mapping[str, Split]
    description: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.splits:
            raise DataError(f"The dataset '{self.name}' has no pictures.")
        if len({split.classes for split in self.splits.values()}) > 1:
            raise DataError(f"The splits of '{self.name}' have different class names; they must share one list.")
        require_unique(self.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        return next(iter(self.splits.values())).classes

    @property
    def train(self) -> Split:
        return self.split("train")

    @property
    def validation(self) -> Split:
        return self.split("validation")

    @property
    def test(self) -> Split:
        return self.split("test")

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            MissingDataError: the dataset has no such split.
        """
        if name not in self.splits:
            raise MissingDataError(
                f"The dataset '{self.name}' has no {name} split; it has {' and '.join(self.splits)}. "
                f"Choose one of them, for example {next(iter(self.splits))}."
            )
        return self.splits[name]

    def __iter__(self) -> Iterator[Split]:
        return iter(self.splits.values())

    def __repr__(self) -> str:
        sizes = ", ".join(f"{on_one_line(name)} {len(split):,}" for name, split in self.splits.items())
        return f"Dataset({self.name!r}: {counted(len(self.classes), 'class', 'classes')}; {sizes})"

    def _repr_html_(self) -> str | None:
        return display.html(self)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content of all splits (hexadecimal)."""
        parts: dict[str, Any] = {name: split.fingerprint() for name, split in sorted(self.splits.items())}
        return hashlib.sha256(repr(parts).encode()).hexdigest()
