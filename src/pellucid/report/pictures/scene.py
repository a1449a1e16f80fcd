"""A drawing of boxes, lines and words as data, which gives the same picture as PNG and as SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.patches import FancyBboxPatch

from pellucid.report.pictures import canvas
from pellucid.report.wording import visible, width

_LETTER = 0.58
"""Mean width of a letter as a share of the font size."""


@dataclass(frozen=True)
class Box:
    """A rectangle; sizes in inches, from the upper left."""

    left: float
    top: float
    width: float
    height: float
    fill: str
    edge: str
    line: float = 0.8


@dataclass(frozen=True)
class Line:
    """A polyline, with an arrow at its end if `arrow`."""

    points: Sequence[tuple[float, float]]
    colour: str
    width: float = 1.0
    arrow: bool = True


@dataclass(frozen=True)
class Words:
    """A line of text; its anchor is `start`, `middle` or `end`."""

    left: float
    top: float
    text: str
    size: float
    colour: str = canvas.INK
    bold: bool = False
    anchor: str = "start"


@dataclass
class Scene:
    """The parts in drawing order, and the size of the sheet in inches."""

    width: float
    height: float
    title: str
    parts: list[Box | Line | Words] = field(default_factory=list)

    def png(self) -> bytes:
        """Renders the scene as the bytes of a PNG file."""
        drawing, axes = canvas.sheet(self.width, self.height)
        for part in self.parts:
            if isinstance(part, Box):
                axes.add_patch(
                    FancyBboxPatch(
                        (part.left, part.top), part.width, part.height, boxstyle="round,pad=0,rounding_size=0.05",
                        facecolor=part.fill, edgecolor=part.edge, linewidth=part.line,
                    )
                )  # fmt: skip
            elif isinstance(part, Line):
                columns, rows = zip(*part.points, strict=True)
                axes.plot(columns, rows, color=part.colour, linewidth=part.width, solid_joinstyle="round")
                if part.arrow:
                    axes.fill(*zip(*_head(part.points), strict=True), color=part.colour, linewidth=0)
            else:
                side = {"start": "left", "middle": "center", "end": "right"}[part.anchor]
                look = canvas.text(
                    part.size, part.colour, ha=side, va="center", weight="bold" if part.bold else "normal"
                )
                axes.text(part.left, part.top, part.text, **look)
        return canvas.finish(drawing, colours=128)

    def svg(self) -> str:
        """Renders the scene as a self-contained SVG document: 96 pixels per inch, words as searchable text."""
        scale = 96
        wide, high = self.width * scale, self.height * scale
        drawn = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}"',
            f'viewBox="0 0 {wide:.1f} {high:.1f}" role="img" style="white-space: pre"',
            'font-family="DejaVu Sans, Verdana, sans-serif">',
            f"<title>{html.escape(visible(self.title))}</title>",
            f'<rect width="100%" height="100%" fill="{canvas.PAPER}"/>',
        ]
        for part in self.parts:
            if isinstance(part, Box):
                drawn.append(
                    f'<rect x="{part.left * scale:.1f}" y="{part.top * scale:.1f}" width="{part.width * scale:.1f}" '
                    f'height="{part.height * scale:.1f}" rx="5" fill="{part.fill}" stroke="{part.edge}" '
                    f'stroke-width="{part.line * 1.33:.2f}"/>'
                )
            elif isinstance(part, Line):
                corners = " ".join(f"{x * scale:.1f},{y * scale:.1f}" for x, y in part.points)
                drawn.append(
                    f'<polyline points="{corners}" fill="none" stroke="{part.colour}" '
                    f'stroke-width="{part.width * 1.33:.2f}" stroke-linejoin="round"/>'
                )
                if part.arrow:
                    corners = " ".join(f"{x * scale:.1f},{y * scale:.1f}" for x, y in _head(part.points))
                    drawn.append(f'<polygon points="{corners}" fill="{part.colour}"/>')
            else:
                weight = ' font-weight="bold"' if part.bold else ""
                drawn.append(
                    f'<text x="{part.left * scale:.1f}" y="{part.top * scale:.1f}" font-size="{part.size * 1.333:.1f}" '
                    f'fill="{part.colour}" text-anchor="{part.anchor}" dominant-baseline="central"{weight}>'
                    f"{html.escape(visible(part.text))}</text>"
                )
        return "\n".join([*drawn, "</svg>\n"])


def inches(text: str, size: float) -> float:
    """Approximate width of a text in inches."""
    return width(text) * size * _LETTER / 72


def column(names: Sequence[str], beneath: Sequence[str], least: float) -> float:
    """Width in inches, at most 3.8, of a column of layer names (9 points) with a line below each (7.5 points)."""
    longest = [inches(name, 9) for name in names] + [inches(line, 7.5) for line in beneath]
    return min(max([least, *(text_width + 0.2 for text_width in longest)]), 3.8)


def fitting(text: str, size: float, room: float) -> int:
    """Number of text columns that fit into `room` inches."""
    assert text is not None
    return max(int(room * 72 / (size * _LETTER)), 3)


def _head(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The three corners of the arrow at the end of a line."""
    (x1, y1), (x2, y2) = points[-2], points[-1]
    length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1e-9)
    along, across = ((x2 - x1) / length, (y2 - y1) / length), (-(y2 - y1) / length, (x2 - x1) / length)
    back = (x2 - 0.09 * along[0], y2 - 0.09 * along[1])
    return [
        (x2, y2),
        (back[0] + 0.04 * across[0], back[1] + 0.04 * across[1]),
        (back[0] - 0.04 * across[0], back[1] - 0.04 * across[1]),
    ]
