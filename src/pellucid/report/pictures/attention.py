"""Attention maps of a transformer: for each layer the mean of its heads over the picture, then each head."""

from __future__ import annotations

import textwrap

import numpy as np

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours, feature_maps
from pellucid.report.pictures.colours import enlarged

_MARGIN, _PICTURE, _EDGE, _GAP, _HEAD = 0.25, 1.9, 1.2, 0.14, 1.5


def png(figure: Figure) -> bytes:
    """Draws `rows`, each with the `mean` over its heads, and `heads`."""
    data = figure.data
    heads = max(len(row["heads"]) for row in data["rows"])
    start = _MARGIN + _PICTURE + 1.15
    wide = max(start + (heads + 1) * (_EDGE + _GAP) + 0.2, 8.0)
    lines = [
        figure.note,
        "Heads: the darker, the more attention, each on its own scale. The picture is bright where their mean is high.",
        "Reach: mean distance, in patches, between a patch and the patches it attends to.",
        "Attention shows where information comes from, not why the model gives its answer.",
    ]
    lines = [part for line in lines for part in textwrap.wrap(line, int((wide - 2 * _MARGIN) * 14))]
    head = 1.0 + 0.19 * len(lines)
    drawing, axes = canvas.sheet(wide, head + max(len(data["rows"]) * (_EDGE + 0.2), _PICTURE + 0.8) + 0.1)
    colours.head(axes, figure.title, lines)
    feature_maps.draw_input(axes, data["picture"], _MARGIN, head)
    picture = canvas.decoded(data["picture"]["png"])
    axes.text(start, head - 0.12, "mean of all heads", **canvas.text(8, canvas.MUTED, va="center"))
    for number in range(heads):
        axes.text(
            start + (number + 1) * (_EDGE + _GAP) + 0.1,
            head - 0.12,
            f"head {number + 1}",
            **canvas.text(8, canvas.MUTED, va="center"),
        )
    for index, row in enumerate(data["rows"]):
        top = head + index * (_EDGE + 0.2)
        axes.text(
            start - 0.1,
            top + _EDGE / 2 - 0.1,
            f"layer {row['layer']}",
            **canvas.text(9, va="center", ha="right", weight="bold"),
        )
        axes.text(
            start - 0.1,
            top + _EDGE / 2 + 0.1,
            f"reach {row['reach']:.1f}",
            **canvas.text(7.5, canvas.MUTED, va="center", ha="right"),
        )
        canvas.place(axes, _lit(picture, np.asarray(row["mean"])), start, top, _EDGE)
        colours.frame(axes, start, top, _EDGE, picture.shape)
        for number, values in enumerate(row["heads"]):
            left = start + (number + 1) * (_EDGE + _GAP) + 0.1
            coloured = colours.colours(_stretched(np.asarray(values)) * 0.9, 1.0)
            canvas.place(axes, coloured, left, top, _EDGE)
            colours.frame(axes, left, top, _EDGE, coloured.shape)
    return canvas.finish(drawing)


def _lit(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The picture, bright where attention is high."""
    light = enlarged(_stretched(values), (picture.shape[0], picture.shape[1]))[..., np.newaxis].clip(0, 1)
    rgb = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
    return (rgb * (0.15 + 0.85 * light)).round().astype(np.uint8)


def _stretched(values: np.ndarray) -> np.ndarray:
    """The values scaled to the range from 0 to 1."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
