"""Feature maps of a layer for one picture: the picture at the left, then the maps, largest activation first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import minus, percent, short, width

_MARGIN, _HEAD, _GAP, _TEXT = colours.MARGIN, 1.62, 0.16, 0.36
_PICTURE, _APART, _LEAST = 1.9, 0.45, 7.6


def png(figure: Figure) -> bytes:
    """Draws `picture` and `maps`, each with `number`, `values` (H, W) and `highest`."""
    data = figure.data
    maps = data["maps"]
    columns = max(3, min(8, math.ceil(math.sqrt(1.6 * len(maps)))))
    edge = 1.3 if columns <= 4 else 1.05 if columns <= 6 else 0.85
    rows = -(-len(maps) // columns)
    start = _MARGIN + _PICTURE + _APART
    wide = max(start + columns * (edge + _GAP) - _GAP + _MARGIN, _LEAST)
    high = _HEAD + max(rows * (edge + _TEXT), _PICTURE + 0.75) + 0.1
    drawing, axes = canvas.sheet(wide, high)
    _head(axes, figure)
    draw_input(axes, data["picture"], _MARGIN, _HEAD)
    for index, feature_map in enumerate(maps):
        row, column = divmod(index, columns)
        left, top = start + column * (edge + _GAP), _HEAD + row * (edge + _TEXT)
        values = np.asarray(feature_map["values"])
        largest = data["largest"] if data["scale"] == "layer" else float(np.abs(values).max())
        picture = colours.colours(values, largest)
        canvas.place(axes, picture, left, top, edge)
        colours.frame(axes, left, top, edge, picture.shape)
        axes.text(left, top + edge + 0.12, feature_map["number"], **canvas.text(8.5, va="center", weight="bold"))
        beneath = canvas.text(7.5, canvas.MUTED, va="center", ha="right")
        # Small maps have no room for the word "max"; the head explains the number.
        highest = minus(f"{feature_map['highest']:.3g}")
        caption = highest if edge < 1 else f"max {highest}"
        axes.text(left + edge, top + edge + 0.12, caption, **beneath)
    return canvas.finish(drawing)


def draw_input(axes: Axes, picture: Mapping[str, Any], left: float, top: float) -> None:
    """Draws the network's input with its prediction."""
    pixels = canvas.decoded(picture["png"])
    canvas.place(axes, pixels, left, top, _PICTURE)
    colours.frame(axes, left, top, _PICTURE, pixels.shape)
    size = f"{pixels.shape[0]}×{pixels.shape[1]}"
    is_short = width(picture["id"]) <= 18
    caption = f"{picture['id']}, {size}" if is_short else short(picture["id"], 25)
    lines = [
        (caption, canvas.text(8.5, va="center", weight="bold")),
        (
            f"predicted: {short(picture['predicted'], 20)} ({percent(picture['probability'], 0)})",
            canvas.text(8.5, va="center"),
        ),
    ]
    if picture["label"] is not None:
        lines.append((f"label: {short(picture['label'], 24)}", canvas.text(8.5, canvas.MUTED, va="center")))
    if not is_short:
        lines.append((f"{size} pixels", canvas.text(8.5, canvas.MUTED, va="center")))
    for line, (line_text, look) in enumerate(lines):
        axes.text(left, top + _PICTURE + 0.14 + 0.19 * line, line_text, **look)


def _head(axes: Axes, figure: Figure) -> None:
    """Draws the title, the meaning of the colours, the note and the colour bar."""
    data = figure.data
    shared = data["scale"] == "layer"
    half = data["lowest"] >= 0
    each = "All maps share one scale" if shared else "Each map has its own scale"
    meaning = f"{each}. White is 0, red above{'' if half else ', blue below'}."
    order = "Sorted by the largest value, which is below each map."
    room = axes.get_xlim()[1] - 2 * _MARGIN
    title = canvas.shortened(figure.title, [data["picture"]["id"], data["network"]], room)
    y = colours.head(axes, title, [meaning, order, figure.note])
    colours.bar(axes, _MARGIN, y, data["largest"] if shared else None, half=half)
