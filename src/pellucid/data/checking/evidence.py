"""The input of all checks: the pictures of all splits as one list, with their statistics."""

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
        statistics: of each picture.
        split: which split each is in, as an index into `splits`, int64 (N,).
        labels: int64 (N,); −1 where they are not known.
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
        """The pairs of copies."""
        return self._copies[0]

    @cached_property
    def exact(self) -> np.ndarray:
        """Which pairs are the same pixel by pixel, bool (P,)."""
        return self._copies[1]

    @cached_property
    def _copies(self) -> tuple[Pairs, np.ndarray]:
        return copies(self.statistics)

    def name(self, index: int) -> str:
        """The name of a picture, on one line."""
        return on_one_line(str(self.ids[index]))

    def label(self, index: int) -> str:
        """The class of a picture; empty if unknown."""
        return self.data.classes[self.labels[index]] if self.labels[index] >= 0 else ""

    def named(self, indices: np.ndarray, at_most: int = 5) -> str:
        """The first of some pictures by name: `a.png, b.png and 3 more`."""
        return listed([self.name(i) for i in indices.tolist()], at_most, quoted=False)

    def all_names(self, indices: np.ndarray) -> tuple[str, ...]:
        """The ids of some pictures, as a remark keeps them."""
        return tuple(str(self.ids[i]) for i in indices.tolist())


def gather(data: Dataset, progress: Progress | None = None) -> Evidence:
    """Scans all pictures of a dataset."""
    statistics, offset, whole = [], 0, sum(len(split) for split in data)
    for split in data:

        def told(done: int, of: int, offset: int = offset) -> None:
            assert progress is not None and of
            progress(offset + done, whole)

        names = [on_one_line(str(one)) for one in split.ids]
        statistics.append(scan_pictures(split.pictures, names, None if progress is None else told))
        offset += len(split)
    return Evidence(
        data,
        PictureStatistics.joined(statistics),
        np.concatenate([np.full(len(split), number) for number, split in enumerate(data)]),
        np.concatenate([np.full(len(split), -1) if split.labels is None else split.labels for split in data]),
        np.concatenate([split.ids.astype(str) for split in data]),
    )


_EDGE = 96


def cell(evidence: Evidence, index: int, *lines: str) -> dict[str, Any]:
    """A picture with its name, its split and class, and further lines; without `png` where it cannot be read."""
    where = evidence.splits[evidence.split[index]]
    named = [evidence.name(index), " · ".join(part for part in (where, evidence.label(index)) if part), *lines]
    png = _png(evidence, index)
    return {"lines": named} | ({"png": png} if png else {})


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
        except (DataError, OSError):  # it was readable a moment ago
            return ""
    else:
        picture = np.asarray(split.pictures[within_split])
    return png_base64(picture, _EDGE)
