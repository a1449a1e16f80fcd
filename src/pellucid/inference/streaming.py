"""Streaming of pictures into a network: threads decode a limited number at a time, so that memory stays bounded."""

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
"""Most files to decode before the network runs on them; fewer if the inputs are large.

Decoder and network take turns, each with all cores.

Decoding the next files in parallel with the network was no faster, since both share the cores.
"""
_MOST_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Chunk:
    """A batch of decoded pictures.

    Attributes:
        indices: their indices among all pictures, int64 (M,).
        pictures: uint8 (M, C, H, W).
        reasons: {index: sentence} for the pictures of this batch that cannot be read.
    """

    indices: np.ndarray
    pictures: np.ndarray
    reasons: Mapping[int, str]


def chunks(pictures: Pictures, preprocessing: Preprocessing, which: Sequence[int] | None = None) -> Iterator[Chunk]:
    """Yields pictures in order, decoded and resized by the preprocessing.

    Decoded pictures are not cached.

    Args:
        pictures: the pictures.
        preprocessing: the preprocessing of the model.
        which: the indices of the pictures; None takes all.
    """
    indices = np.arange(len(pictures)) if which is None else np.asarray(which, dtype=np.int64)
    if not isinstance(pictures, PictureFiles):
        size = max(int(np.prod(pictures.shape[1:])), int(np.prod(preprocessing.shape)))
        step = max(1, _MOST_BYTES // max(size, 1))
        for start in range(0, len(indices), step):
            batch = indices[start : start + step]
            yield Chunk(batch, preparing.prepare(np.asarray(pictures[batch]), preprocessing), {})
        return
    step = max(1, min(AT_ONCE, _MOST_BYTES // max(int(np.prod(preprocessing.shape)), 1)))
    with ThreadPoolExecutor(max_workers=threads()) as pool:
        try:
            for start in range(0, len(indices), step):
                batch = indices[start : start + step].tolist()
                results = list(pool.map(lambda index: _decoded(pictures, index, preprocessing), batch))
                readable = [
                    index for index, result in zip(batch, results, strict=True) if isinstance(result, np.ndarray)
                ]
                arrays = [result for result in results if isinstance(result, np.ndarray)]
                yield Chunk(
                    np.array(readable, dtype=np.int64),
                    np.stack(arrays) if arrays else np.zeros((0, *preprocessing.shape), dtype=np.uint8),
                    {index: result for index, result in zip(batch, results, strict=True) if isinstance(result, str)},
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _decoded(pictures: PictureFiles, index: int, preprocessing: Preprocessing) -> np.ndarray | str:
    """The picture, uint8 (C, H, W), or a sentence on why it cannot be read."""
    file = pictures.paths[index]
    try:
        if isinstance(file, Path):
            return preparing.prepare_one(file, preprocessing)
        return preparing.prepare_one(file.read_bytes(), preprocessing, name=str(file))
    except DataError as error:
        return str(error)
