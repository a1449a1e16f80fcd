"""Losses, and their gradients with respect to the logits: softmax with cross-entropy, squared error, hinge.

Each loss is the mean over the N pictures of a batch, and each gradient is that of the mean.
"""

from __future__ import annotations

import numpy as np

from pellucid.errors import UsageError


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels (N,) as rows (N, K) of zeros with a one at the class.

    Formula:
        y[n, k] = 1 where k = label n, otherwise 0

    Raises:
        UsageError: a label is not one of 0 … K − 1.
    """
    labels = np.asarray(labels)
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise UsageError(
            f"Labels of {classes} classes are 0 to {classes - 1}; given: {labels.min()} to {labels.max()}."
        )
    return (labels[:, np.newaxis] == np.arange(classes)).astype(float)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Logits (N, K) as probabilities (N, K), which are positive and sum to 1.

    Formula:
        p[k] = exp(z[k]) / Σ_j exp(z[j])

        It is computed as exp(z − max z) / Σ exp(z − max z), which is equal and does not overflow.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities of logits, in a form that never takes the logarithm of 0.

    Formula:
        ln p[k] = z[k] − max z − ln Σ_j exp(z[j] − max z)
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> float:
    """The mean negative log-probability of the right class, in nats.

    Formula:
        L = −1/N Σ_n Σ_k  t[n, k] · ln p[n, k],   p = softmax(z),   t = one-hot(label)

        For a one-hot t this is −ln of the probability of the right class. With smoothing s,
        t = (1 − s) · one-hot + s / K. The input is logits, not probabilities: the softmax is included.
    """
    return float(-(_targets(logits, labels, smoothing) * log_softmax(logits)).sum(axis=1).mean())


def cross_entropy_gradient(logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Predicted probabilities minus targets; (N, K).

    Formula:
        ∂L/∂z = (p − t) / N
    """
    return (softmax(logits) - _targets(logits, labels, smoothing)) / len(logits)


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The mean squared difference of outputs and targets, both (N, K).

    Formula:
        L = 1/(N K) Σ_n Σ_k (z[n, k] − t[n, k])²
    """
    return float(((outputs - targets) ** 2).mean())


def squared_error_gradient(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Twice the differences, divided by their number.

    Formula:
        ∂L/∂z = 2 (z − t) / (N K)
    """
    return 2 * (outputs - targets) / outputs.size


def hinge(logits: np.ndarray, labels: np.ndarray, margin: float = 1.0) -> float:
    """The multi-class loss of a support vector machine: the right logit should be larger than each other by m.

    Formula:
        L = 1/N Σ_n  1/K Σ_{k ≠ y} max(0, m − z[y] + z[k])
    """
    return float(_margin_violations(logits, labels, margin).sum(axis=1).mean() / logits.shape[1])


def hinge_gradient(logits: np.ndarray, labels: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """Lowers each logit that is within the margin by 1, and raises the right one by their number.

    Formula:
        ∂L/∂z[k] = 1/(N K) where m − z[y] + z[k] > 0;   ∂L/∂z[y] = −(number of such k) / (N K)
    """
    too_near = (_margin_violations(logits, labels, margin) > 0).astype(logits.dtype)
    return (too_near - one_hot(labels, logits.shape[1]) * too_near.sum(axis=1, keepdims=True)) / logits.size


def _targets(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> np.ndarray:
    classes = logits.shape[1]
    return (1 - smoothing) * one_hot(labels, classes) + smoothing / classes


def _margin_violations(logits: np.ndarray, labels: np.ndarray, margin: float) -> np.ndarray:
    """How far each class is inside the margin; 0 for the right class; (N, K)."""
    right = np.take_along_axis(logits, np.asarray(labels)[:, np.newaxis], axis=1)
    return np.maximum(0, margin - right + logits) * (1 - one_hot(labels, logits.shape[1]))
