"""Pictures as people hold them (paths, PIL pictures, arrays, tensors) as a split that can be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pellucid.data import decoding
from pellucid.data import preprocessing as preparing
from pellucid.errors import DataError
from pellucid.records import PictureFiles, Specification, Split


def as_split(pictures: Any, specification: Specification) -> Split:
    """Pictures of any kind that `predict` takes, as a split without labels.

    Paths stay files, to be decoded when they are needed; everything else becomes one uint8 array of the size that the
    model takes.

    Raises:
        DataError: they are of no such kind.
    """
    classes = specification.classes
    if isinstance(pictures, (str, Path)):
        pictures = [pictures]
    if isinstance(pictures, Sequence) and pictures and all(isinstance(one, (str, Path)) for one in pictures):
        paths = tuple(Path(one) for one in pictures)
        return Split("pictures", PictureFiles(paths), None, classes, np.array([str(one) for one in pictures]))
    if isinstance(pictures, (np.ndarray, torch.Tensor)):
        array = pictures.detach().cpu().numpy() if isinstance(pictures, torch.Tensor) else pictures
        many: list[Any] = [array] if _is_one_picture(array) else list(array)
    else:
        many = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    # Pictures of one size are brought to the model's size together, in one call.
    arrays = [_as_array(one, specification.preprocessing.channels) for one in many]
    if len({array.shape for array in arrays}) == 1:
        stacked = preparing.prepare(np.stack(arrays), specification.preprocessing)
    elif arrays:
        stacked = np.concatenate([preparing.prepare(array[None], specification.preprocessing) for array in arrays])
    else:
        stacked = np.zeros((0, *specification.preprocessing.shape), np.uint8)
    return Split("pictures", stacked, None, classes, np.array([f"picture {i + 1}" for i in range(len(stacked))]))


def _is_one_picture(array: np.ndarray) -> bool:
    """(H, W), (H, W, C) or (C, H, W), rather than several pictures."""
    if array.ndim == 3:
        return array.shape[-1] in (1, 3, 4) or array.shape[0] in (1, 3)
    return array.ndim == 2


def _as_array(picture: Any, channels: int) -> np.ndarray:
    """One picture as uint8 (C, H, W), C = 1 or 3."""
    if isinstance(picture, Image.Image):
        return decoding.decode(picture, channels)
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu().numpy()
    if not isinstance(picture, np.ndarray):
        raise DataError(
            f"A picture is a path, a PIL picture, an array or a tensor; this is a {type(picture).__name__}."
        )
    array = _as_uint8(picture)
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):  # (H, W, C); an alpha channel is flattened by the decoder
        if array.shape[-1] == 4:
            return decoding.decode(Image.fromarray(array, "RGBA"), channels)
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    if array.ndim == 3 and array.shape[0] in (1, 3):
        return array
    raise DataError(f"A picture is an array of shape (H, W), (H, W, C) or (C, H, W); this one has {picture.shape}.")


def _as_uint8(array: np.ndarray) -> np.ndarray:
    """Values from 0 to 255: integers as they are, fractions from 0 to 1 times 255."""
    if array.dtype == np.uint8:
        return array
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if np.issubdtype(array.dtype, np.floating) and low >= 0 and high <= 1:
        return np.round(array * 255).astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer) and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    raise DataError(
        f"A picture holds whole numbers from 0 to 255, or fractions from 0 to 1; this one is {array.dtype} from "
        f"{low:g} to {high:g}."
    )
