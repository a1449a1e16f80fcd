"""What shape a network's pictures are to have, where the user does not say."""

from __future__ import annotations

import numpy as np

from pellucid.data.decoding import is_grey, size_of
from pellucid.errors import UsageError
from pellucid.records import PictureFiles, Split

LARGEST_KEPT = 96
"""Files that all have one size up to this keep it."""
USUAL_SIZE = 64
"""Other files are brought to this height and width."""
_LOOKED_AT = 500


def input_shape(split: Split, size: int | tuple[int, int] | None = None) -> tuple[int, int, int]:
    """The shape (C, H, W) that the pictures of a split are brought to.

    Pictures in memory keep theirs. Files keep their size where they all have the same, of at most 96 pixels, and become
    64×64 otherwise; they become grey where they all are grey. Of many files, 500 spread over all are looked at.

    Args:
        split: the training pictures.
        size: height and width, or one number for both, where the user says.

    Raises:
        UsageError: what is no size, or one below 1.
    """
    if isinstance(split.pictures, PictureFiles):
        channels, height, width = _shape_of_files(split.pictures)
    else:
        _, channels, height, width = split.pictures.shape
    if size is not None:
        height, width = height_and_width(size)
    return channels, height, width


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width."""
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in sides):
        raise UsageError(
            f"A size is a whole number of pixels of at least 1, or two of them, height and width; given: {size!r}."
        )
    return sides[0], sides[1]


def _shape_of_files(files: PictureFiles) -> tuple[int, int, int]:
    places = np.unique(np.linspace(0, len(files) - 1, min(len(files), _LOOKED_AT)).astype(int))
    paths = [files.paths[i] for i in places]
    channels = 1 if all(is_grey(path) for path in paths) else 3
    sizes = {size_of(path) for path in paths}
    width, height = sizes.pop() if len(sizes) == 1 else (USUAL_SIZE, USUAL_SIZE)
    if max(width, height) > LARGEST_KEPT:
        width, height = USUAL_SIZE, USUAL_SIZE
    return channels, height, width
