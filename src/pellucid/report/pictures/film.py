"""The film of a training: kernels, maps and probabilities per epoch, as a strip (PNG) or animated (WebP, GIF)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pellucid.records import Figure
from pellucid.report.pictures import canvas, colours
from pellucid.report.wording import percent, probable, short

if TYPE_CHECKING:
    from PIL import Image

_MARGIN, _EDGE, _GAP = 0.25, 0.72, 0.09
_BAR = 1.5
_STRIP = 12
"""Largest number of epochs in the strip, evenly spaced from the first to the last."""

_SECONDS = 8.0
"""Approximate duration of the film."""


def png(figure: Figure) -> bytes:
    """Draws the film as a strip with one row per epoch."""
    data = figure.data
    frames = data["frames"]
    rows = [
        frames[i] for i in sorted({int(i) for i in np.linspace(0, len(frames) - 1, min(_STRIP, len(frames))).round()})
    ]
    many = len(frames[0]["kernels"])
    block = many * (_EDGE * 0.72 + _GAP)
    wide = max(1.35 + block * (2 if frames[0]["maps"] else 1) + 0.6 + 2.2, 8.0)
    lines = [*_meaning(data), f"{len(rows)} of {len(frames)} epochs." if len(rows) < len(frames) else ""]
    head = 1.62 + 0.19 * len([line for line in lines if line])
    step = _EDGE * 0.72 + 0.2
    drawing, axes = canvas.sheet(wide, head + len(rows) * step + 0.1)
    colours.head(axes, figure.title, lines)
    lefts = [1.3, 1.3 + block + 0.25, 1.3 + block * (2 if frames[0]["maps"] else 1) + 0.5]
    picture = canvas.decoded(data["picture"]["png"])
    canvas.place(axes, picture, wide - 0.95, 0.15, 0.7)
    words = canvas.text(8.5, canvas.MUTED, va="center")
    axes.text(lefts[0], head - 0.51, _kernels(data), **words)
    colours.bar(axes, lefts[0], head - 0.4, data["largest_weight"], grey=_coloured(data), wide=min(_BAR, block))
    if frames[0]["maps"]:
        axes.text(lefts[1], head - 0.51, "their feature maps", **words)
        colours.bar(axes, lefts[1], head - 0.4, data["largest_map"], wide=min(_BAR, block))
    axes.text(lefts[2], head - 0.51, "predicted probabilities", **words)
    for row, frame in enumerate(rows):
        top = head + row * step
        axes.text(_MARGIN, top + 0.2, _epoch(frame), **canvas.text(9.5, va="center", weight="bold"))
        if frame["accuracy"] is not None:
            axes.text(
                _MARGIN, top + 0.38, f"{percent(frame['accuracy'])} right", **canvas.text(8, canvas.MUTED, va="center")
            )
        _squares(axes, data, frame, lefts, top, _EDGE * 0.72)
        _draw_probabilities(axes, data, frame, lefts[2], top, 1.9, most=3, high=0.17)
    return canvas.finish(drawing)


def webp(figure: Figure) -> bytes:
    """The film as an animated WebP."""
    return _moving(figure, "WEBP", quality=85, method=4)


def gif(figure: Figure) -> bytes:
    """The film as an animated GIF."""
    return _moving(figure, "GIF", optimize=True)


def _moving(figure: Figure, kind: str, **how: Any) -> bytes:
    from PIL import Image

    pages = []
    for number in range(len(figure.data["frames"])):
        with Image.open(io.BytesIO(_frame(figure, number))) as image:
            pages.append(
                image.convert("RGB").resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS)
            )
    each = int(1000 * min(max(_SECONDS / len(pages), 0.12), 1.2))
    times = [each] * (len(pages) - 1) + [max(each, 2500)]  # the last frame stays longer
    if kind == "GIF":
        pages = _in_shared_palette(pages)
    stream = io.BytesIO()
    pages[0].save(stream, kind, save_all=True, append_images=pages[1:], duration=times, loop=0, **how)
    return stream.getvalue()


def _in_shared_palette(pages: list[Image.Image]) -> list[Image.Image]:
    """The pages in one palette of 256 colours, so that a colour means the same in each.

    Each colour counts once, regardless of its area: the ends of a scale are small, and the photo is large.
    """
    from PIL import Image

    used = _distinct(np.concatenate([_distinct(np.asarray(page).reshape(-1, 3)) for page in pages]))
    palette_image = Image.fromarray(used[np.newaxis]).quantize(255, method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*palette_image[: 3 * 255], 255, 255, 255])  # the paper stays white
    return [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in pages]


def _distinct(palette: np.ndarray) -> np.ndarray:
    """The colours, uint8 (N, 3), without those equal to another one in their five highest bits."""
    coarse = (palette >> 3).astype(np.int32)
    _, first = np.unique((coarse[:, 0] << 10) | (coarse[:, 1] << 5) | coarse[:, 2], return_index=True)
    return palette[first]


def _frame(figure: Figure, number: int) -> bytes:
    """Draws one frame of the film."""
    data = figure.data
    frame = data["frames"][number]
    many = len(frame["kernels"])
    edge = min(_EDGE, 6.2 / many)
    wide, high = 9.6, 5.6
    drawing, axes = canvas.sheet(wide, high)
    colours.head(axes, figure.title, _meaning(data))
    axes.text(wide - _MARGIN, 0.33, _epoch(frame), **canvas.text(15, va="center", ha="right", weight="bold"))
    top = 1.35
    picture = canvas.decoded(data["picture"]["png"])
    canvas.place(axes, picture, _MARGIN, top, 1.9)
    colours.frame(axes, _MARGIN, top, 1.9, picture.shape)
    _draw_probabilities(axes, data, frame, _MARGIN, top + 2.05, 1.9, most=10, high=0.2)
    left = _MARGIN + 2.3
    words, right = canvas.text(9, canvas.MUTED, va="center"), wide - _MARGIN - _BAR
    axes.text(left, top - 0.12, _kernels(data), **words)
    colours.bar(axes, right, top - 0.33, data["largest_weight"], grey=_coloured(data), wide=_BAR)
    below = top + edge + 0.45
    if frame["maps"]:
        axes.text(left, below - 0.12, "their feature maps", **words)
        colours.bar(axes, right, below - 0.33, data["largest_map"], wide=_BAR)
    step = edge + _GAP
    for index, kernel in enumerate(frame["kernels"]):
        _square(axes, np.asarray(kernel), data["largest_weight"], left + index * step, top, edge)
    for index, values in enumerate(frame["maps"] or ()):
        _square(axes, np.asarray([values]), data["largest_map"], left + index * step, below, edge)
    curve = below + edge + 0.45
    _curve(axes, data["frames"], number, (left, curve, wide - left - 0.55, high - curve - 0.4))
    return canvas.finish(drawing)


def _meaning(data: Mapping[str, Any]) -> list[str]:
    picture = data["picture"]
    label_text = f", label '{short(picture['label'], 16)}'" if picture["label"] is not None else ""
    zero = "Kernels in colour, grey is 0; maps: white" if _coloured(data) else "White"
    scale = f"{zero} is 0, red above, blue below; one scale over all epochs."
    return [scale, f"The picture: {short(picture['id'], 30)}{label_text}."]


def _kernels(data: Mapping[str, Any]) -> str:
    return "mean of each kernel" if data["mean_kernels"] else "kernels"


def _coloured(data: Mapping[str, Any]) -> bool:
    """Whether the kernels are drawn in red, green and blue."""
    return len(data["frames"][0]["kernels"][0]) == 3


def _epoch(frame: Mapping[str, Any]) -> str:
    return "untrained" if frame["epoch"] == 0 else f"epoch {frame['epoch']}"


def _squares(
    axes: Axes, data: Mapping[str, Any], frame: Mapping[str, Any], lefts: list[float], top: float, edge: float
) -> None:
    for index, kernel in enumerate(frame["kernels"]):
        _square(axes, np.asarray(kernel), data["largest_weight"], lefts[0] + index * (edge + _GAP), top, edge)
    for index, values in enumerate(frame["maps"] or ()):
        _square(axes, np.asarray([values]), data["largest_map"], lefts[1] + index * (edge + _GAP), top, edge)


def _square(axes: Axes, values: np.ndarray, largest: float, left: float, top: float, edge: float) -> None:
    """Draws values (1, H, W) in signed colours, or (3, H, W) as RGB."""
    picture = colours.mixed(values, largest) if len(values) == 3 else colours.colours(values[0], largest)
    canvas.place(axes, picture, left, top, edge)
    colours.frame(axes, left, top, edge, picture.shape)


def _draw_probabilities(
    axes: Axes,
    data: Mapping[str, Any],
    frame: Mapping[str, Any],
    left: float,
    top: float,
    wide: float,
    *,
    most: int,
    high: float,
) -> None:
    """Draws the probabilities as bars. If all fit, each class keeps its row over the epochs."""
    shares = frame["probabilities"]
    classes = data["shown"] if most >= len(data["shown"]) else sorted(data["shown"], key=lambda i: -shares[i])[:most]
    for row, index in enumerate(classes):
        name, right = data["classes"][index], data["classes"][index] == data["picture"]["label"]
        y = top + row * high
        colour = "#7fb0d6" if right else "#dfe4e9"
        axes.add_patch(
            Rectangle((left, y), max(shares[index], 0.004) * wide, high * 0.82, facecolor=colour, linewidth=0)
        )
        axes.text(
            left + 0.05, y + high * 0.42, f"{short(name, 12)}{' ✓' if right else ''}", **canvas.text(7.5, va="center")
        )
        axes.text(
            left + wide,
            y + high * 0.42,
            probable(shares[index], 0),
            **canvas.text(7.5, canvas.MUTED, va="center", ha="right"),
        )


def _curve(axes: Axes, frames: list[Mapping[str, Any]], number: int, box: tuple[float, float, float, float]) -> None:
    """Draws the validation accuracy up to this epoch."""
    left, top, wide, high = box
    known = [(frame["epoch"], frame["accuracy"]) for frame in frames if frame["accuracy"] is not None]
    if not known:
        return
    low = min(0.9, *(value for _, value in known)) - 0.02
    low = max(0.0, np.floor(low * 10) / 10)
    last = max(frames[-1]["epoch"], 1)

    def at(epoch: float, value: float) -> tuple[float, float]:
        return left + 0.4 + epoch / last * (wide - 0.4), top + high - (value - low) / (1 - low) * high

    axes.text(left, top - 0.14, "validation accuracy", **canvas.text(9, canvas.MUTED, va="center"))
    for value in (low, 1.0):
        (x1, y), (x2, _) = at(0, value), at(last, value)
        axes.plot([x1, x2], [y, y], color=canvas.LINE, linewidth=0.8)
        axes.text(x1 - 0.06, y, percent(value, 0), **canvas.text(8, canvas.MUTED, va="center", ha="right"))
    done = [at(epoch, value) for epoch, value in known if epoch <= frames[number]["epoch"]]
    if done:
        axes.plot(*zip(*done, strict=True), color=canvas.RIGHT, linewidth=1.8, marker="o", markersize=4)
        axes.text(
            done[-1][0],
            done[-1][1] + 0.16,
            percent(known[len(done) - 1][1]),
            **canvas.text(8.5, canvas.RIGHT, va="center", ha="right", weight="bold"),
        )
    for epoch in {0, last}:
        axes.text(
            at(epoch, low)[0], top + high + 0.14, f"{epoch}", **canvas.text(8, canvas.MUTED, va="center", ha="center")
        )
