"""Descriptors of pictures: the low frequencies of a discrete cosine transform (DCT-II).

The constant coefficient is left out, so brightness has no influence; descriptors have length one, so contrast has none
either. The other coefficients are multiplied by their frequency, because the spectrum of photographs falls with
frequency: otherwise the coarse pattern of light and dark would decide alone. The scalar product of two descriptors is
then the correlation of two pictures, from −1 to 1.

A window is a part of a picture: (top, left, side), as fractions. Its descriptor comes from the same thumbnail, by
linear interpolation, so a cropped copy matches the window that is closest to its crop. Mirroring a picture from left to
right flips the sign of every odd horizontal frequency.
"""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["COARSE", "FINE", "SIDE", "WINDOWS", "Window", "cut_out", "describe", "mirrored", "neighbours", "resampling"]

SIDE = 32
"""Height and width of the grey thumbnails on which pictures are compared."""
COARSE, FINE = 8, 16
"""Frequencies along each side: for the search, and for the verification."""

Window = tuple[float, float, float]
WHOLE: Window = (0.0, 0.0, 1.0)
WINDOWS: tuple[Window, ...] = (
    WHOLE,
    *((top, left, 0.95) for top in (0.0125, 0.0375) for left in (0.0125, 0.0375)),
    *((top, left, 0.90) for top in (0.025, 0.075) for left in (0.025, 0.075)),
)
"""The whole picture, and crops of 5 % and 10 % of each side. Every crop of 5 % is within 1/80 of the side of one of
these windows, every crop of 10 % within 1/40."""


def neighbours(window: Window) -> list[Window]:
    """Eight windows close to a window: slightly smaller and larger, moved up or down and left or right."""
    top, left, side = window
    if side == 1:
        return [window]
    step = (1 - side) / 8
    windows = []
    for growth in (-0.0125, 0.0125):
        # Start from the smaller or larger window with the same centre, and stay inside the picture.
        centred = (top - growth / 2, left - growth / 2)
        most = 1 - side - growth
        windows += [
            (min(max(centred[0] + down, 0), most), min(max(centred[1] + across, 0), most), side + growth)
            for down in (-step, step)
            for across in (-step, step)
        ]
    return windows


_MIN_CONTRAST = 2.0
"""Grey levels: pictures with a smaller standard deviation are too flat to be compared."""


def describe(thumbnails: np.ndarray, frequencies: int, window: Window = WHOLE) -> np.ndarray:
    """Descriptors of a window of each thumbnail: uint8 (N, 32, 32) → float32 (N, frequencies²), of length one.

    Descriptors of flat pictures are shorter than one, so they match nothing.
    """
    top, left, side = window
    down, across = _basis(frequencies, top, side), _basis(frequencies, left, side)
    transformed = (down @ thumbnails.astype(np.float32) @ across.T) * _weights(frequencies)
    flat = transformed.reshape(len(thumbnails), frequencies**2)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(length, _MIN_CONTRAST * SIDE)


def cut_out(thumbnails: np.ndarray, window: Window) -> np.ndarray:
    """A window of each thumbnail, enlarged to the same size: uint8 (N, 32, 32) → float32 (N, 32, 32)."""
    top, left, side = window
    down, across = _samples(top, side).astype(np.float32), _samples(left, side).astype(np.float32)
    return down @ thumbnails.astype(np.float32) @ across.T


def mirrored(descriptors: np.ndarray, frequencies: int) -> np.ndarray:
    """Descriptors of the same pictures, mirrored from left to right."""
    signs = np.where(np.arange(frequencies) % 2, np.float32(-1), np.float32(1))
    return (descriptors.reshape(-1, frequencies, frequencies) * signs).reshape(descriptors.shape)


@cache
def _basis(frequencies: int, start: float, length: float) -> np.ndarray:
    """(frequencies, 32): cosines over the part [start, start + length] of a row of 32 samples."""
    angles = np.pi * np.arange(frequencies)[:, np.newaxis] * (np.arange(SIDE) + 0.5) / SIDE
    return (np.cos(angles) * np.sqrt(2 / SIDE) @ _samples(start, length)).astype(np.float32)


@cache
def _samples(start: float, length: float) -> np.ndarray:
    """(32, 32): linear interpolation of 32 values in the part [start, start + length] of a row."""
    centres = (start + (np.arange(SIDE) + 0.5) / SIDE * length) * SIDE - 0.5
    below = np.clip(np.floor(centres).astype(int), 0, SIDE - 2)
    share = np.clip(centres - below, 0, 1)
    samples = np.zeros((SIDE, SIDE))
    samples[np.arange(SIDE), below] = 1 - share
    samples[np.arange(SIDE), below + 1] += share
    return samples


@cache
def _weights(frequencies: int) -> np.ndarray:
    """(frequencies, frequencies): the frequency of each coefficient; 0 for the mean."""
    along = np.arange(frequencies)
    return np.hypot(along[:, np.newaxis], along).astype(np.float32)


@cache
def resampling(n: int) -> np.ndarray:
    """(32, n): resamples n values to 32 with a triangle filter, widened when it shrinks (Pillow's bilinear filter)."""
    scale = max(n / SIDE, 1.0)
    centres = (np.arange(SIDE) + 0.5) * n / SIDE
    weights = np.maximum(1 - np.abs(np.arange(n) + 0.5 - centres[:, np.newaxis]) / scale, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
