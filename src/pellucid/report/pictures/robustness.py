"""Robustness: the accuracy on changed pictures, one panel for each kind of change, beside that on clean pictures."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import DPI

_COLUMNS = 3


def png(figure: Figure) -> bytes:
    """Draws `rows`: (change, strength, accuracy, low, high); the row of strength 0 is that of the clean pictures."""
    rows = figure.data["rows"]
    clean = next((row[2] for row in rows if row[1] == 0), None)
    kinds = list(dict.fromkeys(row[0] for row in rows if row[1] > 0))
    lines = max(-(-len(kinds) // _COLUMNS), 1)
    drawing = Drawing(figsize=(9.2, 0.6 + 2.0 * lines), dpi=DPI, facecolor=canvas.PAPER)
    drawing.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    drawing.suptitle(figure.title, x=0.013, ha="left", **canvas.text(13, weight="bold"))
    panels = drawing.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(kinds) :]:
        axes.set_visible(False)
    for kind, axes in zip(kinds, panels, strict=False):
        _panel(axes, kind, [row for row in rows if row[0] == kind], clean)
    return canvas.finish(drawing, colours=96)


def _panel(axes: Axes, kind: str, rows: list[Any], clean: float | None) -> None:
    axes.set_facecolor(canvas.PAPER)
    strengths = [row[1] for row in rows]
    axes.fill_between(
        strengths, [row[3] for row in rows], [row[4] for row in rows], color=canvas.RIGHT, alpha=0.18, linewidth=0
    )
    axes.plot(strengths, [row[2] for row in rows], color=canvas.RIGHT, linewidth=1.8, marker="o", ms=5, clip_on=False)
    if clean is not None:
        axes.axhline(clean, color=canvas.MUTED, linewidth=1.1, linestyle=(0, (4, 2)))
    axes.set_title(kind, loc="left", **canvas.text(10))
    axes.set_xlim(0.7, 5.3)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(range(1, 6))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(colors=canvas.MUTED, labelsize=8.5, labelfontfamily=canvas.letters()[0], color=canvas.FAINT)
    axes.tick_params(labelbottom=True)
    axes.grid(color=canvas.LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(canvas.FAINT)
