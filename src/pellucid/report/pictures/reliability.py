"""The reliability diagram: how often predictions are right, against how sure the model is of them."""

from __future__ import annotations

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter

from pellucid.records import Figure
from pellucid.report.pictures import canvas
from pellucid.report.wording import DPI


def png(figure: Figure) -> bytes:
    """Draws `bins`, each with `confidence`, `accuracy`, its 95 % `interval` and `n`; a line shows an honest model."""
    bins = figure.data["bins"]
    drawing = Drawing(figsize=(6.6, 5.2), dpi=DPI, facecolor=canvas.PAPER)
    drawing.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    title, size = canvas.titled(figure.title, 6.2)
    drawing.suptitle(title, x=0.02, ha="left", **canvas.text(size, weight="bold"))
    axes, below = drawing.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    axes.plot([0, 1], [0, 1], color=canvas.MUTED, linewidth=1.1, linestyle=(0, (4, 2)), label="an honest model")
    centres = [one["confidence"] for one in bins]
    shares = [one["accuracy"] for one in bins]
    errors = [
        [share - one["interval"][0] for share, one in zip(shares, bins, strict=True)],
        [one["interval"][1] - share for share, one in zip(shares, bins, strict=True)],
    ]
    axes.errorbar(
        centres, shares, yerr=errors, fmt="o", color=canvas.RIGHT, ecolor=canvas.FAINT, elinewidth=2.2, ms=6,
        label="this model, with 95 % intervals", clip_on=False,
    )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("right, %", **canvas.text(9, canvas.MUTED))
    legend = axes.legend(frameon=False, loc="upper left")
    for entry in legend.get_texts():
        entry.set(fontsize=9, color=canvas.INK, fontfamily=canvas.letters())
    below.bar(
        [(one["low"] + one["high"]) / 2 for one in bins], [one["n"] for one in bins],
        width=[0.9 * (one["high"] - one["low"]) for one in bins], color=canvas.FAINT,
    )  # fmt: skip
    for one in bins:
        below.annotate(
            f"{one['n']:,}", ((one["low"] + one["high"]) / 2, one["n"]), ha="center", va="bottom",
            **canvas.text(7.5, canvas.MUTED),
        )  # fmt: skip
    below.margins(y=0.3)
    below.set_yticks([])
    below.set_ylabel("pictures", **canvas.text(9, canvas.MUTED))
    below.set_xlabel("probability of the predicted class, %", **canvas.text(9, canvas.MUTED))
    for part in (axes, below):
        part.set_facecolor(canvas.PAPER)
        part.spines[["top", "right"]].set_visible(False)
        part.spines[["left", "bottom"]].set_color(canvas.FAINT)
        part.tick_params(colors=canvas.MUTED, labelsize=9, labelfontfamily=canvas.letters()[0], color=canvas.FAINT)
        part.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.grid(color=canvas.LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    return canvas.finish(drawing, colours=64)
