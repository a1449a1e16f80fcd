"""The perceptron and its rule: learning without gradients."""

from __future__ import annotations

import numpy as np


def fires(x: np.ndarray, weights: np.ndarray, bias: float) -> np.ndarray:
    """Whether a threshold unit fires for each input (N, D): 0 or 1, (N,).

    Formula:
        1 where w·x + b ≥ 0, otherwise 0

        The bias stands in the place of the threshold, b = −threshold: it is compared with 0. To add a bias *and* to
        compare with a threshold would say the same thing twice.
    """
    return (x @ weights + bias >= 0).astype(int)


def perceptron_step(
    x: np.ndarray, target: int, weights: np.ndarray, bias: float, rate: float = 1.0
) -> tuple[np.ndarray, float]:
    """Mends the weights by one example (D,) of class `target` (0 or 1); a right answer changes nothing.

    Formula:
        w ← w + η (t − o) x,   b ← b + η (t − o)      o = what it says, t = what it should say

        If a plane separates the classes, finitely many mends suffice (Rosenblatt 1958; Novikoff 1962). If none does,
        it never comes to rest.
    """
    mend = rate * (target - int(fires(x[np.newaxis], weights, bias)[0]))
    return weights + mend * x, bias + mend


def learn(x: np.ndarray, targets: np.ndarray, epochs: int, rate: float = 1.0) -> tuple[np.ndarray, float, list[int]]:
    """Goes through examples (N, D) again and again, until an epoch passes without a mistake.

    Returns:
        The weights (D,), the bias, and the number of mistakes of each epoch.
    """
    weights, bias, mistakes = np.zeros(x.shape[1]), 0.0, []
    for _ in range(epochs):
        wrong = 0
        for example, target in zip(x, targets, strict=True):
            mended, moved = perceptron_step(example, int(target), weights, bias, rate)
            wrong += int(moved != bias)
            weights, bias = mended, moved
        mistakes.append(wrong)
        if wrong == 0:
            break
    return weights, bias, mistakes
