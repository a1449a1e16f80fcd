"""How pictures look before a network resizes them: size, colour, brightness and contrast, from a sample.

A model file keeps the ranges of its training pictures, so that `predict` and `evaluate` can tell that other pictures
are nothing like them: another size by far, colour where training had grey, or black on white instead of white on black.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data import decoding
from pellucid.data import preprocessing as preparing
from pellucid.errors import DataError
from pellucid.records import Appearance, MappedPictures, PictureFiles, Preprocessing, Split

SAMPLE = 64
"""Most pictures that are looked at, spread evenly over all."""

_COLOUR = 8
"""A picture is in colour if its channels differ by more than this on average, in grey levels of 0 to 255."""
_FACTOR = 3
"""A picture is far from training's size beyond this factor."""
_MARGIN = 25
"""Brightness or contrast is far from training's range beyond this many grey levels, or half of the range."""


@dataclass(frozen=True)
class Look:
    """One picture: √(width × height) in pixels, whether it is in colour, and mean and deviation of its grey levels."""

    side: float
    is_colour: bool
    brightness: float
    contrast: float


def appearance(split: Split, preprocessing: Preprocessing) -> Appearance | None:
    """The ranges of a sample of pictures; None if none of them can be read."""
    looks = list(_looks(split.pictures, preprocessing))
    if not looks:
        return None
    low, high = np.percentile([look.side for look in looks], [5, 95])
    brightness, contrast = [look.brightness for look in looks], [look.contrast for look in looks]
    return Appearance(
        side=(round(float(low), 1), round(float(high), 1)),
        colour=round(float(np.mean([look.is_colour for look in looks])), 3),
        brightness=(round(min(brightness), 1), round(max(brightness), 1)),
        contrast=(round(min(contrast), 1), round(max(contrast), 1)),
    )


def difference(split: Split, preprocessing: Preprocessing, training: Appearance | None) -> str:
    """A sentence on how most of the pictures differ from those of the training; empty if they do not.

    Args:
        split: the pictures.
        preprocessing: that of the model.
        training: the ranges in the model file; None if it has none.
    """
    if training is None:
        return ""
    looks = list(_looks(split.pictures, preprocessing))
    parts = [part for part in _differences(looks, preprocessing, training) if part]
    if not parts:
        return ""
    return (
        f"the pictures do not look like those that the model learned from: {'; '.join(parts)}. Its predictions may be "
        f"wrong, and their probabilities too high."
    )


def _differences(looks: list[Look], preprocessing: Preprocessing, training: Appearance) -> Iterator[str]:
    """What differs in more than half of the pictures, as parts of a sentence."""
    edge = (preprocessing.height * preprocessing.width) ** 0.5
    sides = [look.side for look in looks if _is_far_in_size(look.side / edge, training, edge)]
    if _are_most(sides, looks):
        side = round(float(np.median(sides)))
        ours = " to ".join(dict.fromkeys(f"{round(one)}×{round(one)}" for one in training.side))
        yield f"about {side:,}×{side:,} pixels, in training {ours}"
    colours = [look for look in looks if look.is_colour]
    if training.colour == 0 and _are_most(colours, looks):
        yield "in colour, in training grey"
    if training.colour == 1 and looks and not colours:
        yield "grey, in training in colour"
    for name, (low, high), values in (
        ("mean brightness", training.brightness, [look.brightness for look in looks]),
        ("contrast", training.contrast, [look.contrast for look in looks]),
    ):
        margin = max(_MARGIN, (high - low) / 2)
        far = [value for value in values if not low - margin <= value <= high + margin]
        if _are_most(far, looks):
            yield f"{name} {np.median(far):.0f} of 255, in training {low:.0f} to {high:.0f}"


def _are_most(some: list, of: list) -> bool:
    return 2 * len(some) > len(of)


def _is_far_in_size(scale: float, training: Appearance, edge: float) -> bool:
    """Whether a picture is enlarged or shrunk to the network's input much more than the training pictures were.

    Shrinking large photos to the input loses the same whatever their size, so two large sizes do not differ.

    Args:
        scale: side of the picture, divided by that of the input.
        training: the ranges of the training.
        edge: side of the input, in pixels.
    """
    low, high = training.side[0] / edge, training.side[1] / edge
    return min(scale, 1) * _FACTOR < min(low, 1) or (high <= 2 and scale > _FACTOR * max(high, 1))


def _looks(pictures: np.ndarray | MappedPictures | PictureFiles, preprocessing: Preprocessing) -> Iterator[Look]:
    """A sample of the pictures; those that cannot be read are left out."""
    colour = preprocessing.model_copy(update={"channels": 3})
    for index in np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), SAMPLE)).astype(int)).tolist():
        try:
            side, pixels = _decoded(pictures, index, colour)
        except DataError:
            continue
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), pixels.astype(np.float32), axes=(0, 0))
        spread = float((pixels.max(axis=0) - pixels.min(axis=0)).mean())
        yield Look(side, spread > _COLOUR, float(grey.mean()), float(grey.std()))


def _decoded(
    pictures: np.ndarray | MappedPictures | PictureFiles, index: int, preprocessing: Preprocessing
) -> tuple[float, np.ndarray]:
    """A picture's √(width × height), and the picture at the size of the input, uint8 (3, H, W)."""
    if not isinstance(pictures, PictureFiles):
        picture = np.asarray(pictures[index])
        height, width = picture.shape[1:]
        colour = picture if len(picture) == 3 else np.repeat(picture, 3, axis=0)
        return (height * width) ** 0.5, preparing.prepare(colour[None], preprocessing)[0]
    file = pictures.paths[index]
    source = file if isinstance(file, Path) else file.read_bytes()
    _, width, height = decoding.probe(source, name=str(file))
    return (height * width) ** 0.5, preparing.prepare_one(source, preprocessing, name=str(file))
