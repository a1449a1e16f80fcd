"""The kernels of a layer: a grid of small pictures, or one row per kernel with its input channels side by side.

A kernel of an RGB input is drawn twice: in colour, and below it the mean over the colours, in which an edge and a blob
are easy to tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import percent, short

_MARGIN, _HEAD, _GAP, _TEXT = colours.MARGIN, 1.62, 0.16, 0.4
_BETWEEN, _BESIDE, _LEAST = 0.07, 0.95, 7.6
_ANSWERS = "Below: the edge or line it detects best, and the share of the kernel that does so (grey: below half)."
_CAPTION = 0.31
_GREY = "#8b96a1"


def png(figure: Figure) -> bytes:
    """Draws `kernels`, each with `number`, `label`, `weights` (C, H, W) and `largest`, in the `style` of the figure."""
    return _rows(figure, figure.data) if figure.data["style"] == "channels" else _grid(figure, figure.data)


def _grid(figure: Figure, data: Mapping[str, Any]) -> bytes:
    """Draws one picture per kernel."""
    kernels, coloured = data["kernels"], data["style"] == "colour"
    small = max(data["shape"][2:]) <= 16
    few = not small and len(kernels) <= 10
    edge = 0.82 if small else 1.25 if few else 1.0
    columns = min(len(kernels), 5 if few else 8)
    below = _TEXT + (_CAPTION if _have_orientations(kernels) else 0.0)
    down = (2 * edge + _BETWEEN if coloured else edge) + below
    wide = max(2 * _MARGIN + columns * (edge + _GAP) - _GAP, _LEAST)
    first = _HEAD + (0.19 if _have_orientations(kernels) else 0.0)
    drawing, axes = canvas.sheet(wide, first + -(-len(kernels) // columns) * down + 0.05)
    _head(axes, figure)
    for index, kernel in enumerate(kernels):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * (edge + _GAP), first + row * down
        weights, largest = np.asarray(kernel["weights"]), _largest(data, kernel)
        if coloured:
            _square(axes, colours.mixed(weights, largest), (left, top, edge))
            _square(axes, colours.colours(weights.mean(axis=0), largest), (left, top + edge + _BETWEEN, edge))
        else:
            _square(axes, colours.colours(weights[0], largest), (left, top, edge), empty=not weights.any())
        under = top + down - below + 0.13
        name = short(kernel["label"], int(edge * 9)) if kernel["label"] else str(kernel["number"])
        axes.text(left, under, name, **canvas.text(8.5, va="center", weight="bold"))
        axes.text(left + edge, under, _size(kernel), **canvas.text(7.5, canvas.MUTED, va="center", ha="right"))
        if kernel.get("answers_to"):
            _answer(axes, kernel["answers_to"], left, under + 0.18)
        elif kernel.get("idle"):
            axes.text(left, under + 0.18, "next to 0", **canvas.text(7, canvas.MUTED, va="center"))
    return canvas.finish(drawing)


def _have_orientations(kernels: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the kernels' edges and lines are known."""
    return any(kernel.get("answers_to") for kernel in kernels)


def _answer(axes: Axes, answer: Mapping[str, Any], left: float, top: float) -> None:
    """Draws a stroke along the edge or line that a kernel detects, with its name and strength."""
    colour = canvas.INK if answer["clear"] else _GREY
    angle = math.radians(answer["angle"])
    across, down = 0.055 * math.cos(angle), 0.055 * math.sin(angle)
    middle = left + 0.06
    axes.plot([middle - across, middle + across], [top + down, top - down], color=colour, linewidth=1.6)
    axes.text(left + 0.15, top, f"{answer['name']} {answer['shape']}", **canvas.text(6.4, colour, va="center"))
    share = percent(answer["strength"], 0)
    axes.text(left + 0.15, top + 0.14, share, **canvas.text(6.4, colour, va="center"))


def _rows(figure: Figure, data: Mapping[str, Any]) -> bytes:
    """Draws one row per kernel, with a square per input channel."""
    kernels = data["kernels"]
    channels = len(kernels[0]["weights"])
    edge = min(max((_LEAST - 2 * _MARGIN - _BESIDE) / channels - _BETWEEN, 0.42), 0.58)
    step = edge + _BETWEEN
    wide = max(2 * _MARGIN + _BESIDE + channels * step, _LEAST)
    first = _HEAD + 0.24
    drawing, axes = canvas.sheet(wide, first + len(kernels) * step + 0.15)
    _head(axes, figure)
    small = canvas.text(8, canvas.MUTED, va="center")
    axes.text(_MARGIN, _HEAD + 0.08, "unit" if data["dense"] else "kernel", **small)
    for channel in range(channels):
        channel_name = "in 1" if channel == 0 else str(channel + 1)
        axes.text(_MARGIN + _BESIDE + channel * step + edge / 2, _HEAD + 0.08, channel_name, **small, ha="center")
    for row, kernel in enumerate(kernels):
        top = first + row * step
        name = short(kernel["label"], 8) if kernel["label"] else str(kernel["number"])
        axes.text(_MARGIN, top + edge / 2, name, **canvas.text(9, va="center", weight="bold"))
        beside = canvas.text(7.5, canvas.MUTED, va="center", ha="right")
        axes.text(_MARGIN + _BESIDE - 0.14, top + edge / 2, _size(kernel), **beside)
        for channel, weights in enumerate(np.asarray(kernel["weights"])):
            picture = colours.colours(weights, _largest(data, kernel))
            _square(axes, picture, (_MARGIN + _BESIDE + channel * step, top, edge), empty=not weights.any())
    return canvas.finish(drawing)


def _largest(data: Mapping[str, Any], kernel: Mapping[str, Any]) -> float:
    return data["largest"] if data["scale"] == "layer" else kernel["largest"]


def _size(kernel: Mapping[str, Any]) -> str:
    return f"±{kernel['largest']:.2g}"


def _square(axes: Axes, picture: np.ndarray, box: tuple[float, float, float], *, empty: bool = False) -> None:
    """Draws one picture of weights; crossed out if all are exactly 0."""
    left, top, edge = box
    canvas.place(axes, picture, left, top, edge)
    colours.frame(axes, left, top, edge, picture.shape)
    if empty:
        axes.plot([left, left + edge], [top + edge, top], color=canvas.FAINT, linewidth=0.8)


def _head(axes: Axes, figure: Figure) -> None:
    """Draws the title, the meaning of the colours, the notes and the colour bars."""
    data = figure.data
    coloured = data["style"] == "colour"
    part = "unit" if data["dense"] else "kernel"
    each = f"Each {part} has its own scale" if data["scale"] == "filter" else f"All {part}s share one scale"
    if coloured:
        meaning = "Above: in colour, middle grey is 0. Below: the mean of the three colours, white is 0."
    else:
        meaning = "White is 0, red above, blue below."
    empty = any(not np.asarray(kernel["weights"]).any(axis=(1, 2)).all() for kernel in data["kernels"])
    crossed = "Crossed out: all weights are exactly 0, so there is no connection." if empty and not coloured else ""
    y = colours.head(
        axes,
        figure.title,
        [
            f"{each}. The number after ± is the largest weight of the {part}.",
            meaning,
            _ANSWERS if _have_orientations(data["kernels"]) else "",
            " ".join(filter(None, (figure.note, crossed))),
        ],
    )
    largest = None if data["scale"] == "filter" else data["largest"]
    colours.bar(axes, _MARGIN, y, largest, grey=coloured)
    if coloured:
        colours.bar(axes, _MARGIN + 2.7, y, largest)
