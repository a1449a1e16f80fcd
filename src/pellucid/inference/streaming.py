"""Pictures on their way into a network: decoded in threads, some at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import preprocessing as preparing
from pellucid.data.hashing import threads
from pellucid.errors import DataError
from pellucid.records import MappedPictures, PictureFiles, Preprocessing

Pictures = np.ndarray | MappedPictures | PictureFiles

AT_ONCE = 128
"""How many files are decoded before the network takes them over: it then has all cores, as the decoder had before.

Decoding the next ones meanwhile was tried, and gained nothing where both share the cores.
"""
_MOST_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Chunk:
    """A batch of decoded pictures.

    Attributes:
        places: which of all they are: int64 (M,).
        pictures: uint8 (M, C, H, W).
        reasons: why others between them could not be read: {place: sentence}.
    """

    places: np.ndarray
    pictures: np.ndarray
    reasons: Mapping[int, str]


def chunks(pictures: Pictures, preprocessing: Preprocessing, which: Sequence[int] | None = None) -> Iterator[Chunk]:
    """Yields the pictures (those at the places `which`, or all) in order, as the preprocessing wants them.

    Nothing that is decoded here is kept: one look is all that it is for.
    """
    indices = np.arange(len(pictures)) if which is None else np.asarray(which, dtype=np.int64)
    if not isinstance(pictures, PictureFiles):
        size = max(int(np.prod(pictures.shape[1:])), int(np.prod(preprocessing.shape)))
        step = max(1, _MOST_BYTES // max(size, 1))
        for start in range(0, len(indices), step):
            some = indices[start : start + step]
            yield Chunk(some, preparing.prepare(np.asarray(pictures[some]), preprocessing), {})
        return
    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            for start in range(0, len(indices), AT_ONCE):
                some = indices[start : start + AT_ONCE].tolist()
                done = list(pool.map(lambda index: _decoded(pictures, index, preprocessing), some))
                read = [index for index, one in zip(some, done, strict=True) if isinstance(one, np.ndarray)]
                arrays = [one for one in done if isinstance(one, np.ndarray)]
                yield Chunk(
                    np.array(read, dtype=np.int64),
                    np.stack(arrays) if arrays else np.zeros((0, *preprocessing.shape), dtype=np.uint8),
                    {index: one for index, one in zip(some, done, strict=True) if isinstance(one, str)},
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _decoded(pictures: PictureFiles, index: int, preprocessing: Preprocessing) -> np.ndarray | str:
    """The picture, uint8 (C, H, W), or why it cannot be read."""
    file = pictures.paths[index]
    try:
        if isinstance(file, Path):
            return preparing.prepare_one(file, preprocessing)
        return preparing.prepare_one(file.read_bytes(), preprocessing, name=str(file))
    except DataError as error:
        return str(error)
