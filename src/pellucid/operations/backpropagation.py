"""Backpropagation by hand: an MLP, and a small network of a convolution, pooling and a dense layer.

In the forward pass, each layer stores its input. In the backward pass, from the loss to the pictures, each layer
converts the gradient of its output into that of its input, and computes the gradients of its weights. This is the chain
rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.operations.activations import ACTIVATIONS
from pellucid.operations.convolution import convolve, convolve_backward
from pellucid.operations.dense import dense, dense_backward
from pellucid.operations.losses import cross_entropy, cross_entropy_gradient
from pellucid.operations.pooling import max_pool, max_pool_backward


@dataclass(frozen=True)
class Step:
    """The result of a forward and a backward pass.

    Attributes:
        loss: the cross-entropy of the batch.
        gradients: ∂loss/∂parameter, in the order of the parameters.
        values: output of each layer, from the pictures to the logits.
        value_gradients: ∂loss/∂value for each of `values`.
    """

    loss: float
    gradients: list[np.ndarray]
    values: list[np.ndarray]
    value_gradients: list[np.ndarray]


def mlp_step(x: np.ndarray, labels: np.ndarray, parameters: list[np.ndarray], activation: str = "relu") -> Step:
    """Loss and gradients of an MLP for one batch.

    Formula:
        forwards:    a₀ = x,   z_l = a_{l−1} W_lᵀ + b_l,   a_l = h(z_l),   logits = z_M,   L = cross-entropy(z_M)
        backwards:   δ_M = (softmax(z_M) − t) / N,   δ_l = (δ_{l+1} W_{l+1}) ∘ h′(z_l)
                     ∂L/∂W_l = δ_lᵀ a_{l−1},   ∂L/∂b_l = Σ_n δ_l

    Args:
        x: inputs (N, D).
        labels: (N,).
        parameters: W₁, b₁, W₂, b₂, …; W_l has the shape (outputs, inputs).
        activation: h, after every layer except the last: a name of `activations.ACTIVATIONS`.
    """
    h = ACTIVATIONS[activation]
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    inputs, sums = [x], []
    for index, (weights, bias) in enumerate(layers):
        sums.append(dense(inputs[-1], weights, bias))
        if index < len(layers) - 1:
            inputs.append(h.function(sums[-1]))
    logits = sums[-1]

    d_sum = cross_entropy_gradient(logits, labels)
    gradients: list[np.ndarray] = []
    value_gradients = [d_sum]
    for index in reversed(range(len(layers))):
        d_input, d_weights, d_bias = dense_backward(inputs[index], layers[index][0], d_sum)
        gradients = [d_weights, d_bias, *gradients]
        value_gradients = [d_input, *value_gradients]
        if index > 0:
            d_sum = d_input * h.derivative(sums[index - 1])
    return Step(cross_entropy(logits, labels), gradients, [*inputs, logits], value_gradients)


def cnn_step(x: np.ndarray, labels: np.ndarray, parameters: list[np.ndarray], pool: int = 2) -> Step:
    """Loss and gradients of a small convolutional network for one batch.

    Formula:
        forwards:    c = x ∗ K + b₁,   r = max(0, c),   p = max pooling of r,   z = flatten(p) Wᵀ + b₂
        backwards:   δz = (softmax(z) − t) / N,   δp = δz W,   δr = δp at each window's maximum, elsewhere 0
                     δc = δr where c > 0, otherwise 0,   ∂L/∂K = Σ over windows of δc · window

    Args:
        x: pictures (N, C, H, W).
        labels: (N,).
        parameters: kernels (K, C, F, F), their biases (K,), dense weights (classes, values after pooling), biases.
        pool: side of the pooling window.
    """
    kernels, kernel_bias, weights, bias = parameters
    relu = ACTIVATIONS["relu"]
    c = convolve(x, kernels, kernel_bias)
    r = relu.function(c)
    p = max_pool(r, pool)
    flat = p.reshape(len(x), -1)
    z = dense(flat, weights, bias)

    d_z = cross_entropy_gradient(z, labels)
    d_flat, d_weights, d_bias = dense_backward(flat, weights, d_z)
    d_p = d_flat.reshape(p.shape)
    d_r = max_pool_backward(r, pool, d_p)
    d_c = d_r * relu.derivative(c)
    d_x, d_kernels, d_kernel_bias = convolve_backward(x, kernels, d_c)
    gradients = [d_kernels, d_kernel_bias, d_weights, d_bias]
    return Step(cross_entropy(z, labels), gradients, [x, c, r, p, z], [d_x, d_c, d_r, d_p, d_z])
