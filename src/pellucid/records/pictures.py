"""Pictures that are not in memory: files, members of larger files, and decoded ones in memory-mapped files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

__all__ = ["MappedPictures", "Member", "Members", "PictureFiles", "Shard"]


class Shard(Protocol):
    """A larger file with many pictures in it: a tar archive, or a Parquet file.

    Attributes:
        path: the file.
        digests: SHA-256 of each picture's bytes: S32 (n,).
    """

    path: Path
    digests: np.ndarray

    def read(self, place: int) -> bytes:
        """The bytes of the picture at a place."""
        ...

    def name(self, place: int) -> str:
        """What the picture at a place is called within the file, unique there."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One encoded picture within a larger file. It is read as a `Path` is, and is decoded where a path is."""

    shard: Shard
    place: int

    @property
    def name(self) -> str:
        return self.shard.name(self.place)

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def digest(self) -> bytes:
        """SHA-256 of its bytes."""
        return self.shard.digests[self.place].ljust(32, b"\0")  # NumPy strips zeros from the end

    def read_bytes(self) -> bytes:
        return self.shard.read(self.place)

    def __str__(self) -> str:
        return f"{self.shard.path}/{self.name}"


class Members(Sequence[Member]):
    """Many members, of several larger files, in little memory.

    Args:
        shards: the larger files.
        which: for each picture, the index of its shard: int32 (N,).
        places: its place there: int64 (N,).
    """

    def __init__(self, shards: Sequence[Shard], which: np.ndarray, places: np.ndarray) -> None:
        self.shards = tuple(shards)
        self.which = which
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Members(self.shards, self.which[index], self.places[index])
        return Member(self.shards[self.which[index]], int(self.places[index]))

    def take(self, indices: np.ndarray) -> Members:
        return Members(self.shards, self.which[indices], self.places[indices])

    def digests(self) -> np.ndarray:
        """SHA-256 of each one's bytes: S32 (N,)."""
        found = np.zeros(len(self), dtype="S32")
        for number, shard in enumerate(self.shards):
            mine = self.which == number
            found[mine] = shard.digests[self.places[mine]]
        return found


@dataclass(frozen=True)
class PictureFiles:
    """Pictures that lie in files, decoded on demand by `pellucid.data`.

    `paths` are files, or `Members` of larger files, whose elements have `name`, `suffix` and `read_bytes()` as paths
    do. `root` is the folder that the ids are relative to, for showing.
    """

    paths: Sequence[Path] | Members
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> PictureFiles:
        held = self.paths
        chosen = held.take(indices) if isinstance(held, Members) else tuple(held[i] for i in indices)
        return PictureFiles(chosen, self.root)


class MappedPictures:
    """Decoded pictures in memory-mapped files: read when they are asked for, never all at once.

    It is indexed as an array is, by a number, a slice, or numbers (an array or tensor), which copies those pictures
    into memory. `take` copies nothing, nor does carving a split.

    Args:
        parts: one or more mapped arrays, uint8 (n, C, H, W).
        places: for each picture its row, counted through the parts: int64 (N,); None takes all, in order.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, parts: Sequence[np.ndarray], places: np.ndarray | None = None) -> None:
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in self.parts])
        self.places = np.arange(self._ends[-1]) if places is None else np.asarray(places, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (len(self), *self.parts[0].shape[1:])

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape))

    def __getitem__(self, which: Any) -> np.ndarray:
        """One picture, uint8 (C, H, W), or several, uint8 (B, C, H, W), in memory."""
        rows = self.places[which if isinstance(which, slice) else np.asarray(which)]
        if rows.ndim == 0:
            return self._gathered(rows.reshape(1))[0]
        return self._gathered(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001 (NumPy's protocol)
        if copy is False:
            raise ValueError("Pictures in mapped files become an array only by being copied into memory.")
        return self[:] if dtype is None else self[:].astype(dtype)

    def _gathered(self, rows: np.ndarray) -> np.ndarray:
        # In the order of the file: neighbours come from one page, and a disk reads forwards.
        order = np.argsort(rows, kind="stable")
        parts = np.searchsorted(self._ends, rows, side="right")
        starts = rows - (self._ends[parts] - [len(self.parts[part]) for part in parts])
        found = np.empty((len(rows), *self.parts[0].shape[1:]), dtype=np.uint8)
        # One by one, straight to its place: a gather and a scatter would copy each picture twice.
        for place, part, row in zip(order.tolist(), parts[order].tolist(), starts[order].tolist(), strict=True):
            found[place] = self.parts[part][row]
        return found

    def take(self, indices: np.ndarray) -> MappedPictures:
        return MappedPictures(self.parts, self.places[indices])
