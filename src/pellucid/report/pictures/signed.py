"""Numbers with a sign as colours: blue below zero, white at zero, red above. Weights and feature maps share them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from pellucid.report.pictures import canvas

_COLOURS = LinearSegmentedColormap.from_list(
    "signed", ["#08306b", "#2f74b5", "#a8cbe6", "#ffffff", "#f6b59b", "#cf4a3f", "#6d0a16"]
)
_HIGH = 0.13


def colours(values: np.ndarray, largest: float) -> np.ndarray:
    """Values (H, W) as uint8 (H, W, 3): white is 0, and the ends of the scale are −largest and +largest."""
    return _COLOURS(0.5 + 0.5 * values / (largest or 1.0), bytes=True)[..., :3]


def mixed(values: np.ndarray, largest: float) -> np.ndarray:
    """Values (3, H, W) as red, green and blue, uint8 (H, W, 3): middle grey is 0."""
    return np.round(127.5 + 127.5 * (values / (largest or 1.0)).clip(-1, 1)).astype(np.uint8).transpose(1, 2, 0)


def bar(axes: Axes, left: float, top: float, across: float, ends: tuple[str, str], *, grey: bool = False) -> None:
    """A bar with the colours from one end of the scale to the other, and zero marked; sizes in inches."""
    steps = np.linspace(-1, 1, 201)[np.newaxis]
    strip = mixed(np.repeat(steps[np.newaxis], 3, axis=0), 1.0) if grey else colours(steps, 1.0)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(strip, extent=(left, left + across, top + _HIGH, top), aspect="auto", interpolation="bilinear")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    axes.add_patch(Rectangle((left, top), across, _HIGH, fill=False, linewidth=0.6, edgecolor=canvas.MUTED))
    middle = left + across / 2
    axes.plot([middle, middle], [top, top + _HIGH + 0.04], color=canvas.INK, linewidth=0.9)
    under = top + _HIGH + 0.11
    for place, said, side in ((left, ends[0], "left"), (middle, "0", "center"), (left + across, ends[1], "right")):
        axes.text(place, under, said, **canvas.text(8, canvas.MUTED, ha=side, va="center"))


def ends(largest: float | None) -> tuple[str, str]:
    """What stands at the ends of the bar; None where each picture has its own."""
    return ("− its largest", "+ its largest") if largest is None else (f"−{largest:.3g}", f"+{largest:.3g}")


def frame(axes: Axes, left: float, top: float, edge: float, shape: tuple[int, ...]) -> None:
    """A thin line around a picture of that shape (H, W), placed in a square: where white ends would not be seen."""
    height, width = shape[:2]
    scale = edge / max(height, width)
    across, down = width * scale, height * scale
    corner = left + (edge - across) / 2, top + (edge - down) / 2
    axes.add_patch(Rectangle(corner, across, down, fill=False, linewidth=0.6, edgecolor=canvas.FAINT))
