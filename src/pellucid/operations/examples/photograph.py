"""Examples on real pictures: hand-made kernels and dropout."""

from __future__ import annotations

import numpy as np

from pellucid.operations.dropout import dropout as drop
from pellucid.operations.dropout import plain_dropout
from pellucid.operations.examples.panels import chart, grid, line, picture, row, sign, worked
from pellucid.operations.handmade import HANDMADE, apply
from pellucid.records import Figure

RATES = (0.0, 0.1, 0.25, 0.5, 0.75)


def photograph(name: str = "china.jpg") -> np.ndarray:
    """A photograph from scikit-learn, cropped and halved in size: (144, 192, 3), 0 to 255."""
    from sklearn.datasets import load_sample_image

    cut = np.asarray(load_sample_image(name), float)[20:308, 60:444]
    return cut.reshape(144, 2, 192, 2, 3).mean(axis=(1, 3))


def kernels() -> Figure:
    """The photograph, the result of each kernel, and the kernels."""
    grey = photograph() @ [0.299, 0.587, 0.114]
    shown = {name: apply(grey, kernel) for name, kernel in HANDMADE.items()}
    lines = [
        row(
            picture(grey, "the photograph", edge=2.4),
            *(picture(_visible_values(name, shown[name]), name, edge=2.4) for name in names),
        )
        for names in (("blur", "soft blur"),)
    ]
    lines += [
        row(*(picture(_visible_values(name, shown[name]), name, edge=2.4) for name in names))
        for names in (("edges", "vertical edges", "horizontal edges"), ("sharpen", "emboss"))
    ]
    lines[1]["text"] = "Edges: middle grey is 0, brighter is positive, darker negative."
    for names in (("blur", "soft blur", "edges", "vertical edges"), ("horizontal edges", "sharpen", "emboss")):
        of_each = [grid(HANDMADE[name], _sum(name)) for name in names]
        lines.append(row(*(panel for one in of_each for panel in (one, sign(" ")))))
    lines[-1]["text"] = (
        "A kernel with sum 1 keeps the brightness of an even surface; one with sum 0 makes it 0.\n"
        "Values below 0 and above 255 are clipped in the pictures of sharpen and emboss."
    )
    return worked(
        "kernels",
        "Hand-made kernels",
        [r"$y_{i,j} = \sum_{u}\sum_{v}\; k_{u,v}\;\; x_{\,i+u-1,\;j+v-1}$"],
        lines,
    )


def _sum(name: str) -> str:
    return f"{name}: Σ = {HANDMADE[name].sum():.2g}"


def _visible_values(name: str, values: np.ndarray) -> np.ndarray:
    """Values of edge kernels, which have both signs, with 0 as middle grey."""
    return 127.5 + values / 2 if "edges" in name else values


def dropout() -> Figure:
    """Digits at several rates, an example in numbers, and the mean of many draws."""
    from sklearn.datasets import load_digits

    digits = np.asarray(load_digits(return_X_y=True)[0], float).reshape(-1, 8, 8) * (255 / 16)
    generator = np.random.default_rng(0)
    rows = []
    for rate in RATES:
        shown = [plain_dropout(digits[index], rate, generator) for index in (0, 1, 2, 3, 4, 7)]
        panels = [picture(digit, edge=1.0) for digit in shown]
        note = "" if rate < max(RATES) else "Without the division by 1 − p, which would make them brighter."
        rows.append(row(*panels, title=f"p = {rate:g}" + ("" if rate else ": the original digits"), text=note))
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    kept = (drop(np.ones(8), 0.5, np.random.default_rng(6)) > 0).astype(float)
    numbers = row(
        grid(x, "x"),
        sign("·"),
        grid(kept, "d: p = 0.5", plain=True),
        sign("/ 0.5 ="),
        grid(x * kept / 0.5, "y"),
        title="In numbers",
        text=f"Sum of x: {x.sum():g}. Sum of y here: {(x * kept / 0.5).sum():g}; on average, the sum of x.",
    )
    return worked(
        "dropout",
        "Dropout: values are switched off at random during training",
        [r"$y = \frac{x\;d}{1-p}, \qquad d = 0$ with probability $p$, otherwise $1$"],
        [*rows, numbers, _means(x)],
    )


def _means(x: np.ndarray) -> dict:
    """The mean of y over more and more draws approaches x; without the division, (1 − p) x."""
    draws = np.arange(1, 401)
    inverted, plain = np.random.default_rng(1), np.random.default_rng(1)
    of_inverted = np.cumsum([drop(x, 0.5, inverted).sum() for _ in draws]) / draws
    of_plain = np.cumsum([plain_dropout(x, 0.5, plain).sum() for _ in draws]) / draws
    lines = [
        line(draws, of_inverted, "inverted: x·d / (1 − p)"),
        line(draws, of_plain, "plain: x·d", "dashed"),
        line(draws[[0, -1]], [x.sum()] * 2, "Σ x: the sum without dropout", "faint"),
    ]
    return row(
        chart(lines, "Mean of Σ y by number of draws", axes=("draws", "mean of Σ y"), size=(6.2, 2.2)),
        title="Why nothing is scaled at test time",
        text=(
            "Inverted dropout divides by 1 − p during training, so sums are on average as large as without dropout.\n"
            "Plain dropout does not; its weights must be multiplied by 1 − p after training."
        ),
    )
