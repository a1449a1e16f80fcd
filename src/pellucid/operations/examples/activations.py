"""Examples as curves: activations with their derivatives, and signals in deep networks."""

from __future__ import annotations

import numpy as np

from pellucid.operations.activations import ACTIVATIONS
from pellucid.operations.examples.panels import WorkedExample, chart, grid, line, row
from pellucid.operations.initialisation import INITIALISATIONS

_WIDTH, _DEPTH = 128, 12


def activations() -> WorkedExample:
    """Each activation with its derivative, and a table of both."""
    x = np.linspace(-4, 4, 161)
    charts = [
        chart(
            [line(x, activation.function(x), "h(x)"), line(x, activation.derivative(x), "h′(x)", "dashed")],
            name,
            size=(2.05, 1.6),
            limits=(-4, 4, -1.3, 3.2),
        )
        for name, activation in ACTIVATIONS.items()
    ]
    at = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    names = list(ACTIVATIONS)
    heads = (names, [f"x = {value:g}".replace("-", "−") for value in at])
    return WorkedExample(
        "Activations (solid) and their derivatives (dashed)",
        [
            (
                r"$\mathrm{relu}(x) = \max(0, x) \qquad \sigma(x) = \frac{1}{1+e^{-x}} \qquad "
                r"\tanh(x) = \frac{e^x-e^{-x}}{e^x+e^{-x}}$"
            ),
            (
                r"$\mathrm{softplus}(x) = \ln(1+e^x) \qquad \mathrm{gelu}(x) = x\,\Phi(x) \qquad"
                r"\mathrm{silu}(x) = x\,\sigma(x)$"
            ),
        ],
        [
            row(*charts[:4]),
            row(
                *charts[4:],
                text="A unit does not learn if its derivative is near 0, as at both ends of sigmoid and tanh.",
            ),
            row(
                grid([ACTIVATIONS[name].function(at) for name in names], "h(x)", heads=heads),
                grid([ACTIVATIONS[name].derivative(at) for name in names], "h′(x)", heads=((), heads[1])),
                text="ReLU has no derivative at 0; 0 is used there.",
            ),
        ],
    )


def initialisation() -> WorkedExample:
    """The standard deviation after each of twelve layers, for two activations."""
    names = ["kaiming-normal", "xavier-normal", "torch-default"]
    charts, tables = [], []
    for kind in ("tanh", "relu"):
        spreads = {name: _spreads(name, kind) for name in names}
        lines = [
            line(np.arange(_DEPTH + 1), spread, name, style)
            for (name, spread), style in zip(spreads.items(), ("solid", "dashed", "faint"), strict=True)
        ]
        title = f"{kind} after each layer"
        axes = ("layer", "standard deviation")
        charts.append(chart(lines, title, axes=axes, size=(3.3, 2.5), logarithmic=True))
        heads = (names if kind == "tanh" else (), [f"layer {depth}" for depth in (1, 4, 12)])
        tables.append(grid([[spreads[name][depth] for depth in (1, 4, 12)] for name in names], kind, heads=heads))
    return WorkedExample(
        "Initialisation: the variance of initial weights",
        [
            (
                r"Xavier: $\mathrm{Var}(w) = \frac{2}{\mathrm{fan\ in}+\mathrm{fan\ out}}\qquad$"
                r"He: $\mathrm{Var}(w) = \frac{2}{\mathrm{fan\ in}}$"
            ),
            (
                r"LeCun: $\mathrm{Var}(w) = \frac{1}{\mathrm{fan\ in}}\qquad$"
                r"torch's layers: $\mathrm{Var}(w) = \frac{1}{3\;\mathrm{fan\ in}}$"
            ),
        ],
        [
            row(*charts),
            row(
                *tables,
                text=(
                    f"{_DEPTH} layers of {_WIDTH} units, 256 inputs with standard deviation 1, one weight draw. "
                    "Fan in and fan out are equal here, so Xavier equals LeCun.\n"
                    "He keeps the size of the signal in ReLU layers, although half of the values become 0. "
                    "Xavier assumes tanh near 0, where its slope is 1; for larger values the signal shrinks a little.\n"
                    "torch's default has a third of LeCun's variance, so signals vanish in deep networks "
                    "without normalisation. With zeros, all units of a layer would stay equal."
                ),
            ),
        ],
    )


def _spreads(name: str, kind: str) -> list[float]:
    """The standard deviation of the inputs and of each layer's output."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(256, _WIDTH))
    spreads = [x.std()]
    for _ in range(_DEPTH):
        x = ACTIVATIONS[kind].function(x @ INITIALISATIONS[name]((_WIDTH, _WIDTH), generator).T)
        spreads.append(x.std())
    return spreads
