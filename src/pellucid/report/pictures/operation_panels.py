"""The panels of a worked example: grids of numbers, signs, pictures, graphs, charts and bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from pellucid.report.operation_text import number
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import minus, width

Panel = Mapping[str, Any]
Place = tuple[float, float, float, float]
"""Left, top, width and height in inches."""

_CELL, _TITLE, _HEAD, _LETTER, _RADIUS = 0.34, 0.24, 0.2, 0.072, 0.27


def grid_size(panel: Panel) -> tuple[float, float]:
    """Width and height of a grid, with its heads and title."""
    columns = len(panel["values"][0])
    across = _beside(panel) + columns * _cell(panel)
    title = _LETTER * width(panel["title"])
    return max(across, title), _above(panel) + len(panel["values"]) * _CELL


def grid(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:  # noqa: ARG001 (as all panels have it)
    """Draws numbers in squares: red above 0, blue below, darker if larger; marked ones have thick frames."""
    left, top = box[0] + _beside(panel), box[1] + _above(panel)
    cell, values = _cell(panel), np.asarray(panel["values"])
    marked, faint = ({tuple(cell) for cell in panel[key]} for key in ("marked", "faint"))
    if panel["title"]:
        axes.text(box[0], box[1] + 0.08, panel["title"], **canvas.text(8.5, canvas.MUTED, va="center"))
    for i, text in enumerate(panel["row_heads"]):
        look = canvas.text(8, canvas.MUTED, va="center", ha="right")
        axes.text(left - 0.07, top + (i + 0.5) * _CELL, text, **look)
    for j, text in enumerate(panel["column_heads"]):
        axes.text(left + (j + 0.5) * cell, top - 0.1, text, **canvas.text(8, canvas.MUTED, va="center", ha="center"))
    # Lighter than weights are drawn, so that black letters are legible on all of it.
    tint = 255 - (255 - colours.colours(values, 1.5 * panel["largest"]).astype(float)) * 0.7
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            pale = (i, j) in faint
            colour = canvas.PAPER if panel["plain"] or pale else tuple(tint[i, j] / 255)
            x, y = left + j * cell, top + i * _CELL
            axes.add_patch(Rectangle((x, y), cell, _CELL, facecolor=colour, edgecolor=canvas.FAINT, linewidth=0.7))
            look = canvas.text(9, canvas.FAINT if pale else canvas.INK, va="center", ha="center")
            axes.text(x + cell / 2, y + _CELL / 2, number(value), **look)
    for i, j in marked:
        corner = left + j * cell + 0.02, top + i * _CELL + 0.02
        frame = {"fill": False, "edgecolor": canvas.RIGHT, "linewidth": 1.8}
        axes.add_patch(Rectangle(corner, cell - 0.04, _CELL - 0.04, **frame))


def _cell(panel: Panel) -> float:
    letters = [len(number(value)) for line in panel["values"] for value in line]
    heads = [width(head) for head in panel["column_heads"]]
    return max(_CELL, _LETTER * max(letters) + 0.12, *(0.065 * head + 0.1 for head in heads), _CELL)


def _beside(panel: Panel) -> float:
    return max([0.065 * width(head) + 0.14 for head in panel["row_heads"]], default=0.0)


def _above(panel: Panel) -> float:
    return (_TITLE if panel["title"] else 0.0) + (_HEAD if panel["column_heads"] else 0.0)


def sign_size(panel: Panel) -> tuple[float, float]:
    """Width and height of a sign."""
    return 0.1 * max(width(panel["text"]), 1) + 0.04, 0.3


def sign(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:  # noqa: ARG001
    """Draws a sign in the middle."""
    left, top, across, high = box
    look = canvas.text(13, canvas.MUTED, ha="center", va="center")
    axes.text(left + across / 2, top + high / 2 + 0.1, panel["text"], **look)


def picture_size(panel: Panel) -> tuple[float, float]:
    """Width and height of a picture; its longer side has the length that the panel sets."""
    high, across = panel["shape"][:2]
    scale = panel["edge"] / max(high, across)
    return across * scale, high * scale + (_TITLE if panel["title"] else 0)


def picture(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:  # noqa: ARG001
    """Draws the picture with its pixels as squares and a thin frame."""
    left, top, across, high = box
    if panel["title"]:
        axes.text(left, top + 0.08, panel["title"], **canvas.text(8.5, canvas.MUTED, va="center"))
        top, high = top + _TITLE, high - _TITLE
    edge = panel["edge"]
    corner = left - (edge - across) / 2, top - (edge - high) / 2
    canvas.place(axes, canvas.decoded(panel["png"]), *corner, edge)
    colours.frame(axes, *corner, edge, tuple(panel["shape"]))


def graph_size(panel: Panel) -> tuple[float, float]:
    """Width and height of a graph, as the panel sets them."""
    return panel["size"][0], panel["size"][1]


def graph(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:  # noqa: ARG001
    """Draws nodes with their values and, in red, their gradients, and arrows from each node to its results."""
    left, top = box[:2]
    centres = {node["name"]: np.array([left, top]) + node["position"] for node in panel["nodes"]}
    for start, end, label in panel["edges"]:
        a, b = centres[start], centres[end]
        along = (b - a) / np.linalg.norm(b - a)
        tips = a + along * (_RADIUS + 0.02), b - along * (_RADIUS + 0.04)
        arrow = {"arrowstyle": "-|>", "mutation_scale": 9, "color": canvas.MUTED, "linewidth": 0.9}
        axes.add_patch(FancyArrowPatch(*tips, shrinkA=0, shrinkB=0, **arrow))
        where = a + (b - a) * panel["along"]
        look = canvas.text(7.5, canvas.MUTED, ha="center", va="center")
        background = {"facecolor": canvas.PAPER, "edgecolor": "none", "pad": 1.0}
        axes.text(float(where[0]), float(where[1]), minus(label), bbox=background, **look)
    for node in panel["nodes"]:
        x, y = centres[node["name"]]
        axes.add_patch(Circle((x, y), _RADIUS, facecolor="#eef3f7", edgecolor=canvas.INK, linewidth=1.0, zorder=3))
        middle = {"ha": "center", "va": "center", "zorder": 4}
        axes.text(x, y, node["label"], **canvas.text(9, weight="bold", **middle))
        axes.text(x, y + _RADIUS + 0.1, number(node["value"]), **canvas.text(8.5, **middle))
        if node["gradient"] is not None:
            slope = number(node["gradient"])
            axes.text(x, y + _RADIUS + 0.25, slope, **canvas.text(8.5, canvas.WRONG, **middle))


_TITLE, _LEFT, _BELOW = 0.24, 0.42, 0.4
_BAR, _BARS_HIGH = 0.52, 1.25
_ACCENT = "#8a5a00"

_STYLES: dict[str, dict[str, Any]] = {
    "solid": {"color": canvas.RIGHT, "linewidth": 1.7},
    "dashed": {"color": canvas.WRONG, "linewidth": 1.4, "linestyle": (0, (4, 2))},
    "faint": {"color": canvas.MUTED, "linewidth": 1.1, "linestyle": (0, (1, 1.4))},
    "path": {"color": canvas.RIGHT, "linewidth": 1.3, "marker": "o", "markersize": 3},
    "dashed path": {"color": canvas.WRONG, "linewidth": 1.0, "marker": "x", "markersize": 3.5},
    "faint path": {"color": _ACCENT, "linewidth": 1.0, "marker": "s", "markersize": 2.2},
    "dots": {"color": canvas.RIGHT, "linestyle": "none", "marker": "o", "markersize": 6},
    "crosses": {"color": canvas.WRONG, "linestyle": "none", "marker": "x", "markersize": 6.5, "markeredgewidth": 1.8},
}
"""Each style differs in dashes or markers too, not only in colour."""


def chart_size(panel: Panel) -> tuple[float, float]:
    """Width and height of a chart, with its title and labels."""
    return panel["size"][0], panel["size"][1] + (_TITLE if panel["title"] else 0)


def chart(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:
    """Draws lines, over contours if there are any."""
    own = _axes(drawing, axes, panel, box, named=bool(panel["axes"][1]))
    if panel["limits"] is not None:
        own.set_xlim(*panel["limits"][:2])
        own.set_ylim(*panel["limits"][2:])
    if panel["logarithmic"]:
        own.set_yscale("log")
    if "contours" in panel:
        levels = panel["contours"]
        z = np.asarray(levels["z"])
        own.contour(
            levels["x"], levels["y"], z, levels=np.geomspace(0.1, z.max(), 12), colors=canvas.FAINT, linewidths=0.8
        )
        own.plot(0, 0, marker="+", color=canvas.INK, markersize=9)
    for line in panel["lines"]:
        if line["style"] == "arrow":
            (x, far), (y, away) = line["x"], line["y"]
            own.annotate("", (far, away), (x, y), arrowprops={"arrowstyle": "-|>", "color": canvas.INK})
            continue
        own.plot(
            line["x"], line["y"], label=line["label"] or "_", clip_on=line["style"] != "dots", **_STYLES[line["style"]]
        )
    if panel["named"] and any(line["label"] for line in panel["lines"]):
        small = panel["size"][0] < 2.5
        legend = own.legend(frameon=True, framealpha=0.85, edgecolor="none", facecolor=canvas.PAPER, loc="best",
                            handlelength=1.6, borderaxespad=0.2, labelspacing=0.25)  # fmt: skip
        for entry in legend.get_texts():
            entry.set(fontsize=6.5 if small else 7.5, color=canvas.INK, fontfamily=canvas.letters())


def bars_size(panel: Panel) -> tuple[float, float]:
    """Width and height of the bars."""
    return len(panel["values"]) * _BAR + 0.3, _BARS_HIGH + (_TITLE if panel["title"] else 0)


def bars(drawing: Drawing, axes: Axes, panel: Panel, box: Place) -> None:
    """Draws bars with their values above."""
    own = _axes(drawing, axes, {**panel, "axes": ["", ""]}, box, named=False)
    positions = np.arange(len(panel["values"]))
    own.bar(positions, panel["values"], width=0.62, color=canvas.RIGHT)
    own.set_xlim(-0.6, len(positions) - 0.4)
    own.set_ylim(0, (panel["highest"] or max(panel["values"])) * 1.2)
    own.set_xticks(positions, panel["labels"])
    own.set_yticks([])
    own.spines["left"].set_visible(False)
    for at, value in zip(positions, panel["values"], strict=True):
        own.text(float(at), value, number(value), **canvas.text(8, ha="center", va="bottom"))
    own.tick_params(labelsize=8, length=0)


def _axes(drawing: Drawing, axes: Axes, panel: Panel, box: Place, *, named: bool) -> Axes:
    """Axes inside a box of the sheet, with a title above."""
    left, top, across, high = box
    if panel["title"]:
        axes.text(left + 0.02, top + 0.08, panel["title"], **canvas.text(8.5, canvas.MUTED, va="center"))
        top, high = top + _TITLE, high - _TITLE
    wide, tall = drawing.get_size_inches()
    inset = _LEFT + (0.16 if named else 0)
    below = _BELOW + (0.03 if panel["axes"][0] else -0.14)
    fractions = (
        (left + inset) / wide,
        1 - (top + high - below) / tall,
        (across - inset - 0.06) / wide,
        (high - below) / tall,
    )
    own = drawing.add_axes(fractions)
    own.set_facecolor(canvas.PAPER)
    for side in ("top", "right"):
        own.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        own.spines[side].set_color(canvas.FAINT)
    own.tick_params(labelsize=7.5, colors=canvas.MUTED, length=2.5, width=0.6)
    own.set_xlabel(panel["axes"][0], **canvas.text(8, canvas.MUTED))
    own.set_ylabel(panel["axes"][1], **canvas.text(8, canvas.MUTED))
    return own
