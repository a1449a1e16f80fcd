"""The confusion matrix: a row for each label, a column for each predicted class, for 2 to 100 classes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm

from pellucid.records import Figure
from pellucid.records.names import counted
from pellucid.report.pictures import canvas
from pellucid.report.wording import percent, short, width

NUMBERED = 20
"""Up to this number of classes, each cell shows its count."""

# Less than linear, so that one error in a hundred is visible. One hue for right, one for wrong.
_SCALE = {"right": PowerNorm(0.5, vmin=0, vmax=1), "wrong": PowerNorm(0.4, vmin=0, vmax=1)}
_RIGHT = LinearSegmentedColormap.from_list("right", ["#ffffff", "#cfe0ee", "#7fb0d6", "#2f76ad", "#164b75"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#ffffff", "#fbe0d8", "#f0a48f", "#d6563d", "#8f1d12"])


def png(figure: Figure) -> bytes:
    """Draws `classes` (K names) and `counts` (K, K)."""
    classes, counts = list(figure.data["classes"]), np.asarray(figure.data["counts"], dtype=np.int64)
    many = len(classes)
    edge = _edge(many)
    size = max(7.0, min(9.5, edge * 72 * 0.85))
    names = [short(name, 24 if many <= NUMBERED else 20) for name in classes]
    upright = max(map(width, names), default=0) * size * 0.62 / 72 < edge * 0.95
    longest = max(width(name) for name in names) * size * 0.62 / 72

    left, right, top = longest + 0.55, 1.0, 1.1
    bottom = 0.5 + (size / 72 if upright else longest)
    side = edge * many
    head = figure.title or "Confusion matrix: label and predicted class"
    wide, high = max(left + side + right, 6.3), top + side + bottom
    drawing, axes = canvas.sheet(wide, high)
    axes.text(0.2, 0.36, head, **canvas.text(13, weight="bold", va="center"))
    axes.text(0.2, 0.62, _caption(figure, counts), **canvas.text(8.5, canvas.MUTED, va="center"))
    axes.text(0.2, 0.80, _key(many), **canvas.text(8.5, canvas.MUTED, va="center"))

    shift = left + max(0.0, (wide - left - side - right) / 2)
    matrix = drawing.add_axes((shift / wide, bottom / high, side / wide, side / high))
    _cells(matrix, counts, edge)
    _labels(matrix, names, counts, size=size, upright=upright)
    return canvas.finish(drawing, colours=128)


def _edge(many: int) -> float:
    """The side of a cell in inches, with room for its number or for the class name beside it."""
    if many <= 4:
        return 0.95
    if many <= 10:
        return 0.56
    return 0.44 if many <= NUMBERED else max(0.125, 8.8 / many)


def _caption(figure: Figure, counts: np.ndarray) -> str:
    where = ", ".join(str(figure.data[key]) for key in ("dataset", "split") if figure.data.get(key))
    n, right = int(counts.sum()), int(np.diagonal(counts).sum())
    return f"{short(where, 40)}{': ' if where else ''}{right:,} of {counted(n, 'picture')} right"


def _key(many: int) -> str:
    numbers = "Numbers count pictures. " if many <= NUMBERED else ""
    return f"{numbers}The darker, the larger the share of its row: blue is right, red is wrong."


def _cells(matrix: Axes, counts: np.ndarray, edge: float) -> None:
    many = len(counts)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    on = np.eye(many, dtype=bool)
    colours = np.where(on[..., None], _RIGHT(_SCALE["right"](shares)), _WRONG(_SCALE["wrong"](shares)))
    matrix.imshow(colours, interpolation="nearest", aspect="auto")
    matrix.set_xticks(np.arange(many + 1) - 0.5, minor=True)
    matrix.set_yticks(np.arange(many + 1) - 0.5, minor=True)
    matrix.grid(which="minor", color=canvas.LINE, linewidth=0.6 if many <= NUMBERED else 0.3)
    matrix.tick_params(which="both", length=0)
    matrix.spines[:].set_color(canvas.FAINT)
    if many > NUMBERED:
        return
    for row, column in np.ndindex(*counts.shape):
        number = f"{counts[row, column]:,}"
        size = min(11.0, edge * 72 / (0.72 * max(len(number), 2)))
        colour = canvas.FAINT if counts[row, column] == 0 else canvas.INK
        if shares[row, column] > 0.3:
            colour = canvas.PAPER
        weight = "bold" if row == column else "normal"
        matrix.text(column, row, number, **canvas.text(size, colour, ha="center", va="center", weight=weight))


def _labels(matrix: Axes, names: list[str], counts: np.ndarray, *, size: float, upright: bool) -> None:
    ticks = range(len(names))
    matrix.set_xticks(ticks, names, **canvas.text(size, rotation=0 if upright else 90))
    matrix.set_yticks(ticks, names, **canvas.text(size, va="center"))
    matrix.set_xlabel("predicted class", **canvas.text(9.5, canvas.MUTED, labelpad=6))
    matrix.set_ylabel("label", **canvas.text(9.5, canvas.MUTED, labelpad=6))
    totals, hits = counts.sum(axis=1), np.diagonal(counts)
    beside = matrix.secondary_yaxis("right")
    recalls = [percent(hit / n if n else None, 0 if n < 1000 else 1) for hit, n in zip(hits, totals, strict=True)]
    beside.set_yticks(ticks, recalls, **canvas.text(size, canvas.MUTED, va="center"))
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)
    matrix.text(
        1.0, 1.0, "  recall", transform=matrix.transAxes, **canvas.text(8.5, canvas.MUTED, va="bottom", ha="left")
    )
