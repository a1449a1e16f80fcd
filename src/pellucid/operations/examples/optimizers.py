"""Examples step by step: the perceptron rule and the optimisers."""

from __future__ import annotations

import numpy as np

from pellucid.operations import optimizers
from pellucid.operations.examples.panels import WorkedExample, chart, grid, levels, line, row
from pellucid.operations.perceptron import learn, perceptron_step


def perceptron() -> WorkedExample:
    """The logical AND, correction by correction, and XOR, which no line separates."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    targets = np.array([0, 0, 0, 1])
    weights, bias = np.zeros(2), 0.0
    charts, table = [], []
    while True:
        before = len(table)
        for example, target in zip(x, targets, strict=True):
            moved, shifted = perceptron_step(example, int(target), weights, bias)
            if shifted != bias:
                weights, bias = moved, shifted
                table.append([*example, target, 1 - target, *weights, bias])
                charts.append(_plane(x, targets, weights, bias, len(table)))
        if len(table) == before:
            break
    *_, mistakes = learn(x, np.array([0, 1, 1, 0]), 12)
    kept = [*charts[:3], charts[-1]]
    heads = ([f"correction {i + 1}" for i in range(len(table))], ["x₁", "x₂", "t", "o", "w₁", "w₂", "b"])
    return WorkedExample(
        "The perceptron: a threshold unit that corrects its mistakes",
        [
            (
                r"$o = 1$ where $w\cdot x + b \geq 0$, otherwise $0$"
                r"$\qquad w \leftarrow w + \eta\,(t-o)\,x \qquad b \leftarrow b + \eta\,(t-o)$"
            )
        ],
        [
            row(
                *kept,
                title="Learning AND: it should fire for dots and not for crosses; it fires on the side of the arrow",
                text="The first three corrections and the last. A right output changes nothing. w = 0 has no line.",
            ),
            row(grid(table, "after each correction", heads=heads), text="The bias replaces the threshold."),
            row(
                chart(
                    [line(np.arange(1, len(mistakes) + 1), mistakes, "mistakes of 4", "path")],
                    "XOR, epoch by epoch",
                    axes=("epoch", "mistakes"),
                    size=(6.6, 1.6),
                    limits=(0.5, 12.5, 0, 4.3),
                ),
                title="XOR: no line separates the classes, so the rule never converges",
            ),
        ],
    )


def _plane(x: np.ndarray, targets: np.ndarray, weights: np.ndarray, bias: float, number: int) -> dict:
    """The four points and the line w·x + b = 0."""
    fire, quiet = x[targets == 1], x[targets == 0]
    lines = [line(fire[:, 0], fire[:, 1], "", "dots"), line(quiet[:, 0], quiet[:, 1], "", "crosses")]
    if weights.any():
        foot = -bias * weights / (weights @ weights)
        along = np.array([-weights[1], weights[0]]) / np.linalg.norm(weights)
        ends = np.array([foot - 4 * along, foot + 4 * along])
        into = np.array([foot, foot + 0.35 * weights / np.linalg.norm(weights)])
        lines += [line(ends[:, 0], ends[:, 1]), line(into[:, 0], into[:, 1], "", "arrow")]
    caption = f"{number}: w = ({weights[0]:g}, {weights[1]:g}), b = {bias:g}".replace("-", "−")
    return chart(lines, caption, size=(1.75, 1.75), limits=(-0.6, 1.9, -0.6, 1.9))


def sgd() -> WorkedExample:
    """SGD with a good, a small and a large learning rate."""
    return _downhill(
        "Stochastic gradient descent: a step against the gradient",
        [r"$w \leftarrow w - \eta\,g, \qquad g = \frac{\partial L}{\partial w}$ at the current $w$"],
        {"η = 0.15": optimizers.SGD(0.15), "η = 0.02": optimizers.SGD(0.02), "η = 0.195": optimizers.SGD(0.195)},
        "In the steep direction the learning rate must be below 0.2; in the flat one it could be almost 2.",
    )


def momentum() -> WorkedExample:
    """Momentum beside SGD with the same learning rate."""
    return _downhill(
        "Momentum: like a rolling ball",
        [r"$v \leftarrow \mu\,v + g \qquad w \leftarrow w - \eta\,v$"],
        {
            "momentum, η = 0.03, μ = 0.8": optimizers.Momentum(0.03, 0.8),
            "Nesterov, the same": optimizers.Momentum(0.03, 0.8, nesterov=True),
            "SGD, η = 0.03": optimizers.SGD(0.03),
        },
        "Along the valley the steps add up to 1 / (1 − μ) = 5 times their length; across it they cancel.",
    )


def adagrad() -> WorkedExample:
    """Adagrad beside SGD."""
    return _downhill(
        "Adagrad: a learning rate for each weight, which only shrinks",
        [r"$s \leftarrow s + g^2 \qquad w \leftarrow w - \eta\,\frac{g}{\sqrt{s}+\varepsilon}$"],
        {"Adagrad, η = 1": optimizers.Adagrad(1.0), "SGD, η = 0.1": optimizers.SGD(0.1)},
        "The first step has length η in each direction, however steep, so Adagrad goes straight and SGD zigzags.",
    )


def rmsprop() -> WorkedExample:
    """RMSProp beside Adagrad and SGD."""
    return _downhill(
        "RMSProp: a learning rate for each weight, from its recent gradients",
        [r"$s \leftarrow \alpha\,s + (1-\alpha)\,g^2 \qquad w \leftarrow w - \eta\,\frac{g}{\sqrt{s}+\varepsilon}$"],
        {
            "RMSProp, η = 0.2, α = 0.9": optimizers.RMSProp(0.2, 0.9),
            "Adagrad, η = 0.2": optimizers.Adagrad(0.2),
            "SGD, η = 0.1": optimizers.SGD(0.1),
        },
        "It forgets old gradients, so it does not slow down like Adagrad with the same learning rate.",
    )


def adam() -> WorkedExample:
    """Adam beside RMSProp and SGD."""
    return _downhill(
        "Adam: momentum and RMSProp together, corrected at the start",
        [
            r"$m \leftarrow \beta_1 m + (1-\beta_1)\,g \qquad s \leftarrow \beta_2 s + (1-\beta_2)\,g^2$",
            (
                r"$w \leftarrow w - \eta\,\frac{\hat{m}}{\sqrt{\hat{s}}+\varepsilon}, \qquad"
                r"\hat{m} = \frac{m}{1-\beta_1^{\,t}},\quad \hat{s} = \frac{s}{1-\beta_2^{\,t}}$"
            ),
        ],
        {
            "Adam, η = 0.3": optimizers.Adam(0.3),
            "RMSProp, η = 0.2, α = 0.9": optimizers.RMSProp(0.2, 0.9),
            "SGD, η = 0.1": optimizers.SGD(0.1),
        },
        "Its first step has length η in each direction, for any gradient: m̂ / √ŝ = g / |g|.",
    )


_STEPS = 40
_START = np.array([-4.0, 1.5])
_BEND = np.array([1.0, 10.0])


def _downhill(title: str, tex: list[str], ways: dict[str, optimizers.Optimizer], text: str) -> WorkedExample:
    """Paths on L = (w₁² + 10 w₂²) / 2, the loss along them, and the first steps of the first path in numbers."""
    paths = {label: _path(way) for label, way in ways.items()}
    styles = ("path", "faint path", "dashed path")
    routes = [
        line(path[:, 0], path[:, 1], label, style) for (label, path), style in zip(paths.items(), styles, strict=False)
    ]
    fall = [
        line(np.arange(_STEPS + 1), _loss(path), label, style)
        for (label, path), style in zip(paths.items(), styles, strict=False)
    ]
    x, y = np.linspace(-5, 2, 57), np.linspace(-2, 2, 41)
    heights = (_BEND[0] * x[np.newaxis] ** 2 + _BEND[1] * y[:, np.newaxis] ** 2) / 2
    first = next(iter(paths.values()))
    table = [[*w, *(_BEND * w), _loss(w[np.newaxis])[0]] for w in first[:6]]
    heads = ([f"step {i}" for i in range(6)], ["w₁", "w₂", "g₁", "g₂", "L"])
    return WorkedExample(
        title,
        tex,
        [
            row(
                chart(
                    routes,
                    "From (−4, 1.5) towards the lowest point (0, 0)",
                    axes=("w₁", "w₂"),
                    size=(6.9, 3.0),
                    contours=levels(x, y, heights),
                    limits=(-5, 2, -2, 2),
                ),
                title="A long valley: L = (w₁² + 10 w₂²) / 2, so g = (w₁, 10 w₂)",
                text=text,
            ),
            row(
                grid(table, next(iter(paths)), heads=heads, plain=True),
                chart(
                    fall,
                    "The loss after each step, in the colours of the paths",
                    axes=("step", "L"),
                    size=(3.2, 2.0),
                    logarithmic=True,
                    named=False,  # names would overlap the lines
                ),
            ),
        ],
    )


def _path(way: optimizers.Optimizer) -> np.ndarray:
    """The weights after each step: (steps + 1, 2)."""
    w = _START
    points = [w]
    for _ in range(_STEPS):
        w = way.step(w, _BEND * w)
        points.append(w)
    return np.array(points)


def _loss(path: np.ndarray) -> np.ndarray:
    return (_BEND * path**2).sum(axis=1) / 2
