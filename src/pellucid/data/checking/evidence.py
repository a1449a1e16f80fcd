"""The input of every check: the pictures of all splits in one list, with their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.data import decoding
from pellucid.data.checking.near_duplicates import Pairs, copies
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.data.progress import Progress
from pellucid.data.thumbnails import png_base64
from pellucid.errors import DataError
from pellucid.records import Dataset, PictureFiles
from pellucid.records.names import listed, on_one_line

__all__ = ["Evidence", "cell", "gather"]


@dataclass(frozen=True)
class Evidence:
    """The N pictures of all splits, one after the other.

    Attributes:
        data: the dataset.
        statistics: of the pictures.
        split: index into `splits` for each picture, int64 (N,).
        labels: int64 (N,); −1 if unknown.
        ids: str (N,).
    """

    data: Dataset
    statistics: PictureStatistics
    split: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.data.splits)

    @property
    def files(self) -> bool:
        """Whether the pictures come from files."""
        return any(isinstance(split.pictures, PictureFiles) for split in self.data)

    @cached_property
    def pairs(self) -> Pairs:
        """Pairs of copies."""
        return self._copies[0]

    @cached_property
    def exact(self) -> np.ndarray:
        """Which pairs have exactly the same pixels, bool (P,)."""
        return self._copies[1]

    @cached_property
    def _copies(self) -> tuple[Pairs, np.ndarray]:
        return copies(self.statistics)

    def name(self, index: int) -> str:
        """Name of a picture, on one line."""
        return on_one_line(str(self.ids[index]))

    def label(self, index: int) -> str:
        """Class of a picture; empty if unknown."""
        return self.data.classes[self.labels[index]] if self.labels[index] >= 0 else ""

    def named(self, indices: np.ndarray, at_most: int = 5) -> str:
        """Names of the first few of these pictures: `a.png, b.png and 3 more`."""
        return listed([self.name(i) for i in indices.tolist()], at_most, quoted=False)

    def all_names(self, indices: np.ndarray) -> tuple[str, ...]:
        """Ids of these pictures, as a remark keeps them."""
        return tuple(str(self.ids[i]) for i in indices.tolist())


def gather(data: Dataset, progress: Progress | None = None) -> Evidence:
    """Scans all pictures of a dataset."""
    statistics, offset, total = [], 0, sum(len(split) for split in data)
    for split in data:

        def report(done: int, _: int, offset: int = offset) -> None:
            assert progress is not None
            progress(offset + done, total)

        names = [on_one_line(str(name)) for name in split.ids]
        statistics.append(scan_pictures(split.pictures, names, None if progress is None else report))
        offset += len(split)
    return Evidence(
        data,
        PictureStatistics.joined(statistics),
        np.concatenate([np.full(len(split), number) for number, split in enumerate(data)]),
        np.concatenate([np.full(len(split), -1) if split.labels is None else split.labels for split in data]),
        np.concatenate([split.ids.astype(str) for split in data]),
    )


_EDGE = 96
"""Longest side of a picture in a figure, in pixels."""


def cell(evidence: Evidence, index: int, *lines: str) -> dict[str, Any]:
    """A cell of a figure: the picture with its name, split, class and further lines; no `png` if it is unreadable."""
    split = evidence.splits[evidence.split[index]]
    text = [evidence.name(index), " · ".join(part for part in (split, evidence.label(index)) if part), *lines]
    png = _png(evidence, index)
    return {"lines": text} | ({"png": png} if png else {})


def _png(evidence: Evidence, index: int) -> str:

    if not evidence.statistics.readable[index]:
        return ""
    number = int(evidence.split[index])
    split = evidence.data.splits[evidence.splits[number]]
    within_split = index - int(np.argmax(evidence.split == number))
    if isinstance(split.pictures, PictureFiles):
        path = split.pictures.paths[within_split]
        try:
            picture = decoding.decode(path.read_bytes(), 3, name=evidence.name(index), at_least=(_EDGE, _EDGE))
        except (DataError, OSError):  # it was readable during the scan
            return ""
    else:
        picture = np.asarray(split.pictures[within_split])
    return png_base64(picture, _EDGE)
