"""Examples of layers: dense, batch normalisation, dropout."""

from __future__ import annotations

import numpy as np

from pellucid.operations.dense import dense as weigh
from pellucid.operations.dropout import dropout as inverted_dropout
from pellucid.operations.dropout import plain_dropout
from pellucid.operations.examples.panels import WorkedExample, chart, grid, line, picture, row, sign
from pellucid.operations.normalisation import BatchNormalisation

_DROPOUT_RATES = (0.0, 0.1, 0.25, 0.5, 0.75)


def dense() -> WorkedExample:
    """A dense layer with a batch of two, three inputs and two outputs."""
    x = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    weights = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
    bias = np.array([0.1, -0.2])
    y = weigh(x, weights, bias)
    sums = " + ".join(f"{a:g}·{_bracketed(b)}" for a, b in zip(x[0], weights[0], strict=True))
    two_layers = weigh(weigh(x, weights, bias), np.array([[1.0, 2.0]]), np.array([0.3]))
    one_layer = weigh(x, np.array([[1.0, 2.0]]) @ weights, np.array([[1.0, 2.0]]) @ bias + 0.3)
    return WorkedExample(
        "A dense layer: every output sees every input",
        [r"$y = x\,W^{\top} + b \qquad y_{n,k} = b_k + \sum_{d} W_{k,d}\; x_{n,d}$"],
        [
            row(
                grid(x, "x: 2 pictures, 3 values each", marked=[(0, 0), (0, 1), (0, 2)]),
                sign("·"),
                grid(weights.T, "Wᵀ", marked=[(0, 0), (1, 0), (2, 0)]),
                sign("+"),
                grid(bias, "b"),
                sign("="),
                grid(y, "y", marked=[(0, 0)]),
                text=f"The marked value: {sums} + {bias[0]:g} = {y[0, 0]:.3g}",
            ),
            row(
                grid(two_layers, "two layers in a row"),
                sign("="),
                grid(one_layer, "one layer with W₂W₁"),
                title="Without an activation between them, two dense layers equal one",
                text="(x W₁ᵀ + b₁) W₂ᵀ + b₂ = x (W₂ W₁)ᵀ + (W₂ b₁ + b₂), here with W₂ = [1 2] and b₂ = 0.3.",
            ),
        ],
    )


def batch_normalisation() -> WorkedExample:
    """Batch normalisation of a batch of four, three channels before and after, and the running statistics."""
    x = np.array([[1.0, 50.0], [3.0, 52.0], [5.0, 58.0], [7.0, 60.0]])
    layer = BatchNormalisation.of(2)
    normal = layer.train(x)
    layer.scale, layer.shift = np.array([2.0, 0.5]), np.array([1.0, -1.0])
    scaled = layer.train(x)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    return WorkedExample(
        "Batch normalisation: mean 0, variance 1, then scale and shift",
        [
            (
                r"training: $\;\hat{x} = \frac{x-\mu_B}{\sqrt{\sigma_B^2+\varepsilon}},\;\; y = \gamma\,\hat{x}+\beta,"
                r"\;\;\mu \leftarrow (1-\alpha)\,\mu + \alpha\,\mu_B,\quad"
                r"\sigma^2 \leftarrow (1-\alpha)\,\sigma^2 + \alpha\,\frac{m}{m-1}\,\sigma_B^2$"
            ),
            r"inference: $\;\hat{x} = \frac{x-\mu}{\sqrt{\sigma^2+\varepsilon}},\quad y = \gamma\,\hat{x}+\beta$",
        ],
        [
            row(
                grid(x, "x: 4 pictures, 2 channels"),
                sign("→"),
                grid(normal, "x̂"),
                sign("→"),
                grid(scaled, "y, γ = (2, ½), β = (1, −1)"),
                title="Training: statistics of the batch",
                text=(
                    f"μ_B = ({mean[0]:g}, {mean[1]:g}),  σ²_B = ({variance[0]:g}, {variance[1]:g}).  First value: "
                    f"(1 − {mean[0]:g}) / √{variance[0]:g} = {normal[0, 0]:.3g}, and 2 · ({normal[0, 0]:.3g}) + 1 = "
                    f"{scaled[0, 0]:.3g}\n"
                    "A bias in the layer before would be subtracted again with μ_B, so that layer needs none.\n"
                    "The layer after does: β gives its inputs a mean other than 0."
                ),
            ),
            _before_and_after(),
            _running_statistics(),
        ],
    )


def _before_and_after() -> dict:
    generator = np.random.default_rng(0)
    x = generator.normal([-2.0, 1.0, 4.0], [0.5, 2.0, 1.0], (4000, 3))
    y = BatchNormalisation.of(3).train(x)
    charts = []
    for values, title in ((x, "before: three channels"), (y, "after, with γ = 1 and β = 0")):
        edges = np.linspace(-6, 8, 57)
        middles = (edges[:-1] + edges[1:]) / 2
        styles = zip(range(3), ("solid", "dashed", "faint"), strict=True)
        lines = [
            line(middles, np.histogram(values[:, c], edges, density=True)[0], f"channel {c + 1}", style)
            for c, style in styles
        ]
        charts.append(chart(lines, title, axes=("value", "density"), size=(3.3, 1.9), limits=(-6, 8, 0, 0.9)))
    return row(*charts, title="Channels with different means and variances (4,000 values each)")


def _running_statistics() -> dict:
    generator = np.random.default_rng(1)
    layer = BatchNormalisation.of(1)
    means, variances = [float(layer.running_mean[0])], [float(layer.running_variance[0])]
    for _ in range(60):
        layer.train(generator.normal(3, 2, (32, 1)))
        means.append(float(layer.running_mean[0]))
        variances.append(float(layer.running_variance[0]))
    steps = np.arange(61)
    lines = [
        line(steps, means, "μ, towards 3"),
        line(steps, variances, "σ², towards 4", "dashed"),
        line([0, 60], [3, 3], "", "faint"),
        line([0, 60], [4, 4], "", "faint"),
    ]
    return row(
        chart(lines, axes=("batch of 32", "running statistics"), size=(6.9, 1.9)),
        title="Evaluation: running statistics from training (α = 0.1)",
        text="So the output of a picture does not depend on the other pictures of its batch.",
    )


def dropout() -> WorkedExample:
    """Digits at several rates, an example in numbers, and the mean of many draws."""
    from sklearn.datasets import load_digits

    digits = np.asarray(load_digits(return_X_y=True)[0], float).reshape(-1, 8, 8) * (255 / 16)
    generator = np.random.default_rng(0)
    rows = []
    for rate in _DROPOUT_RATES:
        shown = [plain_dropout(digits[index], rate, generator) for index in (0, 1, 2, 3, 4, 7)]
        panels = [picture(digit, edge=1.0) for digit in shown]
        note = "" if rate < max(_DROPOUT_RATES) else "Without the division by 1 − p, which would make them brighter."
        rows.append(row(*panels, title=f"p = {rate:g}" + ("" if rate else ": the original digits"), text=note))
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    mask = (inverted_dropout(np.ones(8), 0.5, np.random.default_rng(6)) > 0).astype(float)
    numbers = row(
        grid(x, "x"),
        sign("·"),
        grid(mask, "d: p = 0.5", plain=True),
        sign("/ 0.5 ="),
        grid(x * mask / 0.5, "y"),
        title="In numbers",
        text=f"Sum of x: {x.sum():g}. Sum of y here: {(x * mask / 0.5).sum():g}; on average, the sum of x.",
    )
    return WorkedExample(
        "Dropout: values are switched off at random during training",
        [r"$y = \frac{x\;d}{1-p}, \qquad d = 0$ with probability $p$, otherwise $1$"],
        [*rows, numbers, _means(x)],
    )


def _means(x: np.ndarray) -> dict:
    """The mean of y over more and more draws approaches x; without the division, (1 − p) x."""
    draws = np.arange(1, 401)
    inverted, plain = np.random.default_rng(1), np.random.default_rng(1)
    of_inverted = np.cumsum([inverted_dropout(x, 0.5, inverted).sum() for _ in draws]) / draws
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


def _bracketed(value: float) -> str:
    return f"(−{-value:g})" if value < 0 else f"{value:g}"
