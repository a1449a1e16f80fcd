"""The computation of a network as boxes and arrows: forward downwards, backward upwards and in red."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.pictures.layering import Layout, layout
from pellucid.report.pictures.scene import Box, Line, Scene, Words, fitting, inches
from pellucid.report.wording import short

_MARGIN, _APART = 0.3, 0.7
_ROWS, _DETAIL_ROWS = 30, 26
_WIDEST = 3.9
"""Largest width of a box in inches. Longer words are shortened."""

_FILLS = (
    ("block", "#fffdf5", "#5a6672"),
    ("convolution", "#dcebf7", "#7fb0d6"),
    ("dense", "#e4e2f4", "#a49fd1"),
    ("attention", "#e4e2f4", "#a49fd1"),
    ("pooling", "#e3f2e6", "#93c4a0"),
    ("norm", "#f2f2f2", "#c3cad1"),
    ("add", "#fdeeda", "#e0b878"),
    ("cat", "#fdeeda", "#e0b878"),
    ("input", "#ffffff", "#5a6672"),
    ("", "#f9f3f4", "#dcc3c8"),
)
"""A word in the kind of a box → its colours. The kind is also written in the box."""


def png(figure: Figure) -> bytes:
    """Draws `boxes` and `edges`, and beside them `details`, each with its own boxes and edges."""
    return _scene(figure).png()


def svg(figure: Figure) -> str:
    """Draws the same as SVG."""
    return _scene(figure).svg()


def _scene(figure: Figure) -> Scene:
    data = figure.data
    backward = bool(data["backward"])
    high = 0.62 if backward else 0.45
    panels = [("", data["boxes"], data["edges"], _ROWS)]
    panels += [(detail["title"], detail["boxes"], detail["edges"], _DETAIL_ROWS) for detail in data["details"]]
    placed = []
    for title, boxes, edges, rows in panels:
        wide = _width(boxes, backward=backward)
        gap = 0.26 if len(boxes) < 40 else 0.2
        placed.append((title, boxes, wide, layout(len(boxes), edges, wide=wide, high=high, gap=gap, rows=rows)))
    columns = _columns(placed)
    across = sum(max(_wide(one) for one in column) for column in columns) + _APART * (len(columns) - 1)
    across = max(across + 2 * _MARGIN, 6.4, min(inches(figure.title, 13) * 1.1 + 2 * _MARGIN, 9.5))
    lines = _head(figure, across - 2 * _MARGIN)
    head = 0.65 + 0.19 * len(lines)
    tall = max(sum(one[3].height + (0.72 if one[0] else 0.4) for one in column) for column in columns)
    scene = Scene(across, head + tall - 0.1, figure.title)
    _words(scene, lines)
    left = _MARGIN
    for column in columns:
        top = head
        for title, boxes, wide, layout_of_column in column:
            if title:
                scene.parts.append(Words(left, top + 0.06, title, 9.5, bold=True))
                top += 0.32
            _panel(scene, boxes, layout_of_column, (left, top, wide, high), backward=backward)
            top += layout_of_column.height + 0.4
        left += max(_wide(one) for one in column) + _APART
    return scene


def _columns(placed: Sequence[Any]) -> list[list[Any]]:
    """The graph in the first column, then the details, stacked up to the height of the graph."""
    columns = [[placed[0]]]
    limit = max(placed[0][3].height, 7.0)
    for one in placed[1:]:
        last = columns[-1]
        if len(columns) > 1 and sum(each[3].height + 0.75 for each in last) + one[3].height <= limit:
            last.append(one)
        else:
            columns.append([one])
    return columns


def _wide(one: Any) -> float:
    return max(one[3].width, inches(one[0], 9.5) + 0.1)


def _width(boxes: Sequence[Mapping[str, Any]], *, backward: bool) -> float:
    texts = [line for box in boxes for line in _lines(box, backward=backward)]
    return min(max([inches(text, 8.0) + 0.22 for text in texts] + [1.5]), _WIDEST)


def _lines(box: Mapping[str, Any], *, backward: bool) -> list[str]:
    """The lines of text in a box."""
    first, _, rest = box["kind"].partition(" ")
    # `depthwise.convolution · depthwise convolution 3×3` would repeat itself and be too wide.
    kind = rest.partition(" ")[2] if box["title"].endswith(f"{first}.{rest.partition(' ')[0]}") else box["kind"]
    name = box["title"] if box["title"] == box["kind"] else f"{box['title']} · {kind}"
    below = [box["shape"]] if box["shape"] else []
    below += [f"{box['parameters']:,} parameters"] if box["parameters"] else []
    below += [f"sees {box['field']}"] if box["field"] and box["field"] != "1×1" and not backward else []
    lines = [name, ", ".join(below)]
    if backward:
        lines.append(_gradient(box))
    return lines


def _gradient(box: Mapping[str, Any]) -> str:
    gradient = box.get("gradient") or {}
    lines = [gradient["function"]] if gradient.get("function") else []
    lines += [f"∂out {gradient['output']:.2g}"] if gradient.get("output") is not None else []
    lines += [f"∂W {gradient['parameters']:.2g}"] if gradient.get("parameters") is not None else []
    return "  ".join(lines)


def _panel(
    scene: Scene,
    boxes: Sequence[Mapping[str, Any]],
    layout_of_boxes: Layout,
    area: tuple[float, float, float, float],
    *,
    backward: bool,
) -> None:
    left, top, wide, high = area
    for name, (x1, y1, x2, y2) in _groups(boxes, layout_of_boxes, wide, high):
        scene.parts.append(Box(left + x1, top + y1, x2 - x1, y2 - y1, "#f6f8fa", canvas.LINE))
        scene.parts.append(Words(left + x1 + 0.06, top + y1 + 0.085, name, 7, canvas.MUTED))
    for route in layout_of_boxes.routes:
        points = [(left + x, top + y) for x, y in route]
        scene.parts.append(Line(points[::-1] if backward else points, canvas.WRONG if backward else canvas.MUTED))
    for box, (x, y) in zip(boxes, layout_of_boxes.centres, strict=True):
        fill, edge = next(
            (fill, edge) for word, fill, edge in _FILLS if word in ("block" if box["block"] else box["kind"].lower())
        )
        x1, y1 = left + x - wide / 2, top + y - high / 2
        scene.parts.append(Box(x1, y1, wide, high, fill, edge, 1.6 if box["block"] else 0.9))
        lines = [line for line in _lines(box, backward=backward) if line]
        step = high / (len(lines) + 0.6)
        for number, line in enumerate(lines):
            size = 8.0 if number == 0 else 7.0
            colour = (
                canvas.INK
                if number == 0
                else canvas.WRONG
                if backward and number == len(lines) - 1 and _gradient(box)
                else canvas.MUTED
            )
            cut = short(line, fitting(line, size, wide - 0.1))
            scene.parts.append(
                Words(x1 + wide / 2, y1 + step * (number + 0.8), cut, size, colour, bold=number == 0, anchor="middle")
            )


def _groups(
    boxes: Sequence[Mapping[str, Any]], layout_of_boxes: Layout, wide: float, high: float
) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Frames around two or more consecutive boxes of one module: (name, corners)."""
    runs: list[tuple[str, list[int]]] = []
    for index, box in enumerate(boxes):
        if runs and runs[-1][0] == box["group"]:
            runs[-1][1].append(index)
        else:
            runs.append((box["group"], [index]))
    frames = []
    for name, which in runs:
        if name and len(which) > 1:
            columns, rows = zip(*(layout_of_boxes.centres[one] for one in which), strict=True)
            if max(columns) - min(columns) > 3 * wide:
                continue  # it continues in the next column
            frame = (
                min(columns) - wide / 2 - 0.13,
                min(rows) - high / 2 - 0.16,
                max(columns) + wide / 2 + 0.13,
                max(rows) + high / 2 + 0.05,
            )
            frames.append((name, frame))
    return frames


def _words(scene: Scene, lines: Sequence[tuple[str, float]]) -> None:
    """Adds the title and the explanation, which are already wrapped."""
    top = 0.33
    for number, (text, size) in enumerate(lines):
        scene.parts.append(
            Words(_MARGIN, top, text, size, canvas.INK if number == 0 else canvas.MUTED, bold=number == 0)
        )
        top += 0.27 if number == 0 else 0.19


def _head(figure: Figure, room: float) -> list[tuple[str, float]]:
    """The title and the explanation as wrapped lines: (text, font size)."""
    if figure.data["backward"]:
        first = (
            "Arrows upwards: the flow of gradients. In red: torch's name of the step; ∂out: gradient of the output; "
            "∂W: gradient of the parameters (the largest in a block)."
        )
    else:
        first = (
            "Each box: name and operation, output shape (channels × height × width), parameters, and receptive field "
            "(the part of the picture that one value sees)."
        )
    return [canvas.titled(figure.title, room)] + [
        (line, 8.5) for text in (first, figure.note) if text for line in textwrap.wrap(text, int(room * 14))
    ]
