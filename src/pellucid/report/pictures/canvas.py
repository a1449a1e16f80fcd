"""The sheet of all pictures: colours, fonts, placing pictures, and writing a PNG.

It uses matplotlib's objects and never pyplot, so it shares no state with the figures of the caller and opens no window.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing

from pellucid.report.wording import DPI, short, width

INK = "#1c2530"
MUTED = "#5a6672"
FAINT = "#c3cad1"
LINE = "#dfe4e9"
PAPER = "#ffffff"
RIGHT = "#1f6091"
WRONG = "#b3261e"
"""Colour of errors. A symbol always accompanies it, for readers who cannot tell colours apart."""

_TITLE, _LEAST_TITLE, _COLUMNS = 13.0, 9.0, 8.8
"""Font size of a title, its smallest size, and the text columns per inch at the first one."""

_LETTERS = (
    "DejaVu Sans",  # comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, many symbols
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Nirmala UI",
    "Arial Unicode MS",
    "Noto Sans",
    "Noto Emoji",
    "Segoe UI Emoji",
)


@cache
def letters() -> list[str]:
    """The installed fonts of our list, in the order in which a glyph is looked up."""
    installed = set(font_manager.get_font_names())
    return [name for name in _LETTERS if name in installed] or ["DejaVu Sans"]


def text(size: float, colour: str = INK, **more: Any) -> dict[str, Any]:
    """Keyword arguments for matplotlib text. Dollar signs are printed, not parsed as mathematics."""
    return {"fontsize": size, "color": colour, "fontfamily": letters(), "parse_math": False, **more}


def shortened(title: str, names: Sequence[str], wide: float) -> str:
    """Shortens the names in a title until it fits at its smallest font size.

    Args:
        title: the title.
        names: names in the title that may be shortened, in this order.
        wide: available width in inches.
    """
    room = int(wide * _COLUMNS * _TITLE / _LEAST_TITLE)
    for name in names:
        if width(title) > room:
            title = title.replace(name, short(name, max(12, width(name) - (width(title) - room))), 1)
    return title


def titled(title: str, wide: float) -> tuple[str, float]:
    """A title that fits `wide` inches, and its font size: smaller if the title is long, then shortened."""
    size = max(_LEAST_TITLE, min(_TITLE, _TITLE * wide * _COLUMNS / max(width(title), 1)))
    return short(title, int(wide * _COLUMNS * _TITLE / size)), size


def sheet(width: float, height: float) -> tuple[Drawing, Axes]:
    """A blank sheet (size in inches), and axes over all of it in inches: x to the right, y downwards."""
    drawing = Drawing(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return drawing, axes


def place(axes: Axes, picture: np.ndarray, left: float, top: float, edge: float) -> None:
    """Draws a picture, (H, W) or (H, W, 3), centred in a square of the sheet; all sizes in inches.

    Pixels at least twice as large as the sheet's are drawn as squares, smaller ones are interpolated.
    """
    height, width = picture.shape[:2]
    scale = edge / max(height, width)
    across, down = width * scale, height * scale
    left, top = left + (edge - across) / 2, top + (edge - down) / 2
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(
        picture,
        extent=(left, left + across, top + down, top),
        cmap="gray",
        vmin=0,
        vmax=255,
        aspect="auto",
        interpolation="nearest" if 2 * max(height, width) <= edge * DPI else "hanning",
    )
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def decoded(picture: str) -> np.ndarray:
    """Decodes a PNG in base64 to uint8 (H, W) or (H, W, 3)."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def finish(drawing: Drawing, *, colours: int | None = None) -> bytes:
    """Renders the drawing and returns the bytes of a PNG file.

    Args:
        drawing: the matplotlib figure.
        colours: size of the palette, at most 256; a chart needs few, and its file is then a third of the size. None
            keeps all colours, for photos.
    """
    from PIL import Image

    canvas = FigureCanvasAgg(drawing)
    with warnings.catch_warnings():
        # A glyph that no installed font has is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from (font|current font)")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    if colours is not None:
        image = image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    # The highest level takes five times as long and saves 2 %.
    image.save(stream, "PNG", compress_level=4, dpi=(DPI, DPI))
    return stream.getvalue()
