"""Conversion of pictures (paths, PIL images, arrays, tensors) to a split for prediction."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.data import decoding
from pellucid.data import preprocessing as preparing
from pellucid.errors import DataError
from pellucid.records import Dataset, PictureFiles, Specification, Split


def as_split(pictures: Any, specification: Specification) -> Split:
    """Any pictures that `predict` accepts, as a split without labels.

    Paths stay files, decoded on demand. Everything else becomes one uint8 array at the model's input size.

    Raises:
        DataError: the pictures are of no accepted kind.
    """
    classes = specification.classes
    if isinstance(pictures, Dataset):
        raise DataError(f"'{pictures.name}' has the splits {', '.join(pictures.splits)}; give one of them: data.test.")
    if isinstance(pictures, (str, Path)):
        pictures = [pictures]
    if isinstance(pictures, Sequence) and pictures and all(isinstance(picture, (str, Path)) for picture in pictures):
        paths = tuple(Path(path) for path in pictures)
        # Linux allows file names that are not valid text; these bytes are escaped, so that the name can be printed.
        names = [str(path).encode("utf-8", "backslashreplace").decode() for path in pictures]
        return Split("pictures", PictureFiles(paths), None, classes, np.array(names))
    if _is_array(pictures):
        array = _as_numpy(pictures)
        many: list[Any] = [array] if _is_one_picture(array, specification.preprocessing.channels) else list(array)
    else:
        many = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    # Pictures of equal size are resized in one call.
    arrays = [_as_array(picture, specification.preprocessing.shape) for picture in many]
    if len({array.shape for array in arrays}) == 1:
        stacked = preparing.prepare(np.stack(arrays), specification.preprocessing)
    elif arrays:
        stacked = np.concatenate([preparing.prepare(array[None], specification.preprocessing) for array in arrays])
    else:
        stacked = np.zeros((0, *specification.preprocessing.shape), np.uint8)
    return Split("pictures", stacked, None, classes, np.array([f"picture {i + 1}" for i in range(len(stacked))]))


def _is_one_picture(array: np.ndarray, channels: int) -> bool:
    """Whether an array is one picture, (H, W), (H, W, C) or (C, H, W), rather than several.

    Raises:
        DataError: it could be either, or is neither.
    """
    if array.ndim not in (2, 3, 4):
        raise DataError(f"An array of pictures must have two to four dimensions; given shape: {array.shape}.")
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] == 3 and channels == 1:
        height, width = array.shape[1:]
        raise DataError(
            f"An array of shape {array.shape} may be one colour picture or three grey ones. Reshape it to "
            f"(1, 3, {height}, {width}) for one, or to (3, 1, {height}, {width}) for three."
        )
    if array.ndim == 3:
        return array.shape[-1] in (1, 3, 4) or array.shape[0] in (1, 3)
    return array.ndim == 2


def _as_array(picture: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """One picture as uint8 (C, H, W), C = 1 or 3; `shape` is the model's."""
    if isinstance(picture, Image.Image):
        return decoding.decode(picture, shape[0])
    if not _is_array(picture):
        raise DataError(
            f"A picture must be a path, a PIL image, an array or a tensor, and all must be of the same kind; given: "
            f"{type(picture).__name__}."
        )
    array = _as_uint8(_as_numpy(picture))
    if array.ndim == 2:
        return array[None]
    # An array with exactly the model's shape is (C, H, W), even if its width is 1, 3 or 4.
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4) and array.shape != shape:  # (H, W, C)
        if array.shape[-1] == 4:  # the decoder flattens an alpha channel
            return decoding.decode(Image.fromarray(array, "RGBA"), shape[0])
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    if array.ndim == 3 and array.shape[0] in (1, 3):
        return array
    raise DataError(f"A picture must have the shape (H, W), (H, W, C) or (C, H, W); given: {array.shape}.")


def _is_array(value: Any) -> bool:
    """Whether it is an array or a torch tensor. If torch is not loaded, nothing is a tensor."""
    torch = sys.modules.get("torch")
    return isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))


def _as_numpy(array: Any) -> np.ndarray:
    """An array or a tensor as an array."""
    if isinstance(array, np.ndarray):
        return array
    array = array.detach().cpu()
    return (array.float() if array.is_floating_point() else array).numpy()


def _as_uint8(array: np.ndarray) -> np.ndarray:
    """Pixel values as uint8: integers unchanged; booleans and fractions from 0 to 1 times 255.

    Raises:
        DataError: the values are out of range, or are not numbers.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise DataError(f"Pixel values must be numbers from 0 to 255, or from 0 to 1; given: {array.dtype}.")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if np.issubdtype(array.dtype, np.floating) and low >= 0 and high <= 1:
        return np.round(array * 255).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer) and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    advice = " Divide by 255, or convert to uint8." if low >= 0 and high <= 255 else ""
    raise DataError(
        f"Pixel values must be integers from 0 to 255, or fractions from 0 to 1; given: {array.dtype} from {low:g} to "
        f"{high:g}.{advice}"
    )
