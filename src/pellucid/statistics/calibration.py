"""Calibration: making a model's probabilities mean what they say."""

from __future__ import annotations

import numpy as np


def fit_temperature(outputs: np.ndarray, labels: np.ndarray, *, smoothing: float = 0.0) -> float:
    """The temperature T > 0 for which softmax(z / T) gives the labels the highest probability, on average.

    It changes no decision, only how sure the model says that it is (Guo et al., "On calibration of modern neural
    networks", 2017). Fit it on pictures that were not trained on.

    Args:
        outputs: (N, K), scores or logits.
        labels: int (N,).
        smoothing: the share of each label that goes to the other classes, evenly. With 1 / (n + 2), for n pictures a
            class, few pictures that are all told rightly do not make the model certain of everything (the targets of
            Platt, "Probabilistic outputs for support vector machines", 1999).

    Returns:
        T, between 1e-4 and 1e6; 1 if there is nothing to fit on.
    """
    if not len(labels):
        return 1.0
    outputs = np.asarray(outputs, dtype=np.float64)
    right = outputs[np.arange(len(labels)), labels]
    if smoothing:
        others = (outputs.sum(axis=1) - right) / (outputs.shape[1] - 1)
        right = (1 - smoothing) * right + smoothing * others

    # The loss is convex in b = 1 / T, and its slope is E[Σ pₖ zₖ] − z_label: its zero is found by halving, in log b.
    low, high = np.log(1e-6), np.log(1e4)
    for _ in range(60):
        middle = (low + high) / 2
        scaled = outputs * np.exp(middle)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (weights * outputs).sum(axis=1) / weights.sum(axis=1)
        low, high = (middle, high) if np.mean(expected - right) <= 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))
