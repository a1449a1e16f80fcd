"""The learning-rate range test: the loss at each rate, and the suggested rate with its reason."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import DPI


def png(figure: Figure) -> bytes:
    """Draws `rates`, `losses` and `smoothed`, and marks `suggestion`, `steepest`, `lowest` and `diverged`."""
    data = figure.data
    drawing = Drawing(figsize=(9.2, 4.3), dpi=DPI, facecolor=canvas.PAPER)
    drawing.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    drawing.suptitle(
        figure.title or "Which learning rates suit the training", x=0.013, ha="left", **canvas.text(13, weight="bold")
    )
    axes = drawing.subplots()
    axes.set_title(_subtitle(figure), loc="left", **canvas.text(9, canvas.MUTED))
    axes.set_facecolor(canvas.PAPER)
    raw = [(rate, loss) for rate, loss in zip(data["rates"], data["losses"], strict=True) if _is_number(loss)]
    even = [(rate, loss) for rate, loss in zip(data["rates"], data["smoothed"], strict=True) if _is_number(loss)]
    axes.plot(*zip(*raw, strict=True), color=canvas.FAINT, marker=".", ms=4, linestyle="none", label="each step")
    axes.plot(*zip(*even, strict=True), color=canvas.RIGHT, linewidth=2, label="smoothed")
    _limits(axes, [loss for _, loss in even])
    marks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("suggestion", "suggested", {"color": canvas.INK, "linewidth": 1.8}),
        ("steepest", "falls fastest", {"color": "#8a5a00", "linewidth": 1.2, "linestyle": (0, (4, 2))}),
        ("lowest", "lowest", {"color": canvas.MUTED, "linewidth": 1.2, "linestyle": (0, (1, 1.6))}),
        ("diverged", "diverges", {"color": canvas.WRONG, "linewidth": 1.2, "linestyle": (0, (5, 1.5, 1, 1.5))}),
    )
    for key, name, style in marks:
        if data.get(key) is not None:
            axes.axvline(data[key], label=f"{name}: {data[key]:.2g}", zorder=1, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7))
    axes.set_xlabel("learning rate (rises by a constant factor at each step)", **canvas.text(9, canvas.MUTED))
    axes.set_ylabel("training loss of each batch", **canvas.text(9, canvas.MUTED))
    axes.grid(color=canvas.LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(canvas.FAINT)
    axes.tick_params(colors=canvas.MUTED, labelsize=9, labelfontfamily=canvas.letters()[0], color=canvas.FAINT)
    legend = axes.legend(frameon=True, framealpha=0.9, edgecolor="none", facecolor=canvas.PAPER, loc="lower left")
    for entry in legend.get_texts():
        entry.set(fontsize=9, color=canvas.INK, fontfamily=canvas.letters())
    return canvas.finish(drawing, colours=96)


def _subtitle(figure: Figure) -> str:
    suggestion = figure.data.get("suggestion")
    return figure.note if suggestion is None else f"Suggested: {suggestion:g}, {figure.note}"


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _limits(axes: Any, curve: list[float]) -> None:
    """Limits the y axis to the fall of the loss. Without limits, a diverging loss would flatten it."""
    low, first = min(curve), curve[0]
    span = max(first - low, 0.05 * abs(first), 1e-12)
    axes.set_ylim(low - 0.12 * span, max(first, low) + 0.45 * span)
