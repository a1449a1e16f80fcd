"""The class grid: one row per class with its name, its number of pictures, and some of them."""

from __future__ import annotations

from pellucid.records import Figure
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
