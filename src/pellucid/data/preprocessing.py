"""Pictures become a network's input: the one implementation, for training, prediction and everything later.

Two steps. `prepare` brings pictures to the network's channels and size, as uint8. `normalise` turns a batch of them
into (v / 255 − mean) / deviation. Between the two, training may augment.

Sizes are changed by Pillow's bilinear filter with antialiasing; enlarging and shrinking alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pellucid.errors import DataError, FormatError
from pellucid.records import PictureFiles, Preprocessing, Split

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["Progress", "measure", "normalise", "prepare", "prepare_one", "prepare_readable"]

Progress = Callable[[int, int], None]
"""Told after each picture: (how many are done, of how many)."""
Fit = Literal["stretch", "crop", "pad"]
Scaling = Literal["unit", "symmetric", "standard"]

_FEW = 1024


def prepare(
    pictures: Split | np.ndarray | PictureFiles, preprocessing: Preprocessing, *, progress: Progress | None = None
) -> np.ndarray:
    """Brings pictures to the channels and the size of the preprocessing; files are decoded.

    Returns:
        uint8 (N, C, H, W), contiguous; the very same array where nothing is to be done.

    Raises:
        FormatError: a file cannot be decoded; names it.
    """
    array, _, reasons = _prepare(pictures, preprocessing, progress, keep_going=False)
    assert not reasons
    return array


def prepare_readable(
    pictures: Split | np.ndarray | PictureFiles, preprocessing: Preprocessing, *, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """As `prepare`, but leaves out what cannot be read, and names it.

    Returns:
        The pictures that could be read, uint8 (M, C, H, W); their indices, int64 (M,); and why the others could not:
        {id: sentence}. The id is that of the split, or the path.
    """
    return _prepare(pictures, preprocessing, progress, keep_going=True)


def prepare_one(source: Path | bytes | Image.Image, preprocessing: Preprocessing, *, name: str = "") -> np.ndarray:
    """Decodes one picture and brings it to the channels and the size of the preprocessing: uint8 (C, H, W).

    Raises:
        FormatError: it cannot be decoded; names it.
    """
    from pellucid.data.decoding import open_upright, to_array

    at_least = (preprocessing.height, preprocessing.width)
    image = open_upright(source, preprocessing.channels, name=name, at_least=at_least)
    return to_array(_resize(image, preprocessing))


def measure(pictures: np.ndarray, *, fit: Fit = "stretch", scaling: Scaling = "standard") -> Preprocessing:
    """Makes the preprocessing of pictures that have their final size.

    Args:
        pictures: the training pictures, uint8 (N, C, H, W).
        fit: how pictures of other sizes will be brought there.
        scaling: `unit` (0 to 1), `symmetric` (−1 to 1), or `standard`: mean 0 and deviation 1 over these pictures, per
            channel; a channel that is everywhere the same is given the deviation 1.

    Raises:
        DataError: `standard` is wanted, and there are no pictures.
    """
    channels, height, width = pictures.shape[1:]
    if scaling == "unit":
        mean, deviation = (0.0,) * channels, (1.0,) * channels
    elif scaling == "symmetric":
        mean, deviation = (0.5,) * channels, (0.5,) * channels
    else:
        if not pictures.size:
            raise DataError("There are no pictures to measure a mean and a deviation of.")
        mean, deviation = _moments(pictures)
    return Preprocessing(
        channels=channels, height=height, width=width, fit=fit, scaling=scaling, mean=mean, deviation=deviation
    )


def normalise(batch: torch.Tensor, preprocessing: Preprocessing, dtype: torch.dtype | None = None) -> torch.Tensor:
    """(v / 255 − mean) / deviation, per channel, as one multiplication and one addition: v × scale + shift.

    Args:
        batch: values v of 0 to 255, (N, C, H, W), usually uint8; fastest when it is contiguous.
        preprocessing: whose mean and deviation, one value a channel (or one for all).
        dtype: of the result; float32 where it is left out.

    Returns:
        (N, C, H, W), on the same device and in the same memory format; `batch` stays as it is.
    """
    import torch

    dtype = dtype or torch.float32
    # Half precision would lose what the sum needs: it is taken in float32, and rounded once.
    working = torch.float64 if dtype == torch.float64 else torch.float32
    mean = torch.tensor(preprocessing.mean, dtype=torch.float64)
    deviation = torch.tensor(preprocessing.deviation, dtype=torch.float64)
    scale = (1 / (255 * deviation)).to(batch.device, working).view(1, -1, 1, 1)
    shift = (-mean / deviation).to(batch.device, working).view(1, -1, 1, 1)
    # In place, in the copy that the cast makes. `addcmul` would be one call, but takes three times as long with these
    # shapes, and may round a value differently by its place in the batch.
    scaled = batch * scale if batch.dtype == working else batch.to(working).mul_(scale)
    return scaled.add_(shift).to(dtype)


def _moments(pictures: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel in units of 255, from exact whole-number sums."""
    counts = np.zeros((pictures.shape[1], 256), dtype=np.int64)
    for start in range(0, len(pictures), _FEW):
        for channel in range(pictures.shape[1]):
            counts[channel] += np.bincount(pictures[start : start + _FEW, channel].ravel(), minlength=256)
    values = np.arange(256, dtype=np.float64) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    deviation = np.sqrt((counts * (values - mean[:, np.newaxis]) ** 2).sum(axis=1) / total)
    deviation[(counts > 0).sum(axis=1) == 1] = 1.0
    return tuple(mean.tolist()), tuple(deviation.tolist())


def _prepare(
    pictures: Split | np.ndarray | PictureFiles,
    preprocessing: Preprocessing,
    progress: Progress | None,
    *,
    keep_going: bool,
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    held = pictures.pictures if isinstance(pictures, Split) else pictures
    if isinstance(held, np.ndarray):
        return _prepare_array(held, preprocessing, progress), np.arange(len(held)), {}
    result = _space_for(len(held), preprocessing)
    names = pictures.ids.tolist() if isinstance(pictures, Split) else [str(path) for path in held.paths]
    reasons: dict[int, str] = {}

    def decode(index: int) -> None:
        try:
            result[index] = prepare_one(held.paths[index], preprocessing)
        except DataError as error:
            if not keep_going:
                raise
            reasons[index] = str(error)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            _report(pool.map(decode, range(len(held))), len(held), progress)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    kept = np.array([i for i in range(len(held)) if i not in reasons], dtype=np.int64)
    return result if not reasons else result[kept], kept, {names[i]: reasons[i] for i in sorted(reasons)}


def _prepare_array(pictures: np.ndarray, preprocessing: Preprocessing, progress: Progress | None) -> np.ndarray:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise FormatError(
            f"Pictures are expected as uint8 of shape (N, C, H, W) with C = 1 or 3; these are {pictures.dtype} of "
            f"shape {pictures.shape}."
        )
    if pictures.shape[1:] == preprocessing.shape:
        return np.ascontiguousarray(pictures)
    from PIL import Image

    result = _space_for(len(pictures), preprocessing)

    def convert(index: int) -> None:
        picture = pictures[index]
        image = Image.fromarray(np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)))
        result[index] = prepare_one(image, preprocessing)

    _report(map(convert, range(len(pictures))), len(pictures), progress)
    return result


def _space_for(n: int, preprocessing: Preprocessing) -> np.ndarray:
    try:
        return np.empty((n, *preprocessing.shape), dtype=np.uint8)
    except MemoryError as error:
        channels, height, width = preprocessing.shape
        raise DataError(
            f"{n:,} pictures of {width}×{height} with {channels} channels need {n * channels * height * width:,} bytes "
            f"of memory, more than there is. Choose a smaller size."
        ) from error


def _report(done: Iterable[None], total: int, progress: Progress | None) -> None:
    for count, _ in enumerate(done, start=1):
        if progress is not None:
            progress(count, total)


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    from PIL import Image as Pillow

    target = (preprocessing.width, preprocessing.height)
    if image.size == target:
        return image
    bilinear = Pillow.Resampling.BILINEAR
    if preprocessing.fit == "stretch":
        return image.resize(target, bilinear, reducing_gap=None)
    ratios = (target[0] / image.width, target[1] / image.height)
    if preprocessing.fit == "crop":
        # The part of the picture that will be seen, in its own coordinates: nothing is resized only to be cut off.
        ratio = max(ratios)
        seen = (target[0] / ratio, target[1] / ratio)
        left, top = (image.width - seen[0]) / 2, (image.height - seen[1]) / 2
        box = (max(left, 0), max(top, 0), min(left + seen[0], image.width), min(top + seen[1], image.height))
        return image.resize(target, bilinear, box=box, reducing_gap=None)
    ratio = min(ratios)
    # At least one pixel, however thin the picture is.
    inner = max(round(image.width * ratio), 1), max(round(image.height * ratio), 1)
    canvas = Pillow.new(image.mode, target)
    corner = (target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2
    canvas.paste(image.resize(inner, bilinear, reducing_gap=None), corner)
    return canvas
