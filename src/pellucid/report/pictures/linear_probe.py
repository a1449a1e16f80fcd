"""Linear probes for two classes: for each layer the scores of both classes and the accuracy of the probe."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.pictures.scene import column, fitting
from pellucid.report.wording import percent, short

_MARGIN, _ROW, _NAME, _BARS, _SCALE = 0.25, 0.5, 2.0, 3.0, 2.9
_FIRST, _SECOND = "#2f76ad", "#c96a1b"


def png(figure: Figure) -> bytes:
    """Draws `layers`, each with the `counts` of both classes' scores, and `accuracy`, `low` and `high`."""
    data = figure.data
    layers, (first, second) = data["layers"], data["classes"]
    # If even the best is no better than guessing, none is marked.
    good = [is_good and data["first"] is not None for is_good in data["good"]]
    named = column([layer["layer"] for layer in layers], [layer["kind"] for layer in layers], _NAME)
    wide = 2 * _MARGIN + named + _BARS + 0.45 + _SCALE + 0.75
    ours, others = f"'{short(first, 16)}' (blue, above)", f"'{short(second, 16)}' (orange, below)"
    lines = [
        f"A linear classifier on each layer's output, fitted on other pictures: the scores of {ours} and {others}.",
        "Heights are square roots. At the right: accuracy of the classifier; filled and bold: as good as the best.",
        f"n = {data['n']:,}; bars are 95 % intervals. {figure.note}",
    ]
    lines = [part for line in lines for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 0.98 + 0.19 * len(lines)
    drawing, axes = canvas.sheet(wide, head + len(layers) * _ROW + 0.15)
    colours.head(axes, figure.title, lines)
    start = _MARGIN + named
    scale = start + _BARS + 0.45
    lowest = min(0.5, *(layer["low"] for layer in layers))
    lowest = (
        np.floor(10 * lowest) / 10 if lowest < 0.5 else (0.5 if min(layer["low"] for layer in layers) < 0.8 else 0.8)
    )

    def across(share: float) -> float:
        return scale + (share - lowest) / (1 - lowest) * _SCALE

    axes.text(
        start + _BARS * 0.25, head - 0.12, f"← {short(first, 10)}", **canvas.text(8.5, _FIRST, va="center", ha="center")
    )
    axes.text(
        start + _BARS * 0.75,
        head - 0.12,
        f"{short(second, 10)} →",
        **canvas.text(8.5, _SECOND, va="center", ha="center"),
    )
    step = 0.2 if lowest < 0.5 else 0.1
    for share in np.arange(1.0, lowest - 0.01, -step):
        axes.plot(
            [across(share)] * 2, [head - 0.03, head + len(layers) * _ROW], color=canvas.LINE, linewidth=0.7, zorder=0
        )
        axes.text(
            across(share),
            head - 0.12,
            percent(abs(round(share, 6)), 0),
            **canvas.text(8, canvas.MUTED, va="center", ha="center"),
        )
    for row, layer in enumerate(layers):
        top = head + row * _ROW
        if row == data["first"]:
            _highlight(axes, top, wide)
        _row(axes, layer, top, named, good=good[row])
        _accuracy(axes, layer, top + _ROW / 2, across, good=good[row])
    return canvas.finish(drawing, colours=96)


def _highlight(axes: Axes, top: float, wide: float) -> None:
    """A coloured frame behind a row."""
    frame = {"facecolor": "#fdf3dc", "edgecolor": "#e0b878", "linewidth": 0.9, "zorder": 0}
    axes.add_patch(Rectangle((0.12, top + 0.02), wide - 0.24, _ROW - 0.02, **frame))


def _accuracy(
    axes: Axes, layer: Mapping[str, Any], middle: float, across: Callable[[float], float], *, good: bool
) -> None:
    """The accuracy of a layer with its interval; `across` is the position of an accuracy on the scale."""
    axes.plot([across(layer["low"]), across(layer["high"])], [middle] * 2, color=canvas.MUTED, linewidth=1.6)
    axes.plot(
        [across(layer["accuracy"])],
        [middle],
        "o" if good else "D",
        color=canvas.INK if good else canvas.PAPER,
        markeredgecolor=canvas.INK,
        markersize=5.5,
    )
    axes.text(
        across(1.0) + 0.16,
        middle,
        percent(layer["accuracy"]),
        **canvas.text(8.5, va="center", weight="bold" if good else "normal"),
    )


def _row(axes: Axes, layer: Mapping[str, Any], top: float, named: float, *, good: bool) -> None:
    middle = top + _ROW / 2
    axes.text(
        _MARGIN,
        middle - 0.09,
        short(layer["layer"], fitting(layer["layer"], 9, named - 0.1)),
        **canvas.text(9, va="center", weight="bold" if good else "normal"),
    )
    kind = short(layer["kind"], fitting(layer["kind"], 7.5, named - 0.1))
    axes.text(_MARGIN, middle + 0.1, kind, **canvas.text(7.5, canvas.MUTED, va="center"))
    left = _MARGIN + named
    counts = np.asarray(layer["counts"], float)
    step = _BARS / counts.shape[1]
    for number, (row, colour) in enumerate(zip(counts, (_FIRST, _SECOND), strict=True)):
        shares = np.sqrt(row / max(counts.max(), 1)) * (_ROW / 2 - 0.04)
        for index, share in enumerate(shares):
            if share > 0:
                axes.add_patch(
                    Rectangle(
                        (left + index * step, middle - (share if number == 0 else 0)),
                        step * 0.92,
                        share,
                        facecolor=colour,
                        linewidth=0,
                    )
                )
    axes.plot([left, left + _BARS], [middle] * 2, color=canvas.FAINT, linewidth=0.6)
    axes.plot(
        [left + _BARS / 2] * 2, [top + 0.05, top + _ROW - 0.03], color=canvas.INK, linewidth=0.8, linestyle=(0, (2, 2))
    )
