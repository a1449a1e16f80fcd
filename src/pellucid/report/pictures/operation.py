"""The worked example of an operation: its formula, and below it rows of panels with their numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from pellucid.records import Figure
from pellucid.report.pictures import canvas, operation_panels

_MARGIN, _LEAST = 0.3, 7.6
_HEAD, _FORMULA, _TITLE, _LINE, _GAP, _BETWEEN = 0.62, 0.6, 0.3, 0.2, 0.34, 0.16
_AFTER, _LETTERS = 0.12, 14.2
"""Letters of the text per inch."""

Panel = Mapping[str, Any]

SIZES = {
    "grid": operation_panels.grid_size,
    "sign": operation_panels.sign_size,
    "picture": operation_panels.picture_size,
    "graph": operation_panels.graph_size,
    "chart": operation_panels.chart_size,
    "bars": operation_panels.bars_size,
}
DRAWERS = {
    "grid": operation_panels.grid,
    "sign": operation_panels.sign,
    "picture": operation_panels.picture,
    "graph": operation_panels.graph,
    "chart": operation_panels.chart,
    "bars": operation_panels.bars,
}
"""Kind of panel → the functions that measure it and draw it."""


def png(figure: Figure) -> bytes:
    """Draws `tex` and `rows`, each with a `title`, `panels` side by side, and a `text` below."""
    data = figure.data
    rows = data["rows"]
    measures = [_measured(row) for row in rows]
    wide = max([_LEAST, *(across + 2 * _MARGIN for across, _ in measures)])
    texts = [_wrapped(row["text"], wide) for row in rows]
    heights = [_height(*parts) for parts in zip(rows, measures, texts, strict=True)]
    high = _HEAD + _FORMULA * len(data["tex"]) + _AFTER + sum(heights)
    drawing, axes = canvas.sheet(wide, high)
    axes.text(_MARGIN, 0.35, figure.title, **canvas.text(14, weight="bold", va="center"))
    y = _HEAD
    for line in data["tex"]:
        look = canvas.text(12.5, va="center") | {"parse_math": True, "math_fontfamily": "stix"}
        axes.text(_MARGIN, y + _FORMULA / 2 - 0.03, line.replace(r"\frac", r"\dfrac"), **look)
        y += _FORMULA
    y += _AFTER
    for row, (_, tall), lines, height in zip(rows, measures, texts, heights, strict=True):
        _row(drawing, axes, row, lines, y, tall)
        y += height
    return canvas.finish(drawing, colours=256)


def _measured(row: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of the panels of a row together, in inches."""
    sizes = [SIZES[panel["kind"]](panel) for panel in row["panels"]]
    return sum(across for across, _ in sizes) + _BETWEEN * (len(sizes) - 1), max(tall for _, tall in sizes)


def _wrapped(text: str, wide: float) -> list[str]:
    """The text wrapped to the width of the sheet."""
    letters = int((wide - 2 * _MARGIN) * _LETTERS)
    return [part for line in text.splitlines() for part in textwrap.wrap(line, letters, break_long_words=False)]


def _height(row: Mapping[str, Any], measure: tuple[float, float], lines: list[str]) -> float:
    return (_TITLE if row["title"] else 0) + measure[1] + (0.14 if lines else 0) + _LINE * len(lines) + _GAP


def _row(drawing: Drawing, axes: Axes, row: Mapping[str, Any], lines: list[str], top: float, tall: float) -> None:
    if row["title"]:
        axes.text(_MARGIN, top + 0.08, row["title"], **canvas.text(10, weight="bold", va="center"))
        top += _TITLE
    left = _MARGIN
    for panel in row["panels"]:
        across, high = SIZES[panel["kind"]](panel)
        down = top + (tall - high) / 2
        DRAWERS[panel["kind"]](drawing, axes, panel, (left, down, across, high))
        left += across + _BETWEEN
    for number, line in enumerate(lines):
        y = top + tall + 0.22 + _LINE * number
        axes.text(_MARGIN, y, line, **canvas.text(9, canvas.INK, va="center"))
