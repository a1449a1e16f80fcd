"""The panels of a worked example that have axes of their own: curves and paths, and bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from pellucid.report.operation_text import number
from pellucid.report.pictures import canvas

Panel = Mapping[str, Any]
Place = tuple[float, float, float, float]

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
"""Never by colour alone: each differs in dashes or marks too."""


def chart_size(panel: Panel) -> tuple[float, float]:
    """Its size, and what stands around it."""
    return panel["size"][0], panel["size"][1] + (_TITLE if panel["title"] else 0)


def chart(drawing: Drawing, axes: Axes, panel: Panel, place: Place) -> None:
    """Lines, over contours where there are some."""
    own = _axes(drawing, axes, panel, place, named=bool(panel["axes"][1]))
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
    """As many bars as there are values."""
    return len(panel["values"]) * _BAR + 0.3, _BARS_HIGH + (_TITLE if panel["title"] else 0)


def bars(drawing: Drawing, axes: Axes, panel: Panel, place: Place) -> None:
    """Bars with their numbers above."""
    own = _axes(drawing, axes, {**panel, "axes": ["", ""]}, place, named=False)
    places = np.arange(len(panel["values"]))
    own.bar(places, panel["values"], width=0.62, color=canvas.RIGHT)
    own.set_xlim(-0.6, len(places) - 0.4)
    own.set_ylim(0, (panel["highest"] or max(panel["values"])) * 1.2)
    own.set_xticks(places, panel["labels"])
    own.set_yticks([])
    own.spines["left"].set_visible(False)
    for at, value in zip(places, panel["values"], strict=True):
        own.text(float(at), value, number(value), **canvas.text(8, ha="center", va="bottom"))
    own.tick_params(labelsize=8, length=0)


def _axes(drawing: Drawing, axes: Axes, panel: Panel, place: Place, *, named: bool) -> Axes:
    """Axes within a place of the sheet, with a title above."""
    left, top, across, high = place
    if panel["title"]:
        axes.text(left + 0.02, top + 0.08, panel["title"], **canvas.text(8.5, canvas.MUTED, va="center"))
        top, high = top + _TITLE, high - _TITLE
    wide, tall = drawing.get_size_inches()
    inset = _LEFT + (0.16 if named else 0)
    below = _BELOW + (0.03 if panel["axes"][0] else -0.14)
    box = (
        (left + inset) / wide,
        1 - (top + high - below) / tall,
        (across - inset - 0.06) / wide,
        (high - below) / tall,
    )
    own = drawing.add_axes(box)
    own.set_facecolor(canvas.PAPER)
    for side in ("top", "right"):
        own.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        own.spines[side].set_color(canvas.FAINT)
    own.tick_params(labelsize=7.5, colors=canvas.MUTED, length=2.5, width=0.6)
    own.set_xlabel(panel["axes"][0], **canvas.text(8, canvas.MUTED))
    own.set_ylabel(panel["axes"][1], **canvas.text(8, canvas.MUTED))
    return own
