"""Calibration: how honest probabilities are, and temperature scaling, which makes them so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def fit_temperature(outputs: np.ndarray, labels: np.ndarray, *, smoothing: float = 0.0) -> float:
    """The temperature T > 0 that minimises the cross-entropy of softmax(z / T).

    It changes no prediction, only the confidence (Guo et al., "On calibration of modern neural networks", 2017). Fit it
    on pictures that were not used for training.

    Args:
        outputs: scores or logits, (N, K).
        labels: int (N,).
        smoothing: the share of each label that goes to the other classes, evenly. With 1 / (n + 2), for n pictures per
            class, the model does not become certain of everything if it gets a few pictures all right (the targets of
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

    # The loss is convex in b = 1 / T, with slope E[Σ pₖ zₖ − z_label]. Bisection in log b finds its zero.
    low, high = np.log(1e-6), np.log(1e4)
    for _ in range(60):
        middle = (low + high) / 2
        scaled = outputs * np.exp(middle)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (weights * outputs).sum(axis=1) / weights.sum(axis=1)
        low, high = (middle, high) if np.mean(expected - right) <= 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


_FOLDS, _FEWEST = 5, 10


def choose_temperature(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of held-out pictures if it lowers their cross-validated log loss; otherwise 1.

    Each fifth of the pictures is scored with the temperature that was fitted on the others. So noise on a few pictures
    does not change a model that is calibrated already.

    Args:
        outputs: logits of pictures that were not used for training, (N, K).
        labels: int (N,).

    Returns:
        T, fitted on all pictures; 1 for fewer than 10 pictures.
    """
    n, classes = outputs.shape
    if n < _FEWEST:
        return 1.0
    outputs = np.asarray(outputs, dtype=np.float64)
    smoothing = 1 / (n / classes + 2)
    # Neighbours in the order of the labels go to different folds, so that each fold has every class.
    fold = np.empty(n, dtype=np.int64)
    fold[np.lexsort((np.random.default_rng(0).permutation(n), labels))] = np.arange(n) % _FOLDS
    scaled = np.empty_like(outputs)
    for number in range(_FOLDS):
        others = fold != number
        scaled[~others] = outputs[~others] / fit_temperature(outputs[others], labels[others], smoothing=smoothing)
    if _log_loss(scaled, labels) >= _log_loss(outputs, labels):
        return 1.0
    return fit_temperature(outputs, labels, smoothing=smoothing)


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy of softmax(logits), in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))


class Bin(NamedTuple):
    """The predictions with a confidence from `low` to `high`.

    Attributes:
        low, high: the range of confidence.
        n: number of predictions, at least 1.
        confidence: their mean confidence.
        right: number of right ones.
    """

    low: float
    high: float
    n: int
    confidence: float
    right: int


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> list[Bin]:
    """How often predictions of each confidence are right: the bins of a reliability diagram that are not empty.

    Args:
        confidence: probability of the predicted class, (N,).
        right: whether the prediction is right, bool (N,).
        bins: number of bins of equal width.
    """
    confidence, right = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    which = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    return [
        Bin(number / bins, (number + 1) / bins, int(part.sum()), float(confidence[part].mean()), int(right[part].sum()))
        for number in range(bins)
        if (part := which == number).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean distance of confidence and accuracy over the bins, weighted by n.

    Chance alone makes it positive, the more so the fewer pictures there are (Naeini et al. 2015, AAAI; for the bias,
    Kumar et al. 2019, NeurIPS).
    """
    n = sum(one.n for one in bins)
    return sum(abs(one.n * one.confidence - one.right) for one in bins) / n


def calibration_error_by_chance(bins: Sequence[Bin], quantile: float = 0.95, draws: int = 1000) -> float:
    """The error that a perfectly calibrated model of as many pictures stays below with that probability.

    The right answers of each bin are drawn from its mean confidence, with a fixed seed.
    """
    n = sum(one.n for one in bins)
    generator = np.random.default_rng(0)
    distances = np.zeros(draws)
    for one in bins:
        drawn = generator.binomial(one.n, min(1.0, one.confidence), size=draws)
        distances += np.abs(one.n * one.confidence - drawn)
    return float(np.quantile(distances / n, quantile))
