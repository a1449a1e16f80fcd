"""A map of a data set in two dimensions: each point is a small picture in its class's colour, errors are ringed."""

from __future__ import annotations

import textwrap
from collections import defaultdict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import count, percent, short

_MARGIN, _SIDE, _KEY = 0.25, 9.2, 1.75
_WORDS = 40
"""Up to this number of errors, the prediction is written at each one; more words would overlap."""
_HOLDS = 0.4
"""From this width in inches, a photo has room for the word inside it."""
_COLOURS = (
    "#1f77b4", "#d9730d", "#2a9134", "#a01c8c", "#7a5230", "#0f8b8d", "#c2185b", "#5b5ea6", "#8a8a00", "#444444",
    "#4aa3df", "#f2a65a", "#7bc67e", "#d58ad0", "#b58d6b", "#6fc7c9", "#ee8db2", "#9c9fd6", "#c7c745", "#9a9a9a",
)  # fmt: skip


def png(figure: Figure) -> bytes:
    """Draws `points`, each with `x`, `y`, `png`, `label` and `predicted`."""
    data = figure.data
    points = data["points"]
    class_of_point = [point["label"] if data["labelled"] else point["predicted"] for point in points]
    used = {*class_of_point, *(point["predicted"] for point in points)}
    names = list(dict.fromkeys([*(name for name in data["classes"] if name in used), *class_of_point]))
    palette = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    wrong = [data["labelled"] and point["label"] != point["predicted"] for point in points]
    wide = 2 * _MARGIN + _SIDE + _KEY
    share = (
        f"The two axes explain {percent(data['explained'], 0)} of the variance."
        if data["explained"] is not None
        else "Distances between groups have no meaning here."
    )
    share_kept = (
        f"{percent(data['kept'], 0)} of each picture's {data['near']} nearest neighbours are still neighbours here."
    )
    what = "Colours: the predicted class."
    pictures = [canvas.decoded(point["png"]) for point in points]
    framed = pictures[0].ndim == 3
    edge = min(0.6, (_SIDE**2 * (0.4 if framed else 0.34) / len(points)) ** 0.5)
    few, within = sum(wrong) <= _WORDS, framed and edge >= _HOLDS
    if data["labelled"]:
        where = "in the ring" if within else "beside the ring"
        legend = f"{where} the prediction" if few else "the dot has the colour of the prediction"
        what = f"Ringed: {count(sum(wrong), 'error')}{f'; {legend}' if any(wrong) else ''}."
    lines = [
        f"Positions: the inputs of the last layer in two dimensions. {share} {share_kept}",
        f"Overlapping pictures are moved apart a little. {what} {figure.note}",
    ]
    lines = [part for line in lines for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 0.7 + 0.19 * len(lines)
    drawing, axes = canvas.sheet(wide, head + _SIDE + 0.25)
    colours.head(axes, figure.title, lines)
    positions = np.array([(point["x"], point["y"]) for point in points], float)
    low, high = positions.min(axis=0), positions.max(axis=0)
    # A margin inside the frame leaves room for moved pictures and rings.
    inner = _SIDE - 2 * edge
    positions = (positions - low) / np.where(high > low, high - low, 1.0) * (inner - edge) + edge
    positions = _apart(positions, 1.12 * edge if framed else 0.8 * edge, edge, square=framed)
    axes.add_patch(Rectangle((_MARGIN, head), _SIDE, _SIDE, fill=False, edgecolor=canvas.LINE, linewidth=0.8))
    for i in np.argsort(wrong, kind="stable"):  # errors last, on top
        left, top = _MARGIN + positions[i][0], head + _SIDE - edge - positions[i][1]
        _point(axes, pictures[i], palette[class_of_point[i]], (left, top, edge))
        if wrong[i]:
            _error(axes, points[i]["predicted"], palette, (left, top, edge), few=few, within=within)
    _key(axes, class_of_point, wrong, names, palette, head, labelled=data["labelled"])
    return canvas.finish(drawing)


def _error(
    axes: Axes,
    predicted: str,
    palette: dict[str, str],
    position: tuple[float, float, float],
    *,
    few: bool,
    within: bool,
) -> None:
    """Draws a ring around an error with the prediction: in words if there are few errors, else as a coloured dot."""
    left, top, edge = position
    middle = left + edge / 2, top + edge / 2
    reach = edge * (0.72 if few else 0.62)
    axes.add_patch(Circle(middle, reach, fill=False, edgecolor=canvas.WRONG, linewidth=1.6 if few else 1.0, zorder=4))
    if few:
        look = canvas.text(7.5, canvas.WRONG, va="center", weight="bold", zorder=5)
        look["path_effects"] = [withStroke(linewidth=2, foreground=canvas.PAPER)]
        if within:
            axes.text(middle[0], top + edge - 0.06, short(predicted, 10), ha="center", **look)
        else:
            axes.text(middle[0] + reach + 0.03, middle[1], short(predicted, 10), **look)
        return
    dot = middle[0] + reach * 0.75, middle[1] - reach * 0.75
    colour = palette.get(predicted, canvas.MUTED)
    axes.add_patch(
        Circle(dot, max(edge * 0.2, 0.035), facecolor=colour, edgecolor=canvas.PAPER, linewidth=0.7, zorder=5)
    )


def _apart(positions: np.ndarray, least: float, edge: float, *, square: bool) -> np.ndarray:
    """Moves positions apart until hardly two are nearer than `least`, so that pictures do not overlap.

    With `square`, for framed pictures, a distance in one direction is enough.
    """
    positions = positions + np.random.default_rng(0).normal(
        0, least / 50, positions.shape
    )  # no two positions are equal
    for _ in range(250):
        towards = positions[:, np.newaxis] - positions
        sides = np.abs(towards)
        distance = (sides.max(axis=2) if square else np.sqrt(np.square(towards).sum(axis=2))) + np.eye(
            len(positions)
        ) * 1e9
        near = distance < least
        if not near.any():
            break
        push = np.where(near, (least - distance) / np.maximum(distance, 1e-9), 0.0)
        if square:  # apart in the direction of the smaller overlap
            towards = np.where(sides == sides.max(axis=2, keepdims=True), towards, 0.0)
        positions = (positions + 0.3 * (push[..., np.newaxis] * towards).sum(axis=1)).clip(
            edge / 4, _SIDE - 1.25 * edge
        )
    return positions


def _point(axes: Axes, picture: np.ndarray, colour: str, position: tuple[float, float, float]) -> None:
    """Draws a grey picture in its class's colour without its background, or a photo with a frame in that colour."""
    left, top, edge = position
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    limits = axes.get_xlim(), axes.get_ylim()
    extent = (left, left + edge, top + edge, top)
    if picture.ndim == 2:
        ink = picture / 255 if picture.mean() < 127 else 1 - picture / 255
        rgba = np.concatenate([np.broadcast_to(rgb / 255, (*picture.shape, 3)), ink[..., np.newaxis]], axis=2)
        axes.imshow(rgba, extent=extent, interpolation="bilinear", zorder=2, aspect="auto")
    else:
        axes.imshow(picture, extent=extent, interpolation="hanning", zorder=2, aspect="auto")
        axes.add_patch(Rectangle((left, top), edge, edge, fill=False, edgecolor=colour, linewidth=1.6, zorder=3))
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def _key(
    axes: Axes,
    class_of_point: list[str],
    wrong: list[bool],
    names: list[str],
    palette: dict[str, str],
    top: float,
    *,
    labelled: bool,
) -> None:
    """Draws the legend: classes, colours, and numbers of pictures and errors."""
    numbers: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, error in zip(class_of_point, wrong, strict=True):
        numbers[name][0] += 1
        numbers[name][1] += error
    left = _MARGIN + _SIDE + 0.2
    for row, name in enumerate(names[:40]):
        y = top + 0.12 + row * 0.22
        axes.add_patch(Rectangle((left, y - 0.065), 0.13, 0.13, facecolor=palette[name], linewidth=0))
        axes.text(left + 0.2, y, short(name, 11), **canvas.text(8.5, va="center", weight="bold"))
        many, errors = numbers[name]
        count_text = f"{many}" + (f", ✗ {errors}" if labelled and errors else "")
        axes.text(left + 1.5, y, count_text, **canvas.text(8, canvas.MUTED, va="center", ha="right"))
