"""What a worked example is laid out from: rows of panels, as plain values.

The report draws them, and writes the same numbers out for a terminal.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pellucid.records import Figure

Panel = dict[str, Any]
Cells = Iterable[tuple[int, int]]


def worked(name: str, title: str, tex: Sequence[str], rows: Sequence[dict[str, Any]]) -> Figure:
    """A figure of kind `operation`.

    Args:
        name: that of the catalogue.
        title: what a reader sees above it.
        tex: its formula, line by line, in matplotlib's form of TeX.
        rows: what `row` gives.
    """
    # Only here: the catalogue names this module's callers.
    from pellucid.operations.catalogue import OPERATIONS, formula

    data = {
        "operation": name,
        "code": OPERATIONS[name].code,
        "formula": formula(name),
        "tex": list(tex),
        "rows": list(rows),
    }
    return Figure(name.replace("-", "_"), "operation", data, title=title)


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
        values: the numbers; one row where they are (W,).
        title: above.
        marked: which squares have a thick frame.
        faint: which are pale, for example padding.
        largest: what the darkest colour stands for; otherwise the largest there is.
        plain: without colours.
        heads: what stands left of each row, and above each column.
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
    """What stands between two panels: ∗, =, →."""
    return {"kind": "sign", "text": text}


def picture(pixels: np.ndarray, title: str = "", *, edge: float = 1.5) -> Panel:
    """A picture (H, W) or (H, W, 3), 0 to 255, `edge` inches high or wide."""
    from PIL import Image

    whole = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(whole)).save(stream, "PNG", optimize=True)
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"kind": "picture", "title": title, "png": encoded, "shape": list(whole.shape), "edge": edge}


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
    """Lines over a plane.

    Args:
        lines: what `line` gives.
        title: above.
        axes: what is along x, and along y.
        size: width and height in inches.
        contours: levels beneath the lines: `x`, `y` and `z`, (H, W) of the values.
        limits: left, right, bottom, top.
        logarithmic: whether y is.
        named: whether the lines' names are drawn; not where they are those of the chart above.
    """
    panel: Panel = {"kind": "chart", "title": title, "lines": list(lines), "axes": list(axes), "size": list(size)}
    panel |= {"limits": None if limits is None else list(limits), "logarithmic": logarithmic, "named": named}
    return panel | ({} if contours is None else {"contours": contours})


def line(x: Any, y: Any, label: str = "", style: str = "solid") -> Panel:
    """One line: `solid`, `dashed`, `faint`, `path` (with a dot at each step), `dots` or `crosses` (without a line)."""
    xs, ys = ([_short(one) for one in np.asarray(values, float)] for values in (x, y))
    return {"x": xs, "y": ys, "label": label, "style": style}


def levels(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Panel:
    """Heights z (H, W) over y (H,) and x (W,), for the contours of a chart."""
    values = [[_short(one) for one in across] for across in z]
    return {"x": [_short(one) for one in x], "y": [_short(one) for one in y], "z": values}


def bars(values: Sequence[float], labels: Sequence[str], title: str = "", *, highest: float | None = None) -> Panel:
    """Bars from 0, side by side, with their numbers."""
    numbers = [_short(one) for one in values]
    return {"kind": "bars", "title": title, "values": numbers, "labels": list(labels), "highest": highest}


def graph(
    nodes: Sequence[Panel], edges: Sequence[tuple[str, str, str]], size: tuple[float, float], *, along: float = 0.5
) -> Panel:
    """Circles and arrows: what was made from what.

    Args:
        nodes: what `node` gives.
        edges: (from, to, what stands beside the arrow).
        size: width and height in inches.
        along: how far along the arrows their texts stand; not in the middle where arrows cross there.
    """
    arrows = [list(edge) for edge in edges]
    return {"kind": "graph", "title": "", "nodes": list(nodes), "edges": arrows, "size": list(size), "along": along}


def node(name: str, position: tuple[float, float], value: float, gradient: float | None, label: str = "") -> Panel:
    """A circle at a place (x to the right, y downwards, in inches), with its value and its gradient beside it."""
    slope = None if gradient is None else _short(gradient)
    return {"name": name, "place": list(position), "label": label or name, "value": _short(value), "gradient": slope}


def _short(value: Any, digits: int = 6) -> float:
    """Six significant digits are more than a picture shows; +0.0, and no −0.0."""
    return float(f"{float(value):.{digits}g}") + 0.0
