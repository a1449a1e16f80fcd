"""Pictures with prediction and label; errors are red and have a cross."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import percent, short

COLUMNS = 8
_EDGE, _GAP, _MARGIN, _HEAD, _TEXT = 1.02, 0.2, 0.25, 1.02, 0.7
_LETTERS = 17
"""Text columns that fit below a picture."""


def png(figure: Figure) -> bytes:
    """Draws `cells`, each with `predicted`, and optionally `label`, `probability` and the picture (`png`)."""
    cells = list(figure.data["cells"])
    columns = min(COLUMNS, max(len(cells), 5))
    rows = -(-len(cells) // columns)
    wide = 2 * _MARGIN + columns * _EDGE + (columns - 1) * _GAP
    drawing, axes = canvas.sheet(wide, _HEAD + rows * (_EDGE + _TEXT) + 0.1)
    axes.text(_MARGIN, 0.33, figure.title or "Predictions", **canvas.text(13, weight="bold", va="center"))
    axes.text(_MARGIN, 0.6, short(figure.note, int(wide * 13)), **canvas.text(8.5, canvas.MUTED, va="center"))
    axes.text(_MARGIN, 0.78, _key(cells), **canvas.text(8.5, canvas.MUTED, va="center"))
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        _cell(axes, cell, _MARGIN + column * (_EDGE + _GAP), _HEAD + row * (_EDGE + _TEXT))
    return canvas.finish(drawing)


def _key(cells: list[Mapping[str, Any]]) -> str:
    known = any(cell.get("label") is not None for cell in cells)
    meaning = "Below each: the prediction and its probability" + ("; ✗ marks an error." if known else ".")
    return meaning if cells else ""


def _cell(axes: Axes, cell: Mapping[str, Any], left: float, top: float) -> None:
    label, predicted = cell.get("label"), str(cell.get("predicted", ""))
    wrong = label is not None and label != predicted
    colour = canvas.WRONG if wrong else canvas.INK
    if "png" in cell:
        canvas.place(axes, canvas.decoded(cell["png"]), left, top, _EDGE)
    else:
        middle = {"ha": "center", "va": "center"}
        axes.text(
            left + _EDGE / 2, top + _EDGE / 2, short(str(cell["id"]), 14), **canvas.text(7, canvas.MUTED, **middle)
        )
    line, edge = (2.2, canvas.WRONG) if wrong else (0.7, canvas.FAINT)
    axes.add_patch(Rectangle((left, top), _EDGE, _EDGE, fill=False, linewidth=line, edgecolor=edge))
    mark = "" if label is None else "✗ " if wrong else "✓ "
    caption = f"{mark}{short(predicted, _LETTERS - len(mark))}"
    axes.text(
        left, top + _EDGE + 0.13, caption, **canvas.text(8, colour, va="center", weight="bold" if wrong else "normal")
    )
    beneath = [] if label is None else [f"label: {short(str(label), _LETTERS - 7)}"]
    if "probability" in cell:
        beneath.append(f"{percent(cell['probability'], 0)} sure")
    for line, text in enumerate(beneath):
        axes.text(left, top + _EDGE + 0.3 + 0.165 * line, text, **canvas.text(8, canvas.MUTED, va="center"))
