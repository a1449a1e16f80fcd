"""Rows of related pictures: copies of one picture, or the most extreme pictures in one respect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import short

_EDGE, _GAP, _MARGIN, _HEAD, _CAPTION, _LINE = 1.15, 0.2, 0.25, 0.9, 0.28, 0.15
_LETTERS = 20
"""Text columns that fit below a picture."""


def png(figure: Figure) -> bytes:
    """Draws `groups`: each with a `caption` and `cells`, which have `lines` and, if the picture can be read, `png`."""
    groups = list(figure.data["groups"])
    columns = max([len(group["cells"]) for group in groups] + [4])
    heights = [_height(group) for group in groups]
    wide = 2 * _MARGIN + columns * _EDGE + (columns - 1) * _GAP
    drawing, axes = canvas.sheet(wide, _HEAD + sum(heights) + 0.1)
    axes.text(_MARGIN, 0.33, short(figure.title, int(wide * 9)), **canvas.text(13, weight="bold", va="center"))
    axes.text(_MARGIN, 0.6, short(figure.note, int(wide * 13)), **canvas.text(8.5, canvas.MUTED, va="center"))
    top = _HEAD
    for group, height in zip(groups, heights, strict=True):
        axes.text(_MARGIN, top, str(group["caption"]), **canvas.text(9.5, weight="bold", va="center"))
        for column, cell in enumerate(group["cells"]):
            _cell(axes, cell, _MARGIN + column * (_EDGE + _GAP), top + _CAPTION / 2)
        top += height
    return canvas.finish(drawing)


def _height(group: Mapping[str, Any]) -> float:
    return _CAPTION + _EDGE + _LINE * max(len(cell["lines"]) for cell in group["cells"]) + 0.22


def _cell(axes: Axes, cell: Mapping[str, Any], left: float, top: float) -> None:
    if "png" in cell:
        canvas.place(axes, canvas.decoded(cell["png"]), left, top, _EDGE)
    axes.add_patch(Rectangle((left, top), _EDGE, _EDGE, fill=False, linewidth=0.7, edgecolor=canvas.FAINT))
    for number, line in enumerate(cell["lines"]):
        colour = canvas.INK if number == 0 else canvas.MUTED
        text = short(str(line), _LETTERS)
        axes.text(left, top + _EDGE + 0.12 + _LINE * number, text, **canvas.text(7, colour, va="center"))
