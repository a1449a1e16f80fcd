"""Augmentation of whole batches: each training picture is shifted, turned or flipped by amounts of its own.

What is drawn for a picture in an epoch is a function of (seed, epoch, picture) alone: all draws of an epoch are made at
once and looked up by the picture's number, so they do not depend on batches or on how many processes share the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from pellucid.errors import UnknownNameError, UsageError
from pellucid.training.randomness import generator

Draw = Callable[[np.random.Generator, int, float], np.ndarray]
"""(generator, how many pictures, amount) → one row of numbers per picture, float32 (N, ·)."""
Apply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(pictures (N, C, H, W) from 0 to 255, their rows of numbers) → pictures of the same shape."""


@dataclass(frozen=True)
class Augmentation:
    """A way to change training pictures.

    Attributes:
        draw: draws the numbers for each picture.
        apply: changes a batch by them.
        amount: the usual amount.
        meaning: what the amount is, with its unit.
        most: the largest amount that makes sense.
        alternates: whether it is drawn once for the whole training, as truth values, and negated every other epoch.
    """

    draw: Draw
    apply: Apply
    amount: float
    meaning: str
    most: float = math.inf
    alternates: bool = False


def _shift(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Moves by whole pixels; what comes in at the edge is black."""
    n, _, height, width = pictures.shape
    # Further than the picture is long, all of it is black, and no more room is needed.
    reach = min(int(drawn.abs().max()), max(height, width)) if drawn.numel() else 0
    padded = functional.pad(pictures, (reach, reach, reach, reach))
    offsets = drawn.long().clamp(-reach, reach) + reach
    rows = torch.arange(height, device=pictures.device) + offsets[:, :1]
    columns = torch.arange(width, device=pictures.device) + offsets[:, 1:]
    which = torch.arange(n, device=pictures.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _shift_mirrored(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Moves by whole pixels; what comes in at the edge is the picture, mirrored there."""
    n, _, height, width = pictures.shape
    which = torch.arange(n, device=pictures.device)[:, None, None]
    rows = _mirrored(torch.arange(height, device=pictures.device) + drawn[:, :1].long(), height)
    columns = _mirrored(torch.arange(width, device=pictures.device) + drawn[:, 1:].long(), width)
    return pictures[which, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _mirrored(positions: torch.Tensor, length: int) -> torch.Tensor:
    """Positions beyond an edge, brought back as in a mirror that stands on the outermost pixel."""
    period = max(2 * (length - 1), 1)
    folded = positions.remainder(period)
    return torch.minimum(folded, period - folded).clamp(max=length - 1)


def _flip(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Mirrors left and right where the number is 1."""
    return torch.where(drawn[:, :, None, None] > 0, pictures.flip(-1), pictures)


def _turn(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Turns by an angle in radians, about the middle."""
    angle = drawn[:, 0]
    # The grid's coordinates are from −1 to 1 in both directions, so an oblong picture needs its ratio.
    ratio = pictures.shape[-1] / pictures.shape[-2]
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _affine(pictures, (cosine, -sine / ratio, zero, sine * ratio, cosine, zero))


def _zoom(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Magnifies by a factor, about the middle."""
    inverse, zero = 1 / drawn[:, 0], torch.zeros(len(drawn), device=drawn.device)
    return _affine(pictures, (inverse, zero, zero, zero, inverse, zero))


def _affine(pictures: torch.Tensor, entries: Sequence[torch.Tensor]) -> torch.Tensor:
    matrices = torch.stack(tuple(entries), dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False, padding_mode="zeros")


def _erase(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Blackens a square: rows are (side in pixels, place of its middle as shares of height and width)."""
    _, _, height, width = pictures.shape
    side = drawn[:, 0][:, None]
    rows = (torch.arange(height, device=pictures.device) - drawn[:, 1][:, None] * height).abs() < side / 2
    columns = (torch.arange(width, device=pictures.device) - drawn[:, 2][:, None] * width).abs() < side / 2
    return pictures.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _lighten(pictures: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Multiplies the brightness; values stay between 0 and 255."""
    return (pictures * drawn[:, :, None, None]).clamp(0, 255)


AUGMENTATIONS: dict[str, Augmentation] = {
    "alternating-flip": Augmentation(
        # In each pair of epochs every picture is seen as it is, and mirrored (Jordan 2024, arXiv:2404.00498).
        draw=lambda g, n, a: g.uniform(size=(n, 1)) < a,
        apply=_flip,
        amount=0.5,
        meaning="the share of pictures that begin mirrored, up to 1",
        most=1,
        alternates=True,
    ),
    "brightness": Augmentation(
        draw=lambda g, n, a: 1 + g.uniform(-a, a, (n, 1)),
        apply=_lighten,
        amount=0.2,
        meaning="the largest change of brightness, as a share up to 1",
        most=1,
    ),
    "erase": Augmentation(
        draw=lambda g, n, a: np.column_stack([np.full(n, a), g.uniform(size=(n, 2))]),
        apply=_erase,
        amount=8,
        meaning="the side of the square, in pixels",
    ),
    "flip": Augmentation(
        draw=lambda g, n, a: g.uniform(size=(n, 1)) < a,
        apply=_flip,
        amount=0.5,
        meaning="the share of pictures that are mirrored, up to 1",
        most=1,
    ),
    "rotate": Augmentation(
        draw=lambda g, n, a: g.uniform(-math.radians(a), math.radians(a), (n, 1)),
        apply=_turn,
        amount=10,
        meaning="the largest angle, in degrees",
    ),
    "shift": Augmentation(
        draw=lambda g, n, a: g.integers(-int(a), int(a), (n, 2), endpoint=True),
        apply=_shift,
        amount=2,
        meaning="the largest shift in each direction, in pixels",
    ),
    "shift-mirrored": Augmentation(
        draw=lambda g, n, a: g.integers(-int(a), int(a), (n, 2), endpoint=True),
        apply=_shift_mirrored,
        amount=2,
        meaning="the largest shift in each direction, in pixels; the picture goes on mirrored at its edges",
    ),
    "zoom": Augmentation(
        draw=lambda g, n, a: np.exp(g.uniform(-math.log1p(a), math.log1p(a), (n, 1))),
        apply=_zoom,
        amount=0.1,
        meaning="the largest change of size, as a share",
    ),
}


def parse(text: str) -> tuple[str, float]:
    """`rotate:15` → ("rotate", 15.0); `rotate` alone takes the usual amount.

    Raises:
        UnknownNameError: there is no such augmentation.
        UsageError: the amount is not a number of at least 0, or is more than makes sense.
    """
    name, separator, amount = text.partition(":")
    if name not in AUGMENTATIONS:
        raise UnknownNameError("augmentation", name, AUGMENTATIONS)
    try:
        value = float(amount) if separator else AUGMENTATIONS[name].amount
    except ValueError:
        value = math.nan
    if not (0 <= value <= AUGMENTATIONS[name].most and math.isfinite(value)):
        meaning = AUGMENTATIONS[name].meaning
        raise UsageError(f"'{text}' should be '{name}' or '{name}:NUMBER', where the number is {meaning}.")
    return name, value


class Augmenter:
    """The augmentations of a recipe, for N training pictures.

    Args:
        names: as in a recipe: `shift:2`, `flip` ... They are applied in that order.
        n: how many training pictures there are.
        seed: the training's seed.
    """

    def __init__(self, names: Sequence[str], n: int, seed: int) -> None:
        self.steps = [parse(name) for name in names]
        self.n = n
        self.seed = seed
        self._drawn: list[torch.Tensor] = []

    def begin_epoch(self, epoch: int) -> None:
        """Draws what every picture will be changed by in this epoch."""
        self._drawn = []
        for name, amount in self.steps:
            kind = AUGMENTATIONS[name]
            numbers = kind.draw(
                generator(self.seed, "augmentation", name, 0 if kind.alternates else epoch), self.n, amount
            )
            if kind.alternates and epoch % 2 == 0:
                numbers = ~numbers
            self._drawn.append(torch.from_numpy(np.asarray(numbers, dtype=np.float32)))

    def __call__(self, pictures: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Changes a batch: uint8 (B, C, H, W) and the numbers of its pictures (B,) → float32 (B, C, H, W), 0 to 255."""
        if not self.steps:
            return pictures
        pictures = pictures.float()
        for (name, _), drawn in zip(self.steps, self._drawn, strict=True):
            pictures = AUGMENTATIONS[name].apply(pictures, drawn[which.cpu()].to(pictures.device))
        return pictures
