"""The training curves: loss and accuracy after each epoch on training and validation pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import DPI

_LINES = {
    "train": ("training", "#8a5a00", (0, (4, 2)), "s"),
    "validation": ("validation", canvas.RIGHT, "solid", "o"),
}


def png(figure: Figure) -> bytes:
    """Draws `rows` (one dictionary per epoch, as in history.csv), and marks `chosen_epoch` if it is not None."""
    rows, chosen = list(figure.data["rows"]), figure.data.get("chosen_epoch")
    drawing = Drawing(figsize=(9.2, 3.7), dpi=DPI, facecolor=canvas.PAPER)
    drawing.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    drawing.suptitle(
        figure.title or "Loss and accuracy after each epoch", x=0.013, ha="left", **canvas.text(13, weight="bold")
    )
    loss, accuracy = drawing.subplots(1, 2)
    _panel(loss, rows, "loss", chosen)
    _panel(accuracy, rows, "accuracy", chosen)
    loss.set_title("Loss (lower is better)", loc="left", **canvas.text(10))
    loss.set_ylabel("loss", **canvas.text(9, canvas.MUTED))
    if loss.get_ylim()[0] < 0 <= min((min(line.get_ydata()) for line in loss.get_lines()), default=0):
        loss.set_ylim(bottom=0)
    accuracy.set_title("Accuracy (higher is better)", loc="left", **canvas.text(10))
    accuracy.set_ylabel("accuracy, %", **canvas.text(9, canvas.MUTED))
    accuracy.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    if accuracy.get_ylim()[1] > 1:
        accuracy.set_ylim(top=1.0 + 0.02 * (1 - accuracy.get_ylim()[0]))
        accuracy.set_yticks([tick for tick in accuracy.get_yticks() if accuracy.get_ylim()[0] <= tick <= 1.0])
    return canvas.finish(drawing, colours=96)


def points(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """The epochs at which `key` was measured, and its values; missing and non-finite values are left out."""
    epochs, values = [], []
    for row in rows:
        value = row.get(key)
        if value is not None and math.isfinite(value):
            epochs.append(int(row["epoch"]))
            values.append(float(value))
    return epochs, values


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], what: str, chosen: int | None) -> None:
    axes.set_facecolor(canvas.PAPER)
    drawn = 0
    for kind, (name, colour, style, marker) in _LINES.items():
        epochs, values = points(rows, f"{kind}_{what}")
        if epochs:
            size = 5 if len(epochs) <= 30 else 0
            axes.plot(
                epochs,
                values,
                color=colour,
                linestyle=style,
                linewidth=1.8,
                marker=marker,
                ms=size,
                label=name,
                clip_on=False,
            )
            drawn += 1
    every = [int(row["epoch"]) for row in rows]
    low, high = min(every, default=1), max(every, default=1)
    margin = 0.5 if high == low else min(0.04 * (high - low), 0.5)
    axes.set_xlim(low - margin, high + margin)
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", **canvas.text(9, canvas.MUTED))
    axes.grid(color=canvas.LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(canvas.FAINT)
    axes.tick_params(colors=canvas.MUTED, labelsize=9, labelfontfamily=canvas.letters()[0], color=canvas.FAINT)
    if not drawn:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, **canvas.text(10, canvas.MUTED, ha="center"))
        return
    if chosen is not None and low <= chosen <= high:
        axes.axvline(
            chosen, color=canvas.MUTED, linewidth=1.1, linestyle=(0, (1, 1.6)), label=f"chosen: epoch {chosen}"
        )
    legend = axes.legend(frameon=True, framealpha=0.9, edgecolor="none", facecolor=canvas.PAPER, loc="best")
    for entry in legend.get_texts():
        entry.set(fontsize=9, color=canvas.INK, fontfamily=canvas.letters())
