"""The kernels of a layer: a grid of small pictures, or one row a kernel with its input channels side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pellucid.records import Figure
from pellucid.report.pictures import canvas, signed
from pellucid.report.wording import short

_MARGIN, _HEAD, _GAP, _TEXT = 0.25, 1.42, 0.16, 0.4
_NARROW, _BETWEEN, _BESIDE = 0.42, 0.07, 0.95
_BAR, _LEAST = 2.4, 7.4


def png(figure: Figure) -> bytes:
    """Draws `kernels`, each with `number`, `label`, `weights` (C, H, W) and `largest`, in the `style` of the figure."""
    data = figure.data
    if data["style"] == "channels":
        return _rows(figure, data)
    kernels = data["kernels"]
    longest = max(data["shape"][2:])
    edge = 0.82 if longest <= 16 else 1.25
    columns = min(len(kernels), 8 if longest <= 16 else 5)
    rows = -(-len(kernels) // columns)
    wide = max(2 * _MARGIN + columns * (edge + _GAP) - _GAP, _LEAST)
    drawing, axes = canvas.sheet(wide, _HEAD + rows * (edge + _TEXT) + 0.1)
    _head(axes, figure, wide)
    for index, kernel in enumerate(kernels):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * (edge + _GAP), _HEAD + row * (edge + _TEXT)
        weights = np.asarray(kernel["weights"])
        _square(axes, weights, _largest(data, kernel), (left, top, edge), coloured=data["style"] == "colour")
        name = short(kernel["label"], int(edge * 9)) if kernel["label"] else str(kernel["number"])
        axes.text(left, top + edge + 0.12, name, **canvas.text(8.5, va="center", weight="bold"))
        size = f"±{kernel['largest']:.2g}"
        axes.text(left + edge, top + edge + 0.12, size, **canvas.text(7.5, canvas.MUTED, va="center", ha="right"))
    return canvas.finish(drawing)


def _rows(figure: Figure, data: Mapping[str, Any]) -> bytes:
    """One row a kernel: a square for each of its input channels."""
    kernels = data["kernels"]
    channels = len(kernels[0]["weights"])
    step = _NARROW + _BETWEEN
    wide = max(2 * _MARGIN + _BESIDE + channels * step, _LEAST)
    top = _HEAD + 0.28
    drawing, axes = canvas.sheet(wide, top + len(kernels) * step + 0.15)
    _head(axes, figure, wide)
    beside = "kernel" if not data["dense"] else "unit"
    axes.text(_MARGIN, _HEAD + 0.1, beside, **canvas.text(8, canvas.MUTED, va="center"))
    for channel in range(channels):
        said = f"in {channel + 1}" if channel == 0 else str(channel + 1)
        place = _MARGIN + _BESIDE + channel * step + _NARROW / 2
        axes.text(place, _HEAD + 0.1, said, **canvas.text(8, canvas.MUTED, va="center", ha="center"))
    for row, kernel in enumerate(kernels):
        y = top + row * step
        axes.text(_MARGIN, y + _NARROW / 2, kernel["number"], **canvas.text(9, va="center", weight="bold"))
        size = f"±{kernel['largest']:.2g}"
        beside = canvas.text(7.5, canvas.MUTED, va="center", ha="right")
        axes.text(_MARGIN + _BESIDE - 0.14, y + _NARROW / 2, size, **beside)
        for channel, weights in enumerate(np.asarray(kernel["weights"])):
            place = (_MARGIN + _BESIDE + channel * step, y, _NARROW)
            _square(axes, weights[np.newaxis], _largest(data, kernel), place, coloured=False)
    return canvas.finish(drawing)


def _largest(data: Mapping[str, Any], kernel: Mapping[str, Any]) -> float:
    return data["largest"] if data["scale"] == "layer" else kernel["largest"]


def _square(
    axes: Axes, weights: np.ndarray, largest: float, place: tuple[float, float, float], *, coloured: bool
) -> None:
    """One picture of weights (C, H, W), C = 1, or 3 in colour; crossed out where all are exactly 0."""
    left, top, edge = place
    picture = signed.mixed(weights, largest) if coloured else signed.colours(weights[0], largest)
    canvas.place(axes, picture, left, top, edge)
    signed.frame(axes, left, top, edge, picture.shape)
    if not weights.any():
        axes.plot([left, left + edge], [top + edge, top], color=canvas.FAINT, linewidth=0.8)


def _head(axes: Axes, figure: Figure, wide: float) -> None:
    """The title, how colours are to be read, what is not shown, and the bar."""
    data = figure.data
    coloured = data["style"] == "colour"
    parts = "unit" if data["dense"] else "kernel"
    axes.text(_MARGIN, 0.33, short(figure.title, int(wide * 9)), **canvas.text(13, weight="bold", va="center"))
    each = f"Each {parts} has its own scale" if data["scale"] == "filter" else f"All {parts}s share one scale"
    meaning = "a channel's weight as its brightness; middle grey is 0" if coloured else "white is 0"
    lines = [f"{each}; {meaning}. The number beneath or beside it: its largest weight.", figure.note]
    if any(not np.asarray(kernel["weights"]).any(axis=(1, 2)).all() for kernel in data["kernels"]):
        lines[1] = f"{figure.note} Crossed out: all weights are exactly 0, so there is no connection.".strip()
    for line, text in enumerate(lines):
        axes.text(
            _MARGIN, 0.6 + 0.18 * line, short(text, int(wide * 14)), **canvas.text(8.5, canvas.MUTED, va="center")
        )
    ends = signed.ends(None if data["scale"] == "filter" else data["largest"])
    signed.bar(axes, _MARGIN, 0.97, _BAR, ends, grey=coloured)
