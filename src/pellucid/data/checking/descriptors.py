"""A picture's appearance in a few numbers: the low frequencies of its cosine transform (a DCT-II).

The first coefficient is left out, so that brightness does not count, and the length is brought to one, so that contrast
does not. The others are multiplied by their frequency, because the spectrum of photographs falls with it: else all that
is compared is where the picture is light and where dark. The scalar product of two such descriptors is then the
correlation of two pictures, from −1 to 1.

A window is a part of the picture: (top, left, side), as fractions. Its descriptor is taken from the same thumbnail, by
linear interpolation, so that a cropped copy is met by the window that it was cropped to. To mirror a picture from left
to right is to turn the sign of every odd frequency across.
"""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["COARSE", "FINE", "SIDE", "WINDOWS", "Window", "around", "describe", "mirrored", "resampling"]

SIDE = 32
"""Height and width of the grey thumbnails that everything is compared on."""
COARSE, FINE = 8, 16
"""Frequencies along each side: for the search, and for the verification."""

Window = tuple[float, float, float]
WHOLE: Window = (0.0, 0.0, 1.0)
WINDOWS: tuple[Window, ...] = (
    WHOLE,
    *((top, left, 0.95) for top in (0.0125, 0.0375) for left in (0.0125, 0.0375)),
    *((top, left, 0.90) for top in (0.025, 0.075) for left in (0.025, 0.075)),
)
"""The whole, and crops of 5 and 10 per cent of each side: no such crop lies farther from one of these than an eightieth
(5 %) or a fortieth (10 %) of the side."""


def around(window: Window) -> list[Window]:
    """The window more precisely: eight like it, a little smaller and larger, moved up or down and left or right."""
    top, left, side = window
    if side == 1:
        return [window]
    step = (1 - side) / 8
    descriptors = []
    for closer in (-0.0125, 0.0125):
        # Moved by a step from where the smaller or larger one has the same middle, and within the picture.
        middle = (top - closer / 2, left - closer / 2)
        most = 1 - side - closer
        descriptors += [
            (min(max(middle[0] + down, 0), most), min(max(middle[1] + across, 0), most), side + closer)
            for down in (-step, step)
            for across in (-step, step)
        ]
    return descriptors


_FLATTEST = 2.0
"""Grey levels: below this standard deviation a picture is too flat to be told from another."""


def describe(thumbnails: np.ndarray, frequencies: int, window: Window = WHOLE) -> np.ndarray:
    """The descriptors of a window of thumbnails: uint8 (N, 32, 32) becomes float32 (N, frequencies²), of length one.

    Flat pictures have a length below one, so that they are like nothing.
    """
    top, left, side = window
    down, across = _basis(frequencies, top, side), _basis(frequencies, left, side)
    transformed = (down @ thumbnails.astype(np.float32) @ across.T) * _weights(frequencies)
    flat = transformed.reshape(len(thumbnails), frequencies**2)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(length, _FLATTEST * SIDE)


def mirrored(descriptors: np.ndarray, frequencies: int) -> np.ndarray:
    """The descriptors of the same pictures mirrored from left to right."""
    signs = np.where(np.arange(frequencies) % 2, np.float32(-1), np.float32(1))
    return (descriptors.reshape(-1, frequencies, frequencies) * signs).reshape(descriptors.shape)


@cache
def _basis(frequencies: int, start: float, length: float) -> np.ndarray:
    """(frequencies, 32): the cosines over the part [start, start + length] of a row of 32 samples."""
    centres = (start + (np.arange(SIDE) + 0.5) / SIDE * length) * SIDE - 0.5
    below = np.clip(np.floor(centres).astype(int), 0, SIDE - 2)
    share = np.clip(centres - below, 0, 1)
    samples = np.zeros((SIDE, SIDE))
    samples[np.arange(SIDE), below] = 1 - share
    samples[np.arange(SIDE), below + 1] += share
    angles = np.pi * np.arange(frequencies)[:, np.newaxis] * (np.arange(SIDE) + 0.5) / SIDE
    return (np.cos(angles) * np.sqrt(2 / SIDE) @ samples).astype(np.float32)


@cache
def _weights(frequencies: int) -> np.ndarray:
    """(frequencies, frequencies): the frequency itself; nothing for the mean."""
    along = np.arange(frequencies)
    return np.hypot(along[:, np.newaxis], along).astype(np.float32)


@cache
def resampling(n: int) -> np.ndarray:
    """(32, n): brings n samples to 32 by a triangle, widened where it shrinks, as Pillow's bilinear filter."""
    scale = max(n / SIDE, 1.0)
    centres = (np.arange(SIDE) + 0.5) * n / SIDE
    weights = np.maximum(1 - np.abs(np.arange(n) + 0.5 - centres[:, np.newaxis]) / scale, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
