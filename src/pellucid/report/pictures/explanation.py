"""Explanation of a prediction: attribution maps, their quality, and the nearest training pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import minus, probable, short, width

_MARGIN, _EDGE, _GAP, _SIDE, _LABEL = 0.25, 1.85, 0.28, 2.05, 0.34
_SIMILAR = 0.5
"""Rank correlation above which a map hardly depends on the weights."""


def png(figure: Figure) -> bytes:
    """Draws `methods`, each with three maps over the `picture`, and `neighbours` if there are any."""
    data = figure.data
    picture = canvas.decoded(data["picture"]["png"])
    methods, near = data["methods"], data["neighbours"]
    wide = max(_MARGIN + _SIDE + _GAP + len(methods) * (_EDGE + _GAP), 8.2)
    about, rival = short(data["about"], 18), short(data["rival"], 18)
    rows = [f"evidence for '{about}'", f"for '{about}', not '{rival}'", f"for '{about}', weights shuffled"]
    lines = [
        "Red is evidence for the class, blue against it; each map has its own scale.",
        "A map shows what the model uses, not whether that makes sense.",
        "Deletion ↓: mean probability while the most important pixels are removed first; lower is better.",
        "Insertion ↑: the same while they are added first; higher is better. ✓ better than all noise maps, ✗ not.",
        "With shuffled weights the model knows nothing: a map that stays the same shows the picture, not the model.",
        figure.note,
    ]
    lines = [part for line in lines if line for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 0.75 + 0.19 * len(lines)
    first = head + 0.42
    block = _EDGE + _LABEL
    foot = first + block * len(rows) + 0.5
    high = foot + (2.0 if near else 0.72)
    drawing, axes = canvas.sheet(wide, high)
    title = canvas.shortened(figure.title, [data["picture"]["id"], data["network"]], wide - 2 * _MARGIN)
    colours.head(axes, title, lines)
    _draw_input(axes, data, picture, first)
    for column, method in enumerate(methods):
        left = _MARGIN + _SIDE + _GAP + column * (_EDGE + _GAP)
        axes.text(left, head + 0.12, method["method"], **canvas.text(10, weight="bold", va="center"))
        tops = [first + 0.0, first + block + 0.5, first + 2 * block + 0.5]
        for row, (values, top) in enumerate(zip(method["maps"], tops, strict=True)):
            axes.text(left, top - 0.1, rows[row], **canvas.text(8, canvas.MUTED, va="center"))
            canvas.place(axes, colours.over(picture, np.asarray(values)), left, top, _EDGE)
            colours.frame(axes, left, top, _EDGE, picture.shape)
        _draw_scores(axes, method, data["noise"], left, first + _EDGE + 0.13)
        _draw_sanity_check(axes, method, left, tops[2] + _EDGE + 0.13)
    if near:
        _neighbours(axes, near, foot + 0.32, wide)
    return canvas.finish(drawing)


def _draw_input(axes: Axes, data: Mapping[str, Any], picture: np.ndarray, top: float) -> None:
    """Draws the picture and the probabilities of its classes."""
    canvas.place(axes, picture, _MARGIN, top, _SIDE - 0.15)
    colours.frame(axes, _MARGIN, top, _SIDE - 0.15, picture.shape)
    y = top + _SIDE + 0.05
    axes.text(_MARGIN, y, short(data["picture"]["id"], 23), **canvas.text(8.5, va="center", weight="bold"))
    label = data["picture"]["label"]
    if label is not None:
        axes.text(_MARGIN, y + 0.19, f"label: {short(label, 22)}", **canvas.text(8.5, canvas.MUTED, va="center"))
    y += 0.45
    for name, share in data["probabilities"]:
        wrong = label is not None and name != label
        colour = "#e8b4ae" if wrong and name == data["about"] else "#cfe0ee"
        axes.add_patch(Rectangle((_MARGIN, y - 0.085), max(share, 0.005) * (_SIDE - 0.15), 0.17, facecolor=colour))
        mark = " ✗" if wrong and name == data["about"] else ""
        axes.text(_MARGIN + 0.05, y, f"{short(name, 14)}{mark}", **canvas.text(8.5, va="center"))
        axes.text(_MARGIN + _SIDE - 0.18, y, probable(share), **canvas.text(8.5, va="center", ha="right"))
        y += 0.21


def _draw_scores(axes: Axes, method: Mapping[str, Any], noise: Mapping[str, float], left: float, top: float) -> None:
    """Writes deletion and insertion, beside those of noise."""
    for line, (name, better) in enumerate(zip(("deletion", "insertion"), method["better"], strict=True)):
        text = (
            f"{'✓' if better else '✗'} {name} {'↓' if line == 0 else '↑'} {method[name]:.2f}  noise {noise[name]:.2f}"
        )
        colour = canvas.INK if better else canvas.WRONG
        axes.text(left, top + 0.17 * line, text, **canvas.text(7, colour, va="center"))


def _draw_sanity_check(axes: Axes, method: Mapping[str, Any], left: float, top: float) -> None:
    """Writes how similar the map is to that of shuffled weights."""
    if method["rank_correlation"] is None:
        axes.text(left, top, "✗ empty map", **canvas.text(7, canvas.WRONG, va="center"))
        return
    passed = abs(method["rank_correlation"]) <= _SIMILAR
    text = f"{'✓ depends' if passed else '✗ hardly depends'} on the weights"
    colour = canvas.INK if passed else canvas.WRONG
    axes.text(left, top, text, **canvas.text(7, colour, va="center"))
    axes.text(
        left,
        top + 0.17,
        minus(f"(rank correlation {method['rank_correlation']:.2f})"),
        **canvas.text(7, canvas.MUTED, va="center"),
    )


def _neighbours(axes: Axes, near: Mapping[str, Any], top: float, wide: float) -> None:
    """Draws the training pictures whose inputs of the last layer are the most similar."""
    cells = near["cells"]
    counts = ", ".join(f"{number} of {len(cells)} are '{short(name, 16)}'" for name, number in near["counts"][:3])
    axes.text(_MARGIN, top, "Similar training pictures", **canvas.text(10, va="center", weight="bold"))
    among = short(f"among {near['among']}", int((wide - 2 * _MARGIN - 2.3) * 16))
    axes.text(_MARGIN + 2.3, top + 0.01, among, **canvas.text(8, canvas.MUTED, va="center"))
    heading = f"Nearest by the input of the last layer: {counts or 'labels unknown'}. Below: class, cosine."
    room = int((wide - 2 * _MARGIN) * 16)
    if width(heading) > room:
        heading = f"Nearest by the input of the last layer: {counts.partition(', ')[0]}. Below: class, cosine."
    axes.text(_MARGIN, top + 0.2, short(heading, room), **canvas.text(8, canvas.MUTED, va="center"))
    edge = min((wide - 2 * _MARGIN + 0.12) / max(len(cells), 8) - 0.12, 0.95)
    for index, cell in enumerate(cells):
        left = _MARGIN + index * (edge + 0.12)
        canvas.place(axes, canvas.decoded(cell["png"]), left, top + 0.34, edge)
        beneath = short(str(cell["label"]), 11) if cell["label"] is not None else short(cell["predicted"], 11)
        axes.text(left, top + 0.46 + edge, beneath, **canvas.text(8, va="center", weight="bold"))
        axes.text(
            left + edge,
            top + 0.46 + edge,
            minus(f"{cell['cosine']:.2f}"),
            **canvas.text(7, canvas.MUTED, va="center", ha="right"),
        )
