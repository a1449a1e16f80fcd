"""Top activations: for each unit the pictures with its largest values, and a frame around the part that it sees."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.pictures.scene import fitting, inches
from pellucid.report.wording import minus, short

_MARGIN, _SIDE, _GAP, _EDGE, _TEXT = 0.25, 1.45, 0.1, 0.8, 0.22
_FRAME = "#e8590c"


def png(figure: Figure) -> bytes:
    """Draws `rows` with their `cells`: picture, label, value, and the frame of the unit's receptive field."""
    rows = figure.data["rows"]
    columns = max(len(row["cells"]) for row in rows)
    wide = max(2 * _MARGIN + _SIDE + columns * (_EDGE + _GAP), 7.6)
    cells = [cell for row in rows for cell in row["cells"]]
    framed = any(map(_part, cells))
    lines = [
        "Each row: a unit and the pictures with its largest values. Below each picture: label and value.",
        "Frame: the receptive field at the largest value (the part of the picture that this value sees)."
        if framed
        else "",
        "Without a frame, the unit sees the whole picture." if framed and not all(map(_part, cells)) else "",
        "Each unit sees the whole picture." if _whole(cells) else "",
        "Small receptive fields are shown enlarged, with the area around them." if any(map(_small, cells)) else "",
        figure.note,
    ]
    lines = [part for line in lines if line for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 0.75 + 0.19 * len(lines)
    step = _EDGE + _TEXT + 0.08
    drawing, axes = canvas.sheet(wide, head + len(rows) * step + 0.1)
    colours.head(axes, figure.title, lines)
    for index, row in enumerate(rows):
        top = head + index * step
        name = f"{row['unit']}  {short(row['label'], 9)}" if row["label"] else str(row["unit"])
        axes.text(_MARGIN, top + 0.28, name, **canvas.text(11, va="center", weight="bold"))
        if row["dead"]:
            axes.text(_MARGIN, top + 0.5, "✗ dead", **canvas.text(8.5, canvas.WRONG, va="center", weight="bold"))
            axes.text(
                _MARGIN + _SIDE,
                top + 0.4,
                minus(f"Its value is {row['highest']:g} for every picture."),
                **canvas.text(9, canvas.MUTED, va="center"),
            )
            continue
        if row["most_common"]:
            name, number = row["most_common"]
            caption = f"{number} of {len(row['cells'])}: {short(str(name), 9)}"
            axes.text(_MARGIN, top + 0.5, caption, **canvas.text(8.5, canvas.MUTED, va="center"))
        for column, cell in enumerate(row["cells"]):
            _cell(axes, cell, _MARGIN + _SIDE + column * (_EDGE + _GAP), top)
    return canvas.finish(drawing)


def _cell(axes: Axes, cell: Mapping[str, Any], left: float, top: float) -> None:
    picture = canvas.decoded(cell["png"])
    height, width = cell["size"]
    y0 = x0 = 0
    if _small(cell):
        y0, x0, side = _around(cell)
        picture = picture[y0 : y0 + side, x0 : x0 + side]
        height, width = picture.shape[:2]
    canvas.place(axes, picture, left, top, _EDGE)
    colours.frame(axes, left, top, _EDGE, (height, width))
    scale = _EDGE / max(height, width)
    if _part(cell):
        y1, x1, y2, x2 = cell["frame"]
        corner = left + (_EDGE - width * scale) / 2, top + (_EDGE - height * scale) / 2
        corner_of_part = (corner[0] + (x1 - x0) * scale, corner[1] + (y1 - y0) * scale)
        axes.add_patch(
            Rectangle(corner_of_part, (x2 - x1) * scale, (y2 - y1) * scale, fill=False, linewidth=1.5, edgecolor=_FRAME)
        )
    value = minus(f"{cell['value']:.3g}")
    if cell["label"] is not None:
        name = short(str(cell["label"]), fitting(str(cell["label"]), 8, _EDGE - inches(value, 7)))
        axes.text(left, top + _EDGE + 0.1, name, **canvas.text(7.5, va="center", weight="bold"))
    axes.text(left + _EDGE, top + _EDGE + 0.1, value, **canvas.text(7, canvas.MUTED, va="center", ha="right"))


def _part(cell: Mapping[str, Any]) -> bool:
    """Whether the unit is known to see less than the whole picture."""
    if not cell["frame"]:
        return False
    y1, x1, y2, x2 = cell["frame"]
    return (y2 - y1) * (x2 - x1) < 0.95 * cell["size"][0] * cell["size"][1]


def _whole(cells: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the units are known to see the whole picture."""
    return all(cell["frame"] and not _part(cell) for cell in cells)


def _small(cell: Mapping[str, Any]) -> bool:
    """Whether the receptive field is so small that its frame would look like a dot."""
    if not cell["frame"]:
        return False
    y1, x1, y2, x2 = cell["frame"]
    return min(cell["size"]) >= 64 and max(y2 - y1, x2 - x1) < 0.12 * min(cell["size"])


def _around(cell: Mapping[str, Any]) -> tuple[int, int, int]:
    """The square around a receptive field and four times as large: top, left, side."""
    y1, x1, y2, x2 = cell["frame"]
    height, width = cell["size"]
    side = min(max(4 * max(y2 - y1, x2 - x1), 12), height, width)
    top, left = (y1 + y2 - side) // 2, (x1 + x2 - side) // 2
    return min(max(top, 0), height - side), min(max(left, 0), width - side), side
