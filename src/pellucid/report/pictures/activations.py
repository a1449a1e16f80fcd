"""Activation statistics: for each layer the histogram of its values, its share of zeros, and its dead units."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.pictures.scene import column, fitting
from pellucid.report.wording import count, minus, percent, short

_MARGIN, _ROW, _NAME, _BARS, _ZEROS, _WORDS = 0.25, 0.5, 2.0, 3.2, 1.5, 1.9
MOST = 60
"""Largest number of layers drawn: those with dead units first, the others evenly spaced."""


def png(figure: Figure) -> bytes:
    """Draws `layers`, each with `counts`, `edges`, `zeros`, `dead` and `silent`."""
    layers = _chosen(figure.data["layers"])
    left_out = len(figure.data["layers"]) - len(layers)
    named = column([layer["layer"] for layer in layers], [layer["kind"] for layer in layers], _NAME)
    wide = _MARGIN * 2 + named + _BARS + _ZEROS + _WORDS + 0.6
    lines = [
        "Histograms: the layer's values that are not 0, red above 0, blue below; the outermost 0.4 % are at the ends.",
        "Heights are square roots of the counts, so that small counts are visible.",
        "A dead unit has the same output for every picture. A unit that is never above 0 is dead after a ReLU.",
        f"{count(left_out, 'layer')} not drawn; the table has them." if left_out else "",
        figure.note,
    ]
    lines = [part for line in lines if line for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 0.95 + 0.19 * len(lines)
    drawing, axes = canvas.sheet(wide, head + len(layers) * _ROW + 0.15)
    colours.head(axes, figure.title, lines)
    for text, left in (
        ("values", _MARGIN + named),
        ("zeros", _MARGIN + named + _BARS + 0.3),
        ("units", _MARGIN + named + _BARS + _ZEROS + 0.6),
    ):
        axes.text(left, head - 0.12, text, **canvas.text(8.5, canvas.MUTED, va="center"))
    for row, layer in enumerate(layers):
        _row(axes, layer, head + row * _ROW, named)
    return canvas.finish(drawing, colours=64)


def _chosen(layers: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All layers; of many, those with dead units and others evenly spaced in depth."""
    if len(layers) <= MOST:
        return layers
    dead = [i for i, layer in enumerate(layers) if layer["dead"]][: MOST // 2]
    rest = [i for i in range(len(layers)) if i not in dead]
    even = [rest[int(i)] for i in np.linspace(0, len(rest) - 1, MOST - len(dead)).round()]
    return [layers[i] for i in sorted({*dead, *even})]


def _row(axes: Axes, layer: Mapping[str, Any], top: float, named: float) -> None:
    middle = top + _ROW / 2 - 0.05
    name = short(layer["layer"], fitting(layer["layer"], 9, named - 0.1))
    kind = short(layer["kind"], fitting(layer["kind"], 7.5, named - 0.1))
    axes.text(_MARGIN, middle - 0.08, name, **canvas.text(9, va="center", weight="bold"))
    axes.text(_MARGIN, middle + 0.1, kind, **canvas.text(7.5, canvas.MUTED, va="center"))
    left, high = _MARGIN + named, _ROW - 0.18
    counts = np.asarray(layer["counts"], float)
    shares = np.sqrt(counts / counts.max()) if counts.max() else counts
    step = _BARS / len(counts)
    bottom = top + _ROW - 0.1
    low, highest = layer["edges"]
    for index, share in enumerate(shares):
        if share > 0:
            above = low + (index + 0.5) / len(counts) * (highest - low) >= 0
            colour = "#cf7a62" if above else "#5b8fc4"
            axes.add_patch(
                Rectangle(
                    (left + index * step, bottom - share * high), step, share * high, facecolor=colour, linewidth=0
                )
            )
    zero = left + _BARS * (0 - low) / (highest - low)
    axes.plot([zero, zero], [bottom - high, bottom + 0.03], color=canvas.INK, linewidth=0.9)
    axes.plot([left, left + _BARS], [bottom, bottom], color=canvas.FAINT, linewidth=0.7)
    # The numbers may overlap a bar.
    look = canvas.text(7, canvas.MUTED, va="center", path_effects=[withStroke(linewidth=2, foreground=canvas.PAPER)])
    if zero > left + 0.4:
        axes.text(left, bottom - high + 0.02, minus(f"{low:.3g}"), **look)
    axes.text(left + _BARS, bottom - high + 0.02, minus(f"{highest:.3g}"), ha="right", **look)
    left += _BARS + 0.3
    axes.add_patch(Rectangle((left, middle - 0.07), _ZEROS - 0.55, 0.14, facecolor="#eef1f4", linewidth=0))
    axes.add_patch(
        Rectangle((left, middle - 0.07), (_ZEROS - 0.55) * layer["zeros"], 0.14, facecolor="#9aa5b1", linewidth=0)
    )
    axes.text(left + _ZEROS - 0.5, middle, percent(layer["zeros"], 0), **canvas.text(8, va="center"))
    left += _ZEROS + 0.3
    dead, silent = layer["dead"], layer["silent"]
    caption = f"✗ {dead:,} of {layer['units']:,} dead" if dead else f"{layer['units']:,}, none dead"
    axes.text(
        left,
        middle - (0.08 if silent and not dead else 0),
        caption,
        **canvas.text(8.5, canvas.WRONG if dead else canvas.INK, va="center", weight="bold" if dead else "normal"),
    )
    if silent and not dead:
        axes.text(left, middle + 0.1, f"{silent:,} never above 0", **canvas.text(7.5, canvas.MUTED, va="center"))
