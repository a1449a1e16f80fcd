"""The parts of a worked example: rows of panels, as plain values.

The report draws them, and prints the same numbers in a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

Panel = dict[str, Any]
Cells = Iterable[tuple[int, int]]


class WorkedExample(NamedTuple):
    """A small example of an operation, with its numbers.

    Attributes:
        title: title above the example.
        tex: lines of the formula, in matplotlib's TeX.
        rows: rows of panels; see `row`.
    """

    title: str
    tex: Sequence[str]
    rows: Sequence[dict[str, Any]]


def row(*panels: Panel, title: str = "", text: str = "") -> dict[str, Any]:
    """Panels side by side, under a title, above a text of one or more lines."""
    minus = re.sub(r"(?<![\w)])-(?=[\d.])", "−", text)
    return {"title": title, "panels": list(panels), "text": minus}


def grid(
    values: Any,
    title: str = "",
    *,
    marked: Cells = (),
    faint: Cells = (),
    largest: float | None = None,
    plain: bool = False,
    heads: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Panel:
    """Numbers (H, W) in squares, coloured by sign and size.

    Args:
        values: the numbers, (H, W) or (W,) for one row.
        title: title above the grid.
        marked: cells with a thick frame.
        faint: pale cells, for example padding.
        largest: value of the darkest colour; the largest value by default.
        plain: draw no colours.
        heads: labels of the rows and of the columns.
    """
    array = np.atleast_2d(np.asarray(values, float))
    return {
        "kind": "grid",
        "title": title,
        "values": [[_short(number) for number in line] for line in array],
        "marked": [list(cell) for cell in marked],
        "faint": [list(cell) for cell in faint],
        "largest": _short(np.abs(array[np.isfinite(array)]).max(initial=0.0) if largest is None else largest),
        "plain": plain,
        "row_heads": list(heads[0]),
        "column_heads": list(heads[1]),
    }


def sign(text: str) -> Panel:
    """A sign between two panels: ∗, =, →."""
    return {"kind": "sign", "text": text}


def picture(pixels: np.ndarray, title: str = "", *, edge: float = 1.5) -> Panel:
    """A picture (H, W) or (H, W, 3), 0 to 255, `edge` inches high or wide."""
    from pellucid.data.thumbnails import encode

    rounded = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    channels_first = rounded[np.newaxis] if rounded.ndim == 2 else rounded.transpose(2, 0, 1)
    encoded = encode(channels_first, edge=max(rounded.shape))
    return {"kind": "picture", "title": title, "png": encoded, "shape": list(rounded.shape), "edge": edge}


def chart(
    lines: Sequence[Panel],
    title: str = "",
    *,
    axes: tuple[str, str] = ("", ""),
    size: tuple[float, float] = (2.9, 2.1),
    contours: Panel | None = None,
    limits: tuple[float, float, float, float] | None = None,
    logarithmic: bool = False,
    named: bool = True,
) -> Panel:
    """A line chart.

    Args:
        lines: lines from `line`.
        title: title above the chart.
        axes: labels of x and y.
        size: width and height in inches.
        contours: contours behind the lines, from `levels`.
        limits: left, right, bottom, top.
        logarithmic: whether the y axis is logarithmic.
        named: whether to draw a legend.
    """
    panel: Panel = {"kind": "chart", "title": title, "lines": list(lines), "axes": list(axes), "size": list(size)}
    panel |= {"limits": None if limits is None else list(limits), "logarithmic": logarithmic, "named": named}
    return panel | ({} if contours is None else {"contours": contours})


def line(x: Any, y: Any, label: str = "", style: str = "solid") -> Panel:
    """One line: `solid`, `dashed`, `faint`, `path` (with a dot at each step), `dots` or `crosses` (without a line)."""
    xs, ys = ([_short(value) for value in np.asarray(values, float)] for values in (x, y))
    return {"x": xs, "y": ys, "label": label, "style": style}


def levels(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Panel:
    """Heights z (H, W) over y (H,) and x (W,), for the contours of a chart."""
    values = [[_short(value) for value in across] for across in z]
    return {"x": [_short(value) for value in x], "y": [_short(value) for value in y], "z": values}


def bars(values: Sequence[float], labels: Sequence[str], title: str = "", *, highest: float | None = None) -> Panel:
    """A bar chart with values."""
    numbers = [_short(value) for value in values]
    return {"kind": "bars", "title": title, "values": numbers, "labels": list(labels), "highest": highest}


def graph(
    nodes: Sequence[Panel], edges: Sequence[tuple[str, str, str]], size: tuple[float, float], *, along: float = 0.5
) -> Panel:
    """A graph of a computation, with circles and arrows.

    Args:
        nodes: nodes from `node`.
        edges: (from, to, label) of each arrow.
        size: width and height in inches.
        along: position of the labels on their arrows, from 0 to 1.
    """
    arrows = [list(edge) for edge in edges]
    return {"kind": "graph", "title": "", "nodes": list(nodes), "edges": arrows, "size": list(size), "along": along}


def node(name: str, position: tuple[float, float], value: float, gradient: float | None, label: str = "") -> Panel:
    """A circle at a position (x to the right, y downwards, in inches), with its value and gradient beside it."""
    slope = None if gradient is None else _short(gradient)
    return {"name": name, "position": list(position), "label": label or name, "value": _short(value), "gradient": slope}


def _short(value: Any, digits: int = 6) -> float:
    """Rounds to `digits` significant digits, and turns −0.0 into +0.0."""
    return float(f"{float(value):.{digits}g}") + 0.0
