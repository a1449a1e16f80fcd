"""The chain rule in numbers: an MLP, a small CNN, and a formula."""

from __future__ import annotations

import numpy as np

from pellucid.operations.backpropagation import Step, cnn_step, mlp_step
from pellucid.operations.differentiation import Variable
from pellucid.operations.examples.panels import Panel, WorkedExample, graph, grid, node, row, sign
from pellucid.operations.losses import softmax


def backpropagation() -> WorkedExample:
    """An MLP with two inputs, three hidden units and two classes, with all values and gradients."""
    x, label = np.array([[1.0, -0.5]]), np.array([1])
    w1, b1 = np.array([[0.6, -0.4], [-0.3, 0.8], [0.5, 0.9]]), np.array([0.1, 0.0, 0.2])
    w2, b2 = np.array([[0.7, -0.2, 0.4], [-0.5, 0.3, 0.6]]), np.array([0.0, 0.1])
    step = mlp_step(x, label, [w1, b1, w2, b2])
    _, hidden, z = (value[0] for value in step.values)
    flow = [gradient[0] for gradient in step.value_gradients]
    nodes = [node(f"x{i + 1}", (0.7, 0.9 + 1.3 * i), x[0, i], flow[0][i]) for i in range(2)]
    nodes += [node(f"h{i + 1}", (2.7, 0.5 + 1.05 * i), hidden[i], flow[1][i]) for i in range(3)]
    nodes += [node(f"z{i + 1}", (4.7, 0.9 + 1.3 * i), z[i], flow[2][i]) for i in range(2)]
    nodes.append(node("L", (6.5, 1.55), step.loss, 1.0))
    edges = [(f"x{i + 1}", f"h{j + 1}", f"{w1[j, i]:g}") for i in range(2) for j in range(3)]
    edges += [(f"h{i + 1}", f"z{j + 1}", f"{w2[j, i]:g}") for i in range(3) for j in range(2)]
    edges += [("z1", "L", ""), ("z2", "L", "")]
    p = softmax(z[np.newaxis])[0]
    text = (
        f"softmax(z) = ({p[0]:.3f}, {p[1]:.3f});  the label is class 2, so L = −ln {p[1]:.3f} = {step.loss:.3f} and "
        f"δz = p − t = ({flow[2][0]:.3f},\N{NO-BREAK SPACE}{flow[2][1]:.3f}).\n"
        f"∂L/∂h₁ = {w2[0, 0]:g} · ({flow[2][0]:.3f}) + ({w2[1, 0]:g}) · ({flow[2][1]:.3f}) = {flow[1][0]:.3f}: for "
        "each outgoing arrow, the gradient at its end times the weight.\n"
        f"h₂ is 0 after its ReLU, so its gradient of {flow[1][1]:.3f} stops here, and its weights do not change now."
    ).replace("-", "−")
    return WorkedExample(
        "Backpropagation: the chain rule through an MLP",
        [
            (
                r"$\delta_M = \frac{\mathrm{softmax}(z_M)-t}{N} \qquad"
                r"\delta_l = (\delta_{l+1}\,W_{l+1})\circ h'(z_l) \qquad"
                r"\frac{\partial L}{\partial W_l} = \delta_l^{\top} a_{l-1} \qquad"
                r"\frac{\partial L}{\partial b_l} = \sum_n \delta_l$"
            )
        ],
        [
            row(
                graph(nodes, edges, (7.2, 3.3), along=0.28),
                title="Forward: values (black). Backward: gradients of the loss (red). At the arrows: weights",
                text=text,
            ),
            row(
                grid(step.gradients[0], "∂L/∂W₁ (3 × 2)"),
                sign(" "),
                grid(step.gradients[1][:, np.newaxis], "∂L/∂b₁"),
                sign(" "),
                grid(step.gradients[2], "∂L/∂W₂ (2 × 3)"),
                sign(" "),
                grid(step.gradients[3][:, np.newaxis], "∂L/∂b₂"),
                title="Gradients of the parameters: for each weight (gradient of its sum) × (its input)",
            ),
        ],
    )


def backpropagation_cnn() -> WorkedExample:
    """A 5×5 picture through one kernel, ReLU, pooling and a dense layer, and back."""
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 1:4, 1:3] = [[1, 0], [2, 1], [1, 2]]
    kernels = np.array([[[[1.0, -1.0], [0.5, 0.5]]]])
    weights = np.array([[0.5, -0.5, 1.0, 0.2], [-0.3, 0.8, -0.6, 0.1]])
    step = cnn_step(x, np.array([1]), [kernels, np.array([-0.2]), weights, np.zeros(2)])
    c, r, p, z = (value[0] for value in step.values[1:])
    winners = [(int(i), int(j)) for i, j in np.argwhere(step.value_gradients[2][0][0] != 0)]
    forwards = [
        grid(x[0, 0], "x"),
        sign("∗"),
        grid(kernels[0, 0], "K"),
        sign("="),
        grid(c[0], "c, b = −0.2"),
        sign("→"),
        grid(r[0], "r = max(0, c)", marked=winners),
        sign("→"),
        grid(p[0], "p"),
        sign("→"),
        grid(z[:, np.newaxis], "z"),
    ]
    return WorkedExample(
        "Backpropagation through convolution, ReLU and pooling",
        [
            (
                r"$\frac{\partial L}{\partial z} = p - t \qquad"
                r"\frac{\partial L}{\partial K_{u,v}} = \sum_{i,j} \frac{\partial L}{\partial c_{i,j}}\,"
                r"x_{i+u,\,j+v}\qquad"
                r"\frac{\partial L}{\partial x_{a,b}} = \sum_{u,v} \frac{\partial L}{\partial c_{a-u,\,b-v}}\, K_{u,v}$"
            )
        ],
        [
            row(*forwards, title="Forward: convolution, ReLU, max pooling, dense"),
            row(
                *_backwards(step, winners),
                title="Backward: the gradient of each step",
                text=(
                    f"L = {step.loss:.3f}. Pooling passes its gradient to the maximum of each window (framed); ReLU "
                    "passes it if c > 0;\nconvolution passes it to every pixel under the kernel."
                ),
            ),
            row(
                grid(step.gradients[0][0, 0], "∂L/∂K"),
                sign(" "),
                grid(step.gradients[1], "∂L/∂b"),
                sign(" "),
                grid(step.gradients[2], "∂L/∂W: dense"),
                title="Gradients of the parameters",
            ),
        ],
    )


def _backwards(step: Step, winners: list[tuple[int, int]]) -> list[Panel]:
    """The gradient of the input and of each step of the CNN; `winners` are the pixels that max pooling chose."""
    dx, dc, dr, dp, dz = (gradient[0] for gradient in step.value_gradients)
    largest = float(max(np.abs(gradient).max() for gradient in (dx, dc, dr, dp, dz)))
    return [
        grid(dx[0], "∂L/∂x", largest=largest),
        sign("←"),
        grid(dc[0], "∂L/∂c", largest=largest),
        sign("←"),
        grid(dr[0], "∂L/∂r", marked=winners, largest=largest),
        sign("←"),
        grid(dp[0], "∂L/∂p", largest=largest),
        sign("←"),
        grid(dz[:, np.newaxis], "∂L/∂z", largest=largest),
    ]


def automatic_differentiation() -> WorkedExample:
    """L = (a·b + tanh(a) − c)², step by step."""
    a, b, c = Variable(0.5, name="a"), Variable(3.0, name="b"), Variable(1.2, name="c")
    product, bent = a * b, a.tanh()
    total = product + bent
    negative = c * -1.0
    difference = total + negative
    loss = difference**2
    loss.backward()
    positions = {
        "a": (a, 0.7, 0.9),
        "b": (b, 0.7, 0.3 + 2.2),
        "c": (c, 3.5, 2.8),
        "a·b": (product, 2.2, 2.0),
        "tanh a": (bent, 2.2, 0.6),
        "+": (total, 3.7, 1.3),
        "− c": (difference, 5.1, 1.3),
        "( )²": (loss, 6.5, 1.3),
    }
    nodes = [
        node(name, (x, y), float(one.value), float(one.gradient), label=name) for name, (one, x, y) in positions.items()
    ]
    edges = [
        ("a", "a·b", f"∂ = b = {b.value:g}"),
        ("b", "a·b", f"∂ = a = {a.value:g}"),
        ("a", "tanh a", f"∂ = {1 - float(bent.value) ** 2:.3f}"),
        ("tanh a", "+", "1"),
        ("a·b", "+", "1"),
        ("+", "− c", "1"),
        ("c", "− c", "−1"),
        ("− c", "( )²", f"2d = {2 * float(difference.value):.3f}"),
    ]
    by_b = float(product.gradient) * float(b.value)
    by_bent = float(bent.gradient) * (1 - float(bent.value) ** 2)
    return WorkedExample(
        "Automatic differentiation: go back through the steps of a computation",
        [
            (
                r"$L = (a\,b + \tanh a - c)^2 \qquad"
                r"\frac{\partial L}{\partial a} = \sum_{y\ \mathrm{made\ from}\ a} \frac{\partial L}{\partial y}\,"
                r"\frac{\partial y}{\partial a}$"
            )
        ],
        [
            row(
                graph(nodes, edges, (7.2, 3.4)),
                title="Forward: values (black). Backward: gradients (red). At the arrows: local derivatives",
                text=(
                    "At each circle: (gradient at the end of an arrow) × (derivative at the arrow), added up over its "
                    "outgoing arrows.\n"
                    f"a is used twice, so both count: {by_b:.3f} through a·b and {by_bent:.3f} through tanh, "
                    f"{float(a.gradient):.3f} in all."
                ),
            )
        ],
    )
