"""Pictures that are not in memory: files, members of larger files, and decoded pictures in memory-mapped files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

__all__ = ["MappedPictures", "Member", "Members", "PictureFiles", "Shard"]


class Shard(Protocol):
    """A file that contains many pictures: a tar archive, or a Parquet file.

    Attributes:
        path: the file.
        digests: SHA-256 of the bytes of each picture: S32 (n,).
    """

    path: Path
    digests: np.ndarray

    def read(self, index: int, /) -> bytes:
        """The bytes of a picture."""
        ...

    def name(self, index: int, /) -> str:
        """The name of a picture, unique within the file."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One encoded picture within a shard. It can be read like a `Path`, and be decoded in its place."""

    shard: Shard
    index: int

    @property
    def name(self) -> str:
        return self.shard.name(self.index)

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes of the picture."""
        return self.shard.digests[self.index].ljust(32, b"\0")  # NumPy strips zeros from the end

    def read_bytes(self) -> bytes:
        return self.shard.read(self.index)

    def __str__(self) -> str:
        return f"{self.shard.path}/{self.name}"


class Members(Sequence[Member]):
    """Many members of several shards, in little memory.

    Args:
        shards: the files.
        shard_indices: index of the shard of each picture: int32 (N,).
        indices: index of each picture within its shard: int64 (N,).
    """

    def __init__(self, shards: Sequence[Shard], shard_indices: np.ndarray, indices: np.ndarray) -> None:
        self.shards = tuple(shards)
        self.shard_indices = shard_indices
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Members(self.shards, self.shard_indices[index], self.indices[index])
        return Member(self.shards[self.shard_indices[index]], int(self.indices[index]))

    def take(self, indices: np.ndarray) -> Members:
        return Members(self.shards, self.shard_indices[indices], self.indices[indices])

    def digests(self) -> np.ndarray:
        """SHA-256 of the bytes of each picture: S32 (N,)."""
        digests = np.zeros(len(self), dtype="S32")
        for number, shard in enumerate(self.shards):
            is_here = self.shard_indices == number
            digests[is_here] = shard.digests[self.indices[is_here]]
        return digests


@dataclass(frozen=True)
class PictureFiles:
    """Pictures in files, which `pellucid.data` decodes on demand.

    Attributes:
        paths: files, or `Members` of larger files, which have `name`, `suffix` and `read_bytes()` like paths.
        root: folder that the ids are relative to, for display.
    """

    paths: Sequence[Path] | Members
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> PictureFiles:
        paths = self.paths
        selected = paths.take(indices) if isinstance(paths, Members) else tuple(paths[i] for i in indices)
        return PictureFiles(selected, self.root)


class MappedPictures:
    """Decoded pictures in memory-mapped files, read on demand.

    Index it like an array, by a number, a slice, or an array or tensor of numbers: this copies the pictures into
    memory. `take` copies nothing, so splitting a dataset does not either.

    Args:
        parts: one or more mapped arrays, uint8 (n, C, H, W).
        rows: row of each picture, counted through all parts: int64 (N,); None takes all, in order.
        verify: called for each picture that is read, with the number of its part, its row there, and a copy of it,
            uint8 (C, H, W), which it may correct.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        parts: Sequence[np.ndarray],
        rows: np.ndarray | None = None,
        verify: Callable[[int, int, np.ndarray], None] | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.verify = verify
        self._ends = np.cumsum([len(part) for part in self.parts])
        self.rows = np.arange(self._ends[-1]) if rows is None else np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (len(self), *self.parts[0].shape[1:])

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape))

    def __getitem__(self, indices: Any) -> np.ndarray:
        """One picture, uint8 (C, H, W), or several, uint8 (B, C, H, W), in memory."""
        rows = self.rows[indices if isinstance(indices, slice) else np.asarray(indices)]
        if rows.ndim == 0:
            return self._gather(rows.reshape(1))[0]
        return self._gather(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001 (NumPy's protocol)
        if copy is False:
            raise ValueError("Pictures in mapped files cannot become an array without a copy.")
        return self[:] if dtype is None else self[:].astype(dtype)

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        # In the order of the file: neighbours share a page, and disks read forwards.
        order = np.argsort(rows, kind="stable")
        parts = np.searchsorted(self._ends, rows, side="right")
        starts = rows - (self._ends[parts] - [len(self.parts[part]) for part in parts])
        pictures = np.empty((len(rows), *self.parts[0].shape[1:]), dtype=np.uint8)
        # One by one, straight into the result: a gather and a scatter would copy each picture twice.
        for index, part, row in zip(order.tolist(), parts[order].tolist(), starts[order].tolist(), strict=True):
            pictures[index] = self.parts[part][row]
            if self.verify is not None:
                self.verify(part, row, pictures[index])
        return pictures

    def take(self, indices: np.ndarray) -> MappedPictures:
        return MappedPictures(self.parts, self.rows[indices], self.verify)
