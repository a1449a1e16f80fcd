"""Augmentation of whole batches: each training picture is shifted, rotated or flipped by its own random amount.

The random numbers of a picture in an epoch are a function of (seed, epoch, picture): they are drawn for all pictures at
once and looked up by index, so they do not depend on batches or on the number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from pellucid.training.randomness import generator
from pellucid.training.setting_names import parse_augmentation

Draw = Callable[[np.random.Generator, int, float], np.ndarray]
"""(generator, number of pictures, amount) → one row of random numbers per picture, float32 (N, ·)."""
Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(pictures (N, C, H, W) from 0 to 255, their rows of random numbers) → pictures of the same shape."""


@dataclass(frozen=True)
class Augmentation:
    """A kind of random change to training pictures.

    Attributes:
        draw: draws the random numbers for each picture.
        apply: changes a batch accordingly.
        alternates: whether booleans are drawn once for the whole training, and negated every other epoch.
    """

    draw: Draw
    apply: Apply
    alternates: bool = False


def _shift(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Moves by whole pixels; the edge is filled with black."""
    n, _, height, width = pictures.shape
    # Nothing here asks for a value of `numbers`, which a graphics card would have to be waited for.
    rows = torch.arange(height, device=pictures.device) + numbers[:, :1].long()
    columns = torch.arange(width, device=pictures.device) + numbers[:, 1:].long()
    indices = torch.arange(n, device=pictures.device)[:, None, None]
    nearest_rows, nearest_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    moved = pictures[indices, :, nearest_rows[:, :, None], nearest_columns[:, None, :]].movedim(-1, 1)
    outside = (rows != nearest_rows)[:, None, :, None] | (columns != nearest_columns)[:, None, None, :]
    return moved.masked_fill_(outside, 0)


def _shift_mirrored(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Moves by whole pixels; the edge is filled with the mirrored picture."""
    n, _, height, width = pictures.shape
    indices = torch.arange(n, device=pictures.device)[:, None, None]
    rows = _mirrored(torch.arange(height, device=pictures.device) + numbers[:, :1].long(), height)
    columns = _mirrored(torch.arange(width, device=pictures.device) + numbers[:, 1:].long(), width)
    return pictures[indices, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _mirrored(positions: torch.Tensor, length: int) -> torch.Tensor:
    """Reflects positions beyond an edge at the outermost pixel."""
    period = max(2 * (length - 1), 1)
    folded = positions.remainder(period)
    return torch.minimum(folded, period - folded).clamp(max=length - 1)


def _flip(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Mirrors left and right if the number is 1."""
    return torch.where(numbers[:, :, None, None] > 0, pictures.flip(-1), pictures)


def _rotate(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Rotates by an angle in radians, about the centre."""
    angle = numbers[:, 0]
    # The grid's coordinates go from −1 to 1 in both directions, so an oblong picture needs its aspect ratio.
    ratio = pictures.shape[-1] / pictures.shape[-2]
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _affine(pictures, (cosine, -sine / ratio, zero, sine * ratio, cosine, zero))


def _zoom(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Magnifies by a factor, about the centre."""
    inverse, zero = 1 / numbers[:, 0], torch.zeros(len(numbers), device=numbers.device)
    return _affine(pictures, (inverse, zero, zero, zero, inverse, zero))


def _affine(pictures: torch.Tensor, entries: Sequence[torch.Tensor]) -> torch.Tensor:
    matrices = torch.stack(tuple(entries), dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False, padding_mode="zeros")


def _erase(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Blackens a square: rows are (side in pixels, position of its centre as shares of height and width)."""
    _, _, height, width = pictures.shape
    side = numbers[:, 0][:, None]
    rows = (torch.arange(height, device=pictures.device) - numbers[:, 1][:, None] * height).abs() < side / 2
    columns = (torch.arange(width, device=pictures.device) - numbers[:, 2][:, None] * width).abs() < side / 2
    return pictures.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _change_brightness(pictures: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Multiplies all values by a factor, and clips them to 0 ... 255."""
    return (pictures * numbers[:, :, None, None]).clamp(0, 255)


AUGMENTATIONS: dict[str, Augmentation] = {
    "alternating-flip": Augmentation(
        # Two successive epochs show each picture once as it is and once mirrored (Jordan 2024, arXiv:2404.00498).
        draw=lambda g, n, a: g.uniform(size=(n, 1)) < a,
        apply=_flip,
        alternates=True,
    ),
    "brightness": Augmentation(
        draw=lambda g, n, a: 1 + g.uniform(-a, a, (n, 1)),
        apply=_change_brightness,
    ),
    "erase": Augmentation(
        draw=lambda g, n, a: np.column_stack([np.full(n, a), g.uniform(size=(n, 2))]),
        apply=_erase,
    ),
    "flip": Augmentation(
        draw=lambda g, n, a: g.uniform(size=(n, 1)) < a,
        apply=_flip,
    ),
    "rotate": Augmentation(
        draw=lambda g, n, a: g.uniform(-math.radians(a), math.radians(a), (n, 1)),
        apply=_rotate,
    ),
    "shift": Augmentation(
        draw=lambda g, n, a: g.integers(-int(a), int(a), (n, 2), endpoint=True),
        apply=_shift,
    ),
    "shift-mirrored": Augmentation(
        draw=lambda g, n, a: g.integers(-int(a), int(a), (n, 2), endpoint=True),
        apply=_shift_mirrored,
    ),
    "zoom": Augmentation(
        draw=lambda g, n, a: np.exp(g.uniform(-math.log1p(a), math.log1p(a), (n, 1))),
        apply=_zoom,
    ),
}


class Augmenter:
    """The augmentations of a recipe, for N training pictures.

    Args:
        names: as in a recipe: `shift:2`, `flip` ... They are applied in this order.
        n: number of training pictures.
        seed: seed of the training.
        device: where the pictures are.
    """

    def __init__(self, names: Sequence[str], n: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.steps = [parse_augmentation(name) for name in names]
        self.n = n
        self.seed = seed
        self.device = device
        self._numbers: list[torch.Tensor] = []

    def begin_epoch(self, epoch: int) -> None:
        """Draws the random numbers of every picture for this epoch.

        They take the place of the last epoch's in memory, where the captured steps of a card look for them.
        """
        drawn = []
        for name, amount in self.steps:
            kind = AUGMENTATIONS[name]
            numbers = kind.draw(
                generator(self.seed, "augmentation", name, 0 if kind.alternates else epoch), self.n, amount
            )
            if kind.alternates and epoch % 2 == 0:
                numbers = ~numbers
            drawn.append(torch.from_numpy(np.asarray(numbers, dtype=np.float32)))
        if self._numbers:
            for place, numbers in zip(self._numbers, drawn, strict=True):
                place.copy_(numbers)
        else:
            self._numbers = [numbers.to(self.device) for numbers in drawn]

    def __call__(self, pictures: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Changes a batch: uint8 (B, C, H, W) and the indices of its pictures (B,) → float32 (B, C, H, W), 0 to 255."""
        if not self.steps:
            return pictures
        pictures = pictures.float()
        for (name, _), numbers in zip(self.steps, self._numbers, strict=True):
            pictures = AUGMENTATIONS[name].apply(pictures, numbers[indices])
        return pictures
