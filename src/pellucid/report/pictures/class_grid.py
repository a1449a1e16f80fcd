"""The class grid: one row per class, with its name, how many pictures it has, and some of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.thumbnails import thumbnail
from pellucid.errors import FormatError
from pellucid.records import Figure, Split
from pellucid.report.pictures import canvas
from pellucid.report.wording import count, short, width

_EDGE, _GAP, _MARGIN, _HEAD = 0.56, 0.07, 0.25, 0.9


def png(figure: Figure) -> bytes:
    """Draws `rows`, each with `class`, `count` and `pictures`."""
    rows = figure.data["rows"]
    names = [short(str(row["class"]), 26) for row in rows]
    beside = max([width(name) * 0.088 for name in names] + [0.95]) + 0.2
    columns = max([len(row["pictures"]) for row in rows] + [5])
    wide = max(2 * _MARGIN + beside + columns * (_EDGE + _GAP), 5.4)
    drawing, axes = canvas.sheet(wide, _HEAD + len(rows) * (_EDGE + _GAP) + 0.15)
    axes.text(_MARGIN, 0.33, short(figure.title, int(wide * 9)), **canvas.text(13, weight="bold", va="center"))
    head = f"{count(figure.data['n'], 'picture')}, {count(figure.data['classes'], 'class', 'classes')}. {figure.note}"
    axes.text(_MARGIN, 0.6, short(head.strip(), int(wide * 13)), **canvas.text(8.5, canvas.MUTED, va="center"))
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        top = _HEAD + index * (_EDGE + _GAP)
        axes.text(_MARGIN, top + _EDGE / 2 - 0.08, name, **canvas.text(10, va="center", weight="bold"))
        some = count(row["count"], "picture") if row["count"] else "no picture here"
        axes.text(_MARGIN, top + _EDGE / 2 + 0.11, some, **canvas.text(8, canvas.MUTED, va="center"))
        for column, picture in enumerate(row["pictures"]):
            canvas.place(axes, canvas.decoded(picture), _MARGIN + beside + column * (_EDGE + _GAP), top, _EDGE)
    return canvas.finish(drawing)


EDGE = 64
"""The longer side of a picture in the grid, in pixels."""


def class_grid(split: Split, per_class: int = 10, *, classes: int = 30) -> Figure:
    """Some pictures of each class, one row per class: a figure of kind `class-grid`.

    Args:
        split: pictures with labels.
        per_class: how many of each class, at most; drawn at random, the same ones every time.
        classes: for how many classes, at most; the title says when there are more.

    Raises:
        DataError: the labels are not known.
    """
    labels = split.known_labels()
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for index, name in enumerate(split.classes[:classes]):
        places = np.flatnonzero(labels == index)
        shown: list[str] = []
        for place in np.random.default_rng((0, index)).permutation(places):
            if len(shown) == per_class:
                break
            try:
                shown.append(thumbnail(split, int(place), EDGE))
            except FormatError:
                broken.append(str(split.ids[place]))
        rows.append({"class": name, "count": len(places), "pictures": shown})
    of = f"{split.dataset}, {split.name} split" if split.dataset else f"{split.name} split"
    data = {
        "rows": rows,
        "per_class": per_class,
        "classes": len(split.classes),
        "n": len(split),
        "dataset": split.dataset,
        "split": split.name,
    }
    notes = []
    if len(split.classes) > classes:
        notes.append(f"The first {classes} of {len(split.classes):,} classes.")
    if broken:
        notes.append(f"{count(len(broken), 'picture')} could not be read: {', '.join(broken[:5])}.")
    return Figure("class_grid", "class-grid", data, title=f"Pictures of {of}", note=" ".join(notes))
