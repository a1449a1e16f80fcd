"""The worked example of an operation as text, with the same numbers as the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.records import Figure
from pellucid.report.wording import count, minus, width

Panel = Mapping[str, Any]
_CURVE_POINTS = 9
"""Largest number of points printed of a curve."""


def text(figure: Figure) -> str:
    """The formula, and each row of panels with its title and text."""
    data = figure.data
    parts = [figure.title, "", *(f"    {line}".rstrip() for line in data["formula"].splitlines()), ""]
    for row in data["rows"]:
        block = _row(row["panels"])
        if row["title"]:
            parts += [row["title"], ""]
        parts += [*(f"    {line}".rstrip() for line in block), ""] if block else []
        parts += [*row["text"].splitlines(), ""] if row["text"] else []
    return "\n".join(parts).rstrip() + "\n"


def number(value: float) -> str:
    """A number with three significant digits and a true minus: `−0.25`, `3`, `1010`."""
    text_of_number = f"{value:.3g}" if abs(value) < 1000 else f"{value:.4g}"
    return minus(text_of_number)


def _row(panels: Sequence[Panel]) -> list[str]:
    """Panels side by side: grids and signs on the same lines, other kinds below them, pictures by title only."""
    beside = [_grid(panel) if panel["kind"] == "grid" else _sign(panel) for panel in panels if _is_flat(panel)]
    lines = _joined(beside)
    for panel in panels:
        if panel["kind"] in _WRITERS:
            lines += ([""] if lines else []) + _WRITERS[panel["kind"]](panel)
    picture_titles = [panel["title"] for panel in panels if panel["kind"] == "picture"]
    if picture_titles:
        names = ", ".join(filter(None, picture_titles)) or count(len(picture_titles), "picture")
        lines += [*([""] if lines else []), f"({names}: in the PNG)"]
    return lines


def _is_flat(panel: Panel) -> bool:
    return panel["kind"] in ("grid", "sign") and bool(panel.get("text", "x").strip())


def _joined(blocks: Sequence[list[str]]) -> list[str]:
    """Joins blocks of lines side by side. A sign is level with the first line of numbers."""
    high = max((len(block) for block in blocks), default=0)
    columns = []
    for block in blocks:
        wide = max(width(line) for line in block)
        filled = [line + " " * (wide - width(line)) for line in block]
        columns.append(filled + [" " * wide] * (high - len(block)))
    return ["   ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _grid(panel: Panel) -> list[str]:
    """Title, column heads and numbers. Marked numbers are in brackets; faint ones have a dot."""
    marked, faint = ({tuple(cell) for cell in panel[key]} for key in ("marked", "faint"))

    def cell_text(i: int, j: int, value: float) -> str:
        digits = number(value)
        return f"[{digits}]" if (i, j) in marked else f"·{digits} " if (i, j) in faint else f" {digits} "

    cells = [[cell_text(i, j, value) for j, value in enumerate(line)] for i, line in enumerate(panel["values"])]
    heads = [f" {head} " for head in panel["column_heads"]]
    wide = max(width(cell) for line in [*cells, heads] for cell in line)
    beside = max([width(head) for head in panel["row_heads"]], default=0)
    names = [*panel["row_heads"], *[""] * (len(cells) - len(panel["row_heads"]))]
    lines = [
        " " * (beside - width(name)) + name + "".join(" " * (wide - width(cell)) + cell for cell in line)
        for name, line in zip(names, cells, strict=True)
    ]
    above = [" " * beside + "".join(" " * (wide - width(head)) + head for head in heads)] if heads else [""]
    return [panel["title"], *above, *lines]


def _sign(panel: Panel) -> list[str]:
    return ["", "", panel["text"]]


def _chart(panel: Panel) -> list[str]:
    """Each curve as a few of its points."""
    lines = [panel["title"]] if panel["title"] else []
    for curve in panel["lines"]:
        if curve["style"] in ("arrow", "faint") and not curve["label"]:
            continue
        step = max(1, -(-(len(curve["x"]) - 1) // (_CURVE_POINTS - 1)))
        points = list(zip(curve["x"], curve["y"], strict=True))[::step]
        points_text = "  ".join(f"({number(x)}, {number(y)})" for x, y in points)
        lines.append(f"{curve['label']}: {points_text}" if curve["label"] else points_text)
    return lines


def _bars(panel: Panel) -> list[str]:
    pairs = zip(panel["labels"], panel["values"], strict=True)
    return [f"{panel['title']}: " + "  ".join(f"{label} {number(value)}" for label, value in pairs)]


def _graph(panel: Panel) -> list[str]:
    lines = []
    for node in panel["nodes"]:
        slope = "" if node["gradient"] is None else f", gradient {number(node['gradient'])}"
        lines.append(f"{node['label']} = {number(node['value'])}{slope}")
    return [
        *lines,
        *(f"{start} → {end}" + (f"   {minus(label)}" if label else "") for start, end, label in panel["edges"]),
    ]


_WRITERS = {"chart": _chart, "bars": _bars, "graph": _graph}
