"""The perceptron and its learning rule, which needs no gradients."""

from __future__ import annotations

import numpy as np


def fires(x: np.ndarray, weights: np.ndarray, bias: float) -> np.ndarray:
    """Whether a threshold unit fires for each input (N, D): 0 or 1, (N,).

    Formula:
        1 where w·x + b ≥ 0, otherwise 0

        The bias replaces the threshold, b = −threshold, so the sum is compared with 0. A bias *and* a threshold would
        be redundant.
    """
    return (x @ weights + bias >= 0).astype(int)


def perceptron_step(
    x: np.ndarray, target: int, weights: np.ndarray, bias: float, learning_rate: float = 1.0
) -> tuple[np.ndarray, float]:
    """Corrects the weights with one example (D,) of class `target` (0 or 1). A right output changes nothing.

    Formula:
        w ← w + η (t − o) x,   b ← b + η (t − o)      o = output, t = target

        If a plane separates the classes, the rule needs finitely many corrections (Rosenblatt 1958; Novikoff 1962).
        Otherwise it never converges.
    """
    correction = learning_rate * (target - int(fires(x[np.newaxis], weights, bias)[0]))
    return weights + correction * x, bias + correction


def learn(
    x: np.ndarray, targets: np.ndarray, epochs: int, learning_rate: float = 1.0
) -> tuple[np.ndarray, float, list[int]]:
    """Repeats epochs over examples (N, D) until an epoch has no mistakes.

    Returns:
        The weights (D,), the bias, and the number of mistakes in each epoch.
    """
    weights, bias, mistakes = np.zeros(x.shape[1]), 0.0, []
    for _ in range(epochs):
        wrong = 0
        for example, target in zip(x, targets, strict=True):
            new_weights, new_bias = perceptron_step(example, int(target), weights, bias, learning_rate)
            wrong += int(new_bias != bias)
            weights, bias = new_weights, new_bias
        mistakes.append(wrong)
        if wrong == 0:
            break
    return weights, bias, mistakes
