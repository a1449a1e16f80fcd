"""Examples of losses: one-hot vectors, softmax, cross-entropy, squared error, hinge."""

from __future__ import annotations

import numpy as np

from pellucid.operations import losses
from pellucid.operations.examples.panels import WorkedExample, bars, chart, grid, line, row, sign

_CLASSES = ("cat", "dog", "owl")
_Z = np.array([[2.0, 1.0, -1.0]])


def one_hot() -> WorkedExample:
    """Four labels as one-hot vectors."""
    labels = np.array([4, 0, 9, 4])
    columns = [str(k) for k in range(10)]
    return WorkedExample(
        "One-hot vectors: a label as a row of zeros with a one",
        [r"$t_{n,k} = 1$ where $k = $ label $n$, otherwise $0$"],
        [
            row(
                grid(labels[:, np.newaxis], "labels", plain=True),
                sign("→"),
                grid(losses.one_hot(labels, 10), "t", heads=((), columns)),
                text=(
                    "Each row is a distribution with all probability on one class; it sums to 1.\n"
                    "A label is a name, not a quantity: class 9 is not more than class 4, nor nearer to 8 than to 0."
                ),
            )
        ],
    )


def softmax() -> WorkedExample:
    """Three logits, the same logits shifted and scaled, and the mistake of leaving out exp."""
    p = losses.softmax(_Z)[0]
    powers = np.exp(_Z[0])
    moved = losses.softmax(_Z + 1000)[0]
    heats = (0.5, 1.0, 3.0)
    colder = [losses.softmax(_Z / heat)[0] for heat in heats]
    return WorkedExample(
        "Softmax: logits become probabilities",
        [r"$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} = \frac{e^{z_k - \max z}}{\sum_j e^{z_j - \max z}}$"],
        [
            row(
                grid(_Z, "logits z", heads=((), _CLASSES)),
                sign("→"),
                grid(powers, "exp(z)", heads=((), _CLASSES)),
                sign("→"),
                grid(p, "p", heads=((), _CLASSES)),
                text=(
                    f"exp(2) / ({powers[0]:.3f} + {powers[1]:.3f} + {powers[2]:.3f}) = {p[0]:.3f}.   "
                    f"Sum: {p[0]:.3f} + {p[1]:.3f} + {p[2]:.3f} = {p.sum():.3f}"
                ),
            ),
            row(
                grid(_Z + 1000, "z + 1000", heads=((), _CLASSES)),
                sign("→"),
                grid(moved, "p: the same", heads=((), _CLASSES)),
                title="Only differences count, so the largest logit is subtracted first and nothing overflows",
                text="exp(1002) is too large for a computer; exp(1002 − 1002) = 1 is not.",
            ),
            row(
                *(
                    bars(probabilities, _CLASSES, f"softmax(z / {heat:g})", highest=1)
                    for probabilities, heat in zip(colder, heats, strict=True)
                ),
                title="The same logits scaled: more or less confident, in the same order",
            ),
            row(
                grid(_Z / _Z.sum(), "z / Σ z", heads=((), _CLASSES)),
                title="Without exp it is not a softmax",
                text="Logits may be negative and their sum may be 0, so these are not probabilities.",
            ),
        ],
    )


def cross_entropy() -> WorkedExample:
    """One picture in numbers, and the loss as a curve."""
    label = np.array([1])
    p = losses.softmax(_Z)[0]
    loss = losses.cross_entropy(_Z, label)
    gradient = losses.cross_entropy_gradient(_Z, label)
    share = np.linspace(0.005, 1, 120)
    points = np.array([0.8, p[1], 0.1])
    return WorkedExample(
        "Cross-entropy: the negative log-probability of the right class",
        [
            (
                r"$L = -\frac{1}{N}\sum_{n}\sum_{k} t_{n,k}\,\ln p_{n,k}, \quad p = \mathrm{softmax}(z)$"
                r"$\qquad \frac{\partial L}{\partial z} = \frac{p - t}{N}$"
            )
        ],
        [
            row(
                grid(_Z, "logits z", heads=((), _CLASSES)),
                sign("→"),
                grid(p, "p = softmax(z)", heads=((), _CLASSES), marked=[(0, 1)]),
                sign(" "),
                grid(losses.one_hot(label, 3), "t: it is a dog", heads=((), _CLASSES)),
                text=f"L = −ln {p[1]:.3f} = {loss:.3f}: only the probability of the right class counts.",
            ),
            row(
                grid(gradient, "∂L/∂z = p − t", heads=((), _CLASSES)),
                title="The gradient: predicted probabilities minus targets",
                text="A descent step raises the right logit, and lowers each other logit by its probability.",
            ),
            row(
                chart(
                    [line(share, -np.log(share), "−ln p"), line(points, -np.log(points), "", "dots")],
                    "The loss by the probability of the right class",
                    axes=("p of the right class", "loss, nats"),
                    size=(6.4, 2.3),
                ),
                text=(
                    f"Confident and right costs little: −ln 0.8 = {-np.log(0.8):.3f}. Confident and wrong costs a lot: "
                    f"−ln 0.1 = {-np.log(0.1):.3f}.\n"
                    "The loss takes logits and includes the softmax. A network must not end with its own softmax."
                ),
            ),
        ],
    )


def squared_error() -> WorkedExample:
    """One picture in numbers, and squared error beside cross-entropy for one output."""
    z, t = np.array([[0.9, 0.4, -0.3]]), losses.one_hot(np.array([0]), 3)
    gradient = losses.squared_error_gradient(z, t)
    x = np.linspace(-6, 6, 121)
    s = 1 / (1 + np.exp(-x))
    return WorkedExample(
        "Squared error: the mean of squared distances",
        [
            (
                r"$L = \frac{1}{N K}\sum_{n}\sum_{k}\,(z_{n,k}-t_{n,k})^2 \qquad"
                r"\frac{\partial L}{\partial z} = \frac{2\,(z-t)}{N K}$"
            )
        ],
        [
            row(
                grid(z, "outputs z", heads=((), _CLASSES)),
                sign("−"),
                grid(t, "t: it is a cat", heads=((), _CLASSES)),
                sign("="),
                grid(z - t, "distance", heads=((), _CLASSES)),
                sign("→"),
                grid(gradient, "∂L/∂z", heads=((), _CLASSES)),
                text=f"L = (0.1² + 0.4² + 0.3²) / 3 = {losses.squared_error(z, t):.4f}",
            ),
            row(
                chart(
                    [line(x, (s - 1) ** 2, "squared error"), line(x, -np.log(s), "cross-entropy", "dashed")],
                    "The loss of a sigmoid unit that should say 1",
                    axes=("z", "loss"),
                    size=(3.3, 2.2),
                    limits=(-6, 6, 0, 6),
                ),
                chart(
                    [line(x, 2 * (s - 1) * s * (1 - s), "squared error"), line(x, s - 1, "cross-entropy", "dashed")],
                    "Its slope ∂L/∂z",
                    axes=("z", "slope"),
                    size=(3.3, 2.2),
                ),
                title="Why classifiers rarely use it",
                text="At z = −6 a sigmoid is flat, so squared error learns nothing there; cross-entropy does.",
            ),
        ],
    )


def hinge() -> WorkedExample:
    """One picture in numbers, and the loss as a curve."""
    label = np.array([1])
    z = np.array([[1.5, 2.0, -1.0]])
    lead = np.linspace(-2, 3, 101)
    return WorkedExample(
        "Hinge loss: the right logit should lead each other by a margin",
        [r"$L = \frac{1}{N K}\sum_{n}\sum_{k\neq y_n}\max(0,\; m - z_{n,y_n} + z_{n,k}), \qquad m = 1$"],
        [
            row(
                grid(z, "logits z; it is a dog", heads=((), _CLASSES), marked=[(0, 1)]),
                sign("→"),
                grid(np.maximum(0, 1 - z[:, 1:2] + z) * [1, 0, 1], "inside the margin", heads=((), _CLASSES)),
                sign("→"),
                grid(losses.hinge_gradient(z, label), "∂L/∂z", heads=((), _CLASSES)),
                text=(
                    f"cat: max(0, 1 − 2 + 1.5) = 0.5;  owl: max(0, 1 − 2 − 1) = 0.  "
                    f"L = 0.5 / 3 = {losses.hinge(z, label):.3f}\n"
                    "The prediction is right, but there is a loss: the lead over cat is 0.5 and should be 1."
                ),
            ),
            row(
                chart(
                    [
                        line(lead, np.maximum(0, 1 - lead), "hinge"),
                        line(lead, np.log1p(np.exp(-lead)), "cross-entropy of two classes", "dashed"),
                    ],
                    "The loss by the lead of the right logit",
                    axes=("z of the right class − z of the other", "loss"),
                    size=(6.4, 2.3),
                ),
                text="Beyond the margin the loss is 0. It is the loss of an SVM; its logits give no probabilities.",
            ),
        ],
    )
