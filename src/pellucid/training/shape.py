"""The shape to which the pictures are brought for a network."""

from __future__ import annotations

import numpy as np

from pellucid.data.decoding import is_grey, size_of
from pellucid.errors import UsageError
from pellucid.records import PictureFiles, Split
from pellucid.records.model import MOST_INPUT_PIXELS

LARGEST_ORIGINAL_SIZE = 96
"""Files that share one size up to this one keep it."""
DEFAULT_SIZE = 64
"""Other files become this high and wide."""
_SAMPLE_SIZE = 500


def input_shape(split: Split, size: int | tuple[int, int] | None = None) -> tuple[int, int, int]:
    """The shape (C, H, W) to which the pictures of a split are brought.

    Pictures in memory keep their shape. Files keep their size if all have the same one, of at most 96 pixels, and
    become 64×64 otherwise; they become grey if all are grey. Up to 500 files, spread over all, are opened to see.

    Args:
        split: the training pictures.
        size: height and width that the user chose, or one number for both; None decides as above.

    Raises:
        UsageError: `size` is not a size or is below 1, or the pictures are too large for a network.
    """
    if isinstance(split.pictures, PictureFiles):
        channels, height, width = _shape_of_files(split.pictures)
    else:
        _, channels, height, width = split.pictures.shape
    if size is not None:
        height, width = height_and_width(size)
    if height * width > MOST_INPUT_PIXELS:
        raise UsageError(
            f"Pictures of {height:,}×{width:,} pixels are too large for a network; at most {MOST_INPUT_PIXELS:,} "
            f"pixels are supported. Give a smaller size, such as size=224 or --size 224."
        )
    return channels, height, width


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width of a size that is given as one number or two.

    Raises:
        UsageError: it is not a size, or is below 1.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in sides):
        raise UsageError(
            f"A size is a whole number of pixels of at least 1, or two: height and width; given: {size!r}."
        )
    return sides[0], sides[1]


def _shape_of_files(files: PictureFiles) -> tuple[int, int, int]:
    indices = np.unique(np.linspace(0, len(files) - 1, min(len(files), _SAMPLE_SIZE)).astype(int))
    paths = [files.paths[i] for i in indices]
    channels = 1 if all(is_grey(path) for path in paths) else 3
    sizes = {size_of(path) for path in paths}
    width, height = sizes.pop() if len(sizes) == 1 else (DEFAULT_SIZE, DEFAULT_SIZE)
    if max(width, height) > LARGEST_ORIGINAL_SIZE:
        width, height = DEFAULT_SIZE, DEFAULT_SIZE
    return channels, height, width
