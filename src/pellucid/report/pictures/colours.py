"""Signed numbers as colours: blue below 0, white at 0, red above. Used for weights, feature maps and attributions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from pellucid.report.pictures import canvas
from pellucid.report.wording import short

# An odd number of colours, so that the middle one is exactly 0.
_COLOURS = LinearSegmentedColormap.from_list(
    "signed", ["#08306b", "#2f74b5", "#a8cbe6", "#ffffff", "#f6b59b", "#cf4a3f", "#6d0a16"], N=511
)
_BAR_HIGH, _BAR_WIDE = 0.13, 2.2
MARGIN = 0.25


def colours(values: np.ndarray, largest: float) -> np.ndarray:
    """Colours of values (H, W) as uint8 (H, W, 3): white is 0; the scale runs from −largest to +largest."""
    return _COLOURS(0.5 + 0.5 * values / (largest or 1.0), bytes=True)[..., :3]


def mixed(values: np.ndarray, largest: float) -> np.ndarray:
    """Values (3, H, W) as red, green and blue, uint8 (H, W, 3): middle grey is 0."""
    return np.round(127.5 + 127.5 * (values / (largest or 1.0)).clip(-1, 1)).astype(np.uint8).transpose(1, 2, 0)


def head(axes: Axes, title: str, lines: Iterable[str]) -> float:
    """Writes the title and the non-empty lines below it. Returns the y of their end, in inches."""
    wide = axes.get_xlim()[1] - 2 * MARGIN
    lines_of_title, size = canvas.titled(title, wide)
    axes.text(MARGIN, 0.33, lines_of_title, **canvas.text(size, weight="bold", va="center"))
    y = 0.6
    for line in filter(None, lines):
        axes.text(MARGIN, y, short(line, int(wide * 14.5)), **canvas.text(8.5, canvas.MUTED, va="center"))
        y += 0.19
    return y


def bar(
    axes: Axes,
    left: float,
    top: float,
    largest: float | None,
    *,
    grey: bool = False,
    half: bool = False,
    wide: float = _BAR_WIDE,
) -> None:
    """Draws a colour bar with its ends and zero marked.

    Args:
        axes: the sheet.
        left: left end in inches.
        top: upper edge in inches.
        largest: value at the ends; None if each picture has its own scale.
        grey: draw the scale of `mixed`, not of `colours`.
        half: draw only the part from 0 upwards.
        wide: width of the whole bar in inches.
    """
    across = wide / 2 if half else wide
    steps = np.linspace(0 if half else -1, 1, 201)[np.newaxis]
    strip = mixed(np.repeat(steps[np.newaxis], 3, axis=0), 1.0) if grey else colours(steps, 1.0)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(strip, extent=(left, left + across, top + _BAR_HIGH, top), aspect="auto", interpolation="bilinear")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    axes.add_patch(Rectangle((left, top), across, _BAR_HIGH, fill=False, linewidth=0.6, edgecolor=canvas.MUTED))
    end = "its largest" if largest is None else f"{largest:.3g}"
    sign = " " if largest is None else ""
    zero = left if half else left + across / 2
    axes.plot([zero, zero], [top, top + _BAR_HIGH + 0.04], color=canvas.INK, linewidth=0.9)
    marks = [(zero, "0", "center"), (left + across, f"+{sign}{end}", "right")]
    for x, label, side in marks if half else [(left, f"−{sign}{end}", "left"), *marks]:
        axes.text(x, top + _BAR_HIGH + 0.11, label, **canvas.text(8, canvas.MUTED, ha=side, va="center"))


def frame(axes: Axes, left: float, top: float, edge: float, shape: tuple[int, ...]) -> None:
    """Draws a thin frame around a picture of shape (H, W) in a square, so that a white border is visible."""
    height, width = shape[:2]
    scale = edge / max(height, width)
    across, down = width * scale, height * scale
    corner = left + (edge - across) / 2, top + (edge - down) / 2
    axes.add_patch(Rectangle(corner, across, down, fill=False, linewidth=0.6, edgecolor=canvas.FAINT))


_PALE = 0.5
"""Share of the picture's contrast that is kept."""


def over(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Overlays a map (h, w) on a pale grey picture, uint8 (H, W) or (H, W, 3): uint8 (H, W, 3).

    The scale ends at the 99th percentile of the map, so that a single pixel does not make all others pale.
    """
    grey = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    grey = 255 - _PALE * (255 - grey) if grey.mean() > 127 else 255 - _PALE * grey  # ink becomes dark
    fine = enlarged(values, (grey.shape[0], grey.shape[1]))
    largest = float(np.quantile(np.abs(fine), 0.99)) or float(np.abs(fine).max()) or 1.0
    strength = np.clip(np.abs(fine) / largest, 0, 1)[..., np.newaxis] ** 0.7
    colour = colours(np.sign(fine) * 0.75, 1.0).astype(np.float64)
    mixed = (1 - 0.85 * strength) * grey[..., np.newaxis] + 0.85 * strength * colour
    return mixed.round().clip(0, 255).astype(np.uint8)


def enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a map to the size of its picture with bilinear interpolation."""
    if values.shape == size:
        return values
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
