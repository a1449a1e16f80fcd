"""Preprocessing of pictures for a network. Training, prediction and everything else use this implementation.

Two steps: `prepare` converts pictures to the network's channels and size, as uint8. `normalise` computes
(v / 255 − mean) / std of a batch. Training may augment in between.

Resizing uses Pillow's bilinear filter with antialiasing, both to enlarge and to shrink.

`prepare` caches decoded files by content, so each file is decoded once. Above 256 MiB (`$PELLUCID_MEMORY`) the result
stays memory-mapped in the cache, and only the parts that are read take memory.
"""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from pellucid.data.files import read_errors
from pellucid.data.progress import Progress, watched
from pellucid.errors import DataError, FormatError, StorageError
from pellucid.records import MappedPictures, PictureFiles, Preprocessing, Split
from pellucid.records.names import counted
from pellucid.records.pictures import Member

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["Decoded", "Progress", "bytes_held", "measure", "normalise", "prepare", "prepare_one", "prepare_readable"]

Decoded = np.ndarray | MappedPictures
"""uint8 (N, C, H, W), in memory or mapped."""
Fit = Literal["stretch", "crop", "pad"]
Scaling = Literal["unit", "symmetric", "standard"]

_ON_CARDS: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}
_AT_ONCE = 16 * 1024**2
"""Number of values that `measure` processes at once."""
_WORTHWHILE = 2 * 1024**2
"""Decoded pictures of fewer bytes in total are not cached: decoding them again is faster than the cache."""
_USUAL_MEMORY = 256 * 1024**2
_LARGEST_FILE = 1000**3
"""A larger file, in bytes, is not read into memory but opened by the decoder, which stops early if it is no picture."""


@overload
def prepare(
    pictures: np.ndarray, preprocessing: Preprocessing, *, progress: Progress | None = ..., memory: None = ...
) -> np.ndarray: ...
@overload
def prepare(
    pictures: Split | Decoded | PictureFiles,
    preprocessing: Preprocessing,
    *,
    progress: Progress | None = ...,
    memory: float | None = ...,
) -> Decoded: ...
def prepare(
    pictures: Any, preprocessing: Preprocessing, *, progress: Progress | None = None, memory: float | None = None
) -> Any:
    """Convert pictures to the channels and the size of the preprocessing; decode files.

    Args:
        pictures: a split, decoded pictures, or files.
        preprocessing: size, fit and number of channels.
        progress: called with (pictures done, pictures in total). None shows a bar in a terminal if it takes long.
        memory: limit on the pictures in memory, in bytes; `$PELLUCID_MEMORY` or 256 MiB by default.

    Returns:
        uint8 (N, C, H, W), contiguous; the same array if nothing changes. `MappedPictures` if larger than `memory`.

    Raises:
        FormatError: a file cannot be decoded; the message names it.
        DataError, StorageError: the result is larger than `memory` and does not fit into the cache.
    """
    result, _, reasons = _prepare(pictures, preprocessing, progress, memory, keep_going=False)
    assert not reasons
    return result


def prepare_readable(
    pictures: Split | Decoded | PictureFiles,
    preprocessing: Preprocessing,
    *,
    progress: Progress | None = None,
    memory: float | None = None,
) -> tuple[Decoded, np.ndarray, dict[str, str]]:
    """Like `prepare`, but leave out and report the pictures that cannot be read.

    Returns:
        (the readable pictures, uint8 (M, C, H, W); their indices, int64 (M,); reasons for the others, {id: reason}).
        The id is the id in the split, or the path.
    """
    return _prepare(pictures, preprocessing, progress, memory, keep_going=True)


def bytes_held(pictures: Decoded | PictureFiles, n: int, shape: tuple[int, int, int]) -> int:
    """Memory in bytes that `prepare` needs for n of these pictures of shape (C, H, W); 0 if they stay memory-mapped."""
    size = n * math.prod(shape)
    if not isinstance(pictures, PictureFiles) and pictures.shape[1:] == shape:
        return 0 if isinstance(pictures, MappedPictures) else size
    return size if size <= _memory() else 0


def prepare_one(source: Path | bytes | Image.Image, preprocessing: Preprocessing, *, name: str = "") -> np.ndarray:
    """Decode one picture and convert it to the channels and the size of the preprocessing: uint8 (C, H, W).

    Raises:
        FormatError: it cannot be decoded; the message names it.
    """
    from pellucid.data.decoding import open_upright, to_array

    at_least = (preprocessing.height, preprocessing.width)
    image = open_upright(source, preprocessing.channels, name=name, at_least=at_least)
    return to_array(_resize(image, preprocessing))


def measure(pictures: Decoded, *, fit: Fit = "stretch", scaling: Scaling = "standard") -> Preprocessing:
    """Make the preprocessing for pictures that already have their final size.

    Args:
        pictures: the training pictures, uint8 (N, C, H, W).
        fit: how to fit pictures of other sizes.
        scaling: `unit` (0 to 1), `symmetric` (−1 to 1), or `standard`: mean 0 and standard deviation 1 per channel over
            these pictures. A constant channel gets the standard deviation 1.

    Raises:
        DataError: `scaling` is `standard`, and there are no pictures.
    """
    channels, height, width = pictures.shape[1:]
    if scaling == "unit":
        mean, deviation = (0.0,) * channels, (1.0,) * channels
    elif scaling == "symmetric":
        mean, deviation = (0.5,) * channels, (0.5,) * channels
    else:
        if not math.prod(pictures.shape):
            raise DataError("Without pictures, mean and standard deviation cannot be measured.")
        mean, deviation = _moments(pictures)
    return Preprocessing(
        channels=1 if channels == 1 else 3,
        height=height,
        width=width,
        fit=fit,
        scaling=scaling,
        mean=mean,
        std=deviation,
    )


def normalise(batch: torch.Tensor, preprocessing: Preprocessing, dtype: torch.dtype | None = None) -> torch.Tensor:
    """(v / 255 − mean) / std per channel, computed as v × scale + shift.

    Args:
        batch: values v of 0 to 255, (N, C, H, W), usually uint8; fastest if contiguous.
        preprocessing: gives mean and std, one value per channel (or one for all).
        dtype: type of the result; float32 by default.

    Returns:
        (N, C, H, W), on the same device and in the same memory format; `batch` is not changed.
    """
    import torch

    dtype = dtype or torch.float32
    # Half precision is too coarse for the sum: compute in float32, and round once.
    working = torch.float64 if dtype == torch.float64 else torch.float32
    scale, shift = _scale_and_shift(preprocessing, batch.device, working)
    # In place, in the copy from the cast. `addcmul` would be a single call, but takes three times as long for these
    # shapes, and may round a value differently depending on its position in the batch.
    scaled = batch * scale if batch.dtype == working else batch.to(working).mul_(scale)
    return scaled.add_(shift).to(dtype)


def _scale_and_shift(
    preprocessing: Preprocessing, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The factors and summands of `normalise`, (1, C, 1, 1). On a card they are sent once: sending waits for it."""
    import torch

    key = (preprocessing.mean, preprocessing.std, device, dtype)
    if key in _ON_CARDS:
        return _ON_CARDS[key]
    with torch.inference_mode(False):  # a pair that is kept must also serve where gradients are computed
        mean = torch.tensor(preprocessing.mean, dtype=torch.float64)
        deviation = torch.tensor(preprocessing.std, dtype=torch.float64)
        scale = (1 / (255 * deviation)).to(device, dtype).view(1, -1, 1, 1)
        shift = (-mean / deviation).to(device, dtype).view(1, -1, 1, 1)
    if device.type != "cpu":
        _ON_CARDS[key] = scale, shift
    return scale, shift


def _moments(pictures: Decoded) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, in units of 255, from exact integer sums."""
    counts = np.zeros((pictures.shape[1], 256), dtype=np.int64)
    step = max(1, _AT_ONCE // math.prod(pictures.shape[1:]))
    for start in range(0, len(pictures), step):
        some = pictures[start : start + step]
        for channel in range(pictures.shape[1]):
            counts[channel] += np.bincount(some[:, channel].ravel(), minlength=256)
    values = np.arange(256, dtype=np.float64) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    deviation = np.sqrt((counts * (values - mean[:, np.newaxis]) ** 2).sum(axis=1) / total)
    deviation[(counts > 0).sum(axis=1) == 1] = 1.0
    return tuple(mean.tolist()), tuple(deviation.tolist())


def _prepare(
    pictures: Split | Decoded | PictureFiles,
    preprocessing: Preprocessing,
    progress: Progress | None,
    memory: float | None,
    *,
    keep_going: bool,
) -> tuple[Decoded, np.ndarray, dict[str, str]]:
    source = pictures.pictures if isinstance(pictures, Split) else pictures
    if not isinstance(source, PictureFiles):
        _check(source)
        if source.shape[1:] == preprocessing.shape:
            return (
                source if isinstance(source, MappedPictures) else np.ascontiguousarray(source),
                np.arange(len(source)),
                {},
            )
    work = _Work(source, preprocessing, keep_going=keep_going)
    size, most = len(source) * math.prod(preprocessing.shape), _memory() if memory is None else memory
    result = None
    if size > most or (isinstance(source, PictureFiles) and size >= _WORTHWHILE):
        try:
            result = work.from_the_store(progress)
        except (StorageError, DataError) as error:
            # If memory suffices, a cache that cannot be written to only costs time. A damaged picture is an error.
            if size > most or isinstance(error, FormatError):
                raise
        else:
            result = result if size > most else result[:]
    if result is None:
        result = work.in_memory(progress)
    names = pictures.ids if isinstance(pictures, Split) else source.paths if isinstance(source, PictureFiles) else ()
    readable = np.array([i for i in range(len(source)) if i not in work.reasons], dtype=np.int64)
    return result, readable, {str(names[i]): work.reasons[i] for i in sorted(work.reasons)}


def _memory() -> int:
    from pellucid.records.quantities import parse_size

    setting = os.environ.get("PELLUCID_MEMORY")
    return parse_size(setting, "PELLUCID_MEMORY") if setting else _USUAL_MEMORY


def _check(pictures: Decoded) -> None:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise FormatError(
            f"Pictures must be uint8 of shape (N, C, H, W) with C = 1 or 3; these are {pictures.dtype} of shape "
            f"{pictures.shape}."
        )


class _Work:
    """Preparation of many pictures, in memory or in the cache. `reasons` explains why others cannot be read."""

    def __init__(self, source: Decoded | PictureFiles, preprocessing: Preprocessing, *, keep_going: bool) -> None:
        self.held = source
        self.preprocessing = preprocessing
        self.keep_going = keep_going
        self.reasons: dict[int, str] = {}

    def _one(self, index: int, digest: bytes = b"") -> np.ndarray | None:
        """Prepare one picture; None if it cannot be read and `keep_going` is set."""
        try:
            if isinstance(self.held, PictureFiles):
                return _of_file(self.held.paths[index], self.preprocessing, digest)
            return _of_array(self.held[index], self.preprocessing)
        except DataError as error:
            if not self.keep_going:
                raise
            self.reasons[index] = str(error)
            return None

    def in_memory(self, progress: Progress | None) -> np.ndarray:
        from pellucid.data.hashing import threads

        n = len(self.held)
        result = _space_for(n, self.preprocessing)

        def put(index: int) -> None:
            picture = self._one(index)
            if picture is not None:
                result[index] = picture

        if isinstance(self.held, PictureFiles):
            with ThreadPoolExecutor(max_workers=threads()) as pool:
                try:
                    _run(watched(pool.map(put, range(n)), n, "Decoding pictures", progress))
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        else:
            _run(watched(map(put, range(n)), n, "Resizing pictures", progress))
        return result if not self.reasons else result[[i for i in range(n) if i not in self.reasons]]

    def from_the_store(self, progress: Progress | None) -> MappedPictures:
        from pellucid.data.decoded import stored
        from pellucid.data.hashing import content_hashes

        digests = content_hashes(self.held)
        result, known = stored(
            digests, self.preprocessing, lambda index: self._one(index, digests[index]), progress=progress
        )
        for index in np.flatnonzero(~known).tolist():
            # Read it again to get the reason: of several copies of a damaged file, only one was tried.
            if index not in self.reasons and self._one(index) is not None:
                self.reasons[index] = f"{self._name(index)} changed while it was read. Try again."
        if self.reasons and not self.keep_going:
            raise DataError(next(iter(self.reasons.values())))
        return result

    def _name(self, index: int) -> str:
        return str(self.held.paths[index]) if isinstance(self.held, PictureFiles) else f"picture {index}"


def _run(work: Any) -> None:
    for _ in work:
        pass


def _of_file(path: Path | Member, preprocessing: Preprocessing, digest: bytes = b"") -> np.ndarray:
    """Prepare the picture of a file.

    Raises:
        DataError: `digest` is not empty, and the content of the file has another SHA-256.
    """
    if isinstance(path, Path) and (not digest or _size(path) > _LARGEST_FILE):
        return prepare_one(path, preprocessing)
    with read_errors(Path(str(path))):
        content = path.read_bytes()
    if digest and hashlib.sha256(content).digest() != digest.ljust(32, b"\0"):
        raise DataError(f"{path} changed while it was read. Try again.")
    return prepare_one(content, preprocessing, name=str(path))


def _size(path: Path) -> int:
    with read_errors(path):
        return path.stat().st_size


def _of_array(picture: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)))
    return prepare_one(image, preprocessing)


def _space_for(n: int, preprocessing: Preprocessing) -> np.ndarray:
    try:
        return np.empty((n, *preprocessing.shape), dtype=np.uint8)
    except MemoryError as error:
        channels, height, width = preprocessing.shape
        raise DataError(
            f"{counted(n, 'picture')} of {width}×{height} with {counted(channels, 'channel')} need "
            f"{n * channels * height * width:,} bytes "
            f"of memory, more than is free. Choose a smaller size."
        ) from error


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
        # Resize only the visible box, in coordinates of the original picture.
        ratio = max(ratios)
        size = (target[0] / ratio, target[1] / ratio)
        left, top = (image.width - size[0]) / 2, (image.height - size[1]) / 2
        box = (max(left, 0), max(top, 0), min(left + size[0], image.width), min(top + size[1], image.height))
        return image.resize(target, bilinear, box=box, reducing_gap=None)
    ratio = min(ratios)
    # At least one pixel, even for a very thin picture.
    inner = max(round(image.width * ratio), 1), max(round(image.height * ratio), 1)
    canvas = Pillow.new(image.mode, target)
    corner = (target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2
    canvas.paste(image.resize(inner, bilinear, reducing_gap=None), corner)
    return canvas
