"""Examples of operations that slide over pictures: convolution, hand-made kernels, pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.operations.convolution import HANDMADE_KERNELS, apply_kernel, convolve
from pellucid.operations.examples.panels import Panel, WorkedExample, grid, picture, row, sign
from pellucid.operations.pooling import average_pool, l2_pool, max_pool
from pellucid.operations.windows import pair

# A bright shape on a dark background; the kernel detects its left edge.
_X = np.array([[0, 0, 2, 2, 2], [0, 1, 2, 2, 1], [0, 2, 2, 1, 0], [0, 2, 2, 1, 0], [0, 1, 2, 2, 1]], float)
_K = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)


def convolution() -> WorkedExample:
    """One window in numbers; then stride, padding, dilation and groups."""
    plain = _convolved("picture x", (0, 1))
    window = _X[0:3, 1:4]
    products = " + ".join(f"{w:g}·{_signed(k)}" for w, k in zip(window.ravel(), _K.ravel(), strict=True) if k)
    text = f"The marked window: {products} = {(window * _K).sum():g}\n{_size(5, 3)}"
    two = np.stack([_X[:3, 1:4], _X[2:5, 1:4]])
    kernels = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]]], float)
    apart = convolve(two[np.newaxis], kernels[:, np.newaxis], groups=2)[0]
    together = convolve(two[np.newaxis], kernels[np.newaxis])[0]
    largest = float(np.abs(np.concatenate([apart, together])).max())
    return WorkedExample(
        "Convolution: a small kernel slides over a picture",
        [
            r"$y_{n,k,i,j} = b_k + \sum_{c}\sum_{u}\sum_{v}\; w_{k,c,u,v}\;\; x_{n,\,c,\;iS+uD-P,\;jS+vD-P}$",
            r"$O = \left\lfloor\frac{W - D(F-1) - 1 + 2P}{S}\right\rfloor + 1$",
        ],
        [
            row(*plain, text=text),
            row(
                *_convolved("the window moves by two", (1, 1), stride=2)[:1],
                sign("→"),
                *_convolved("", (1, 1), stride=2)[-1:],
                sign("  "),
                *_convolved("a frame of zeros", (0, 1), padding=1)[:1],
                sign("→"),
                *_convolved("", (0, 1), padding=1)[-1:],
                title="Stride 2 (left); padding 1 (right)",
                text=f"Left: {_size(5, 3, stride=2)}.   Right: {_size(5, 3, padding=1)}",
            ),
            row(
                *_convolved("every second value", (0, 0), dilation=2),
                title="Dilation 2: the same nine weights reach over 5 × 5",
                text=_size(5, 3, dilation=2),
            ),
            row(
                *_pair(two, kernels),
                sign("="),
                grid(together[0], "Σ of both", largest=largest),
                title="Two channels: the kernel has weights for each channel, and all products are added up",
            ),
            row(
                grid(two[0], "channel 1", largest=2),
                sign("∗"),
                grid(kernels[0], "kernel 1"),
                sign("="),
                grid(apart[0], "map 1", largest=largest),
                sign("  "),
                grid(two[1], "channel 2", largest=2),
                sign("∗"),
                grid(kernels[1], "kernel 2"),
                sign("="),
                grid(apart[1], "map 2", largest=largest),
                title="Groups 2: each kernel sees only the channels of its group",
                text="Convolution in networks does not flip the kernel; in signal processing it does.",
            ),
        ],
    )


def photograph(name: str = "china.jpg") -> np.ndarray:
    """A photograph from scikit-learn, cropped and halved in size: (144, 192, 3), 0 to 255."""
    from sklearn.datasets import load_sample_image

    crop = np.asarray(load_sample_image(name), float)[20:308, 60:444]
    return crop.reshape(144, 2, 192, 2, 3).mean(axis=(1, 3))


def kernels() -> WorkedExample:
    """The photograph, the result of each kernel, and the kernels."""
    grey = photograph() @ [0.299, 0.587, 0.114]
    results = {
        name: picture(_visible_values(name, apply_kernel(grey, kernel)), name, edge=2.4)
        for name, kernel in HANDMADE_KERNELS.items()
    }
    rows = [
        row(picture(grey, "the photograph", edge=2.4), results["blur"], results["soft blur"]),
        row(
            *(results[name] for name in ("edges", "vertical edges", "horizontal edges")),
            text="Edges: middle grey is 0, brighter is positive, darker negative.",
        ),
        row(results["sharpen"], results["emboss"]),
        row(*_kernel_grids("blur", "soft blur", "edges", "vertical edges")),
        row(
            *_kernel_grids("horizontal edges", "sharpen", "emboss"),
            text=(
                "A kernel with sum 1 keeps the brightness of an even surface; one with sum 0 makes it 0.\n"
                "Values below 0 and above 255 are clipped in the pictures of sharpen and emboss."
            ),
        ),
    ]
    return WorkedExample(
        "Hand-made kernels",
        [r"$y_{i,j} = \sum_{u}\sum_{v}\; k_{u,v}\;\; x_{\,i+u-1,\;j+v-1}$"],
        rows,
    )


def _kernel_grids(*names: str) -> list[Panel]:
    panels = []
    for name in names:
        kernel = HANDMADE_KERNELS[name]
        panels += [grid(kernel, f"{name}: Σ = {kernel.sum():.2g}"), sign(" ")]
    return panels


def _visible_values(name: str, values: np.ndarray) -> np.ndarray:
    """Values of edge kernels, which have both signs, with 0 as middle grey."""
    return 127.5 + values / 2 if "edges" in name else values


def max_pooling() -> WorkedExample:
    """Max pooling of full and partial windows, with dilation, and on a photograph."""
    return _pooling("Max pooling: the maximum of each window", max_pool, _max_text, _MAX_TEX)


def average_pooling() -> WorkedExample:
    """The same examples for average pooling."""
    title = "Average pooling: the mean of each window"
    return _pooling(title, average_pool, _mean_text, _MEAN_TEX)


def l2_pooling() -> WorkedExample:
    """The same examples for L2 pooling."""
    return _pooling("L2 pooling: the Euclidean norm of each window", l2_pool, _length_text, _LENGTH_TEX)


_MAX_TEX = r"$y_{n,c,i,j} = \max_{u,v}\; x_{n,\,c,\;iS+uD-P,\;jS+vD-P}$"
_MEAN_TEX = r"$y_{n,c,i,j} = \frac{1}{F^2}\sum_{u}\sum_{v}\; x_{n,\,c,\;iS+uD-P,\;jS+vD-P}$"
_LENGTH_TEX = r"$y_{n,c,i,j} = \sqrt{\sum_{u}\sum_{v}\; x_{n,\,c,\;iS+uD,\;jS+vD}^{\,2}}$"


def _max_text(window: np.ndarray) -> str:
    return f"max({', '.join(f'{w:g}' for w in window.ravel())}) = {window.max():g}"


def _mean_text(window: np.ndarray) -> str:
    return f"({' + '.join(f'{w:g}' for w in window.ravel())}) / {window.size} = {window.mean():g}"


def _length_text(window: np.ndarray) -> str:
    return f"√({' + '.join(f'{w:g}²' for w in window.ravel())}) = {np.sqrt((window**2).sum()):.3g}"


def _pooling(
    title: str, pool: Callable[..., np.ndarray], describe: Callable[[np.ndarray], str], tex: str
) -> WorkedExample:
    x = np.array([[1, 3, 2, 0, 5], [4, 2, 1, 1, 3], [0, 1, 6, 2, 1], [2, 2, 3, 8, 0], [1, 7, 2, 4, 9]], float)
    first = _cells((0, 0), 2, 1)
    whole = _pooled(pool, x, 2)
    spread = _pooled(pool, x, 2, stride=1, dilation=2)
    left_over = [(i, j) for i in range(5) for j in range(5) if 4 in (i, j)]
    edge: list[Panel] = [
        grid(x, "5 × 5: one row and column are left over", faint=left_over, marked=_cells((2, 2), 2, 1)),
        sign("→"),
        grid(whole, "windows that fit", marked=[(1, 1)], largest=9),
    ]
    partial = "The rest at the right and lower edge is ignored: ⌊(5 − 2) / 2⌋ + 1 = 2."
    if pool is not l2_pool:
        edge += [sign("or"), grid(_pooled(pool, x, 2, partial=True), "with partial windows", largest=9)]
        partial += " With partial windows: ⌈(5 − 2) / 2⌉ + 1 = 3."
    photo = photograph()[:, :, 1]
    small = [(s, _pooled(pool, photo, s)) for s in (4, 8)]
    shown = [
        picture(_brightness(pooled, photo), f"window {s}: {pooled.shape[0]} × {pooled.shape[1]}", edge=2.2)
        for s, pooled in small
    ]
    return WorkedExample(
        title,
        [tex],
        [
            row(
                grid(x[:4, :4], "map x, 4 × 4", marked=first, largest=9),
                sign("→"),
                grid(_pooled(pool, x[:4, :4], 2), "window 2, stride 2", marked=[(0, 0)], largest=9),
                text=f"The marked window: {describe(x[:2, :2])}. Each side is halved; a quarter of the values remain.",
            ),
            row(*edge, title="The right edge", text=partial),
            row(
                grid(x, "every second value", marked=_cells((0, 0), 2, 2), largest=9),
                sign("→"),
                grid(spread, "3 × 3", marked=[(0, 0)], largest=9),
                title="Dilation 2, stride 1: four values out of 3 × 3",
                text=f"The marked window: {describe(x[0:3:2, 0:3:2])}.   O = ⌊(5 − 2·1 − 1) / 1⌋ + 1 = 3",
            ),
            row(
                picture(photo, f"{photo.shape[0]} × {photo.shape[1]} pixels", edge=2.2),
                *shown,
                title="On a photograph",
                text="" if pool is not l2_pool else "Divided by the side of the window, so that the brightness stays.",
            ),
        ],
    )


def _brightness(pooled: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Scales norms, which grow with the window, back to the brightness of the photo."""
    return pooled / (photo.shape[0] // pooled.shape[0]) if pooled.max() > 255 else pooled


def _pooled(pool: Callable[..., np.ndarray], x: np.ndarray, size: int, **more: Any) -> np.ndarray:
    return pool(np.asarray(x, float)[np.newaxis, np.newaxis], size, **more)[0, 0]


def _convolved(
    title: str, position: tuple[int, int], *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> list[Panel]:
    """Picture ∗ kernel = map, with the window of one output position marked."""
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    y = convolve(_X[np.newaxis, np.newaxis], _K[np.newaxis, np.newaxis], **how)[0, 0]
    around = np.pad(_X, padding)
    frame = [(i, j) for i in range(len(around)) for j in range(len(around)) if not _inside(i, j, padding)]
    at = pair(position)
    marked = _cells((at[0] * stride, at[1] * stride), 3, dilation)
    return [
        grid(around, title, marked=marked, faint=frame),
        sign("∗"),
        grid(_K, "kernel w"),
        sign("="),
        grid(y, f"map y, {len(y)} × {len(y)}", marked=[position], largest=8),
    ]


def _pair(two: np.ndarray, kernels: np.ndarray) -> list[Panel]:
    return [
        grid(two[0], "channel 1", largest=2),
        sign("∗"),
        grid(kernels[0], "kernel, channel 1"),
        sign("+"),
        grid(two[1], "channel 2", largest=2),
        sign("∗"),
        grid(kernels[1], "kernel, channel 2"),
    ]


def _inside(i: int, j: int, padding: int) -> bool:
    return padding <= i < 5 + padding and padding <= j < 5 + padding


def _cells(corner: tuple[int, int], size: int, dilation: int) -> list[tuple[int, int]]:
    """The cells of a window."""
    return [(corner[0] + dilation * u, corner[1] + dilation * v) for u in range(size) for v in range(size)]


def _size(w: int, f: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> str:
    o = (w - dilation * (f - 1) - 1 + 2 * padding) // stride + 1
    return f"O = ⌊({w} − {dilation}·{f - 1} − 1 + 2·{padding}) / {stride}⌋ + 1 = {o}"


def _signed(value: float) -> str:
    return f"(−{-value:g})" if value < 0 else f"{value:g}"
