"""What all checks look at: the pictures of all splits as one list, and what was seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pellucid.data.checking.kinship import copies
from pellucid.data.checking.likeness import Pairs
from pellucid.data.checking.looking import Looks, look
from pellucid.data.progress import Progress
from pellucid.data.walk import on_one_line
from pellucid.records import Dataset, PictureFiles

__all__ = ["Evidence", "gather"]


@dataclass(frozen=True)
class Evidence:
    """The N pictures of all splits, one after the other.

    Attributes:
        data: the dataset.
        looks: what was seen of each.
        split: which split each is in, as an index into `splits`, int64 (N,).
        labels: int64 (N,); −1 where they are not known.
        ids: str (N,).
    """

    data: Dataset
    looks: Looks
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
        return copies(self.looks)

    def name(self, index: int) -> str:
        """What a picture is called, on one line."""
        return on_one_line(str(self.ids[index]))

    def label(self, index: int) -> str:
        """The class of a picture; empty where it is not known."""
        return self.data.classes[self.labels[index]] if self.labels[index] >= 0 else ""

    def named(self, indices: np.ndarray, at_most: int = 5) -> str:
        """The first of some pictures by name: `a.png, b.png and 3 more`."""
        shown = ", ".join(self.name(i) for i in indices[:at_most].tolist())
        return shown + (f" and {len(indices) - at_most:,} more" if len(indices) > at_most else "")

    def all_names(self, indices: np.ndarray) -> tuple[str, ...]:
        """The ids of some pictures, as a remark keeps them."""
        return tuple(str(self.ids[i]) for i in indices.tolist())


def gather(data: Dataset, progress: Progress | None = None) -> Evidence:
    """Looks at all pictures of a dataset."""
    looks, offset, whole = [], 0, sum(len(split) for split in data)
    for split in data:

        def told(done: int, of: int, offset: int = offset) -> None:
            assert progress is not None and of
            progress(offset + done, whole)

        names = [on_one_line(str(one)) for one in split.ids]
        looks.append(look(split.pictures, names, None if progress is None else told))
        offset += len(split)
    return Evidence(
        data,
        Looks.joined(looks),
        np.concatenate([np.full(len(split), number) for number, split in enumerate(data)]),
        np.concatenate([np.full(len(split), -1) if split.labels is None else split.labels for split in data]),
        np.concatenate([split.ids.astype(str) for split in data]),
    )
