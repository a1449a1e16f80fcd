"""The linear head on frozen features: multinomial logistic regression, in NumPy alone.

The objective, over weights W (K, D) and biases b (K,), for N features x with labels y and picture weights w, is

    Σ wᵢ (log Σⱼ exp(zᵢⱼ) − zᵢ,yᵢ) + λ/2 ‖W‖²,    z = x Wᵀ + b

The penalty λ is the strength of a Gaussian prior on W, so it keeps its meaning when pictures are added. The features
are centred and divided by their overall standard deviation, so that λ means the same for every backbone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""Penalties to try, the strongest first."""
DEFAULT_PENALTY = 10.0
"""The penalty if there are too few pictures for cross-validation."""

_REMEMBERED_STEPS = 10
_FINE, _ROUGH = 1e-5, 1e-4
"""Largest gradient per picture at the minimum: of the final head, and in cross-validation."""


@dataclass(frozen=True)
class Head:
    """A linear head: weights (K, D) and bias (K,), float64."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits (N, K) of features (N, D)."""
        return features @ self.weights.T + self.bias


@dataclass(frozen=True)
class PenaltyChoice:
    """The result of cross-validation.

    Attributes:
        penalty: the one with the lowest loss on held-out pictures.
        logits: of each picture, by a head trained without it: float64 (N, K); NaN if it was never held out.
        tried: (penalty, loss in nats, accuracy) of each penalty, on held-out pictures.
    """

    penalty: float
    logits: np.ndarray
    tried: tuple[tuple[float, float, float], ...]


def fit(
    features: np.ndarray, labels: np.ndarray, classes: int, penalty: float, weights: np.ndarray | None = None
) -> Head:
    """The head that minimises the objective above.

    Args:
        features: (N, D).
        labels: int (N,), 0 to K − 1.
        classes: K.
        penalty: λ.
        weights: of the pictures, (N,); None for 1 each.
    """
    scaled, basis, mean, scale = _coordinates(features)
    solution = _minimise(_Objective(scaled, labels, classes, penalty, weights), None, _FINE)
    coefficients, bias = solution[:, :-1], solution[:, -1]
    original = (coefficients if basis is None else coefficients @ basis) / scale
    return Head(original, bias - original @ mean)


def choose(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
    penalties: tuple[float, ...] = PENALTIES,
) -> PenaltyChoice:
    """Chooses the penalty by the loss on held-out folds.

    The strongest penalty comes first. Each fit starts from the solution of the penalty before. The search ends when the
    loss has risen twice in a row: it falls first, and then rises.

    Args:
        features: (N, D).
        labels: int (N,).
        classes: K.
        folds: the fold in which each picture is held out, int (N,); −1 for never.
        weights: of the pictures, (N,); None for 1 each.
        penalties: penalties to try.
    """
    scaled = _coordinates(features)[0]
    held_out = folds >= 0
    numbers = np.unique(folds[held_out])
    if not len(numbers):
        return PenaltyChoice(DEFAULT_PENALTY, np.full((len(labels), classes), np.nan), ())
    solutions: dict[int, np.ndarray | None] = dict.fromkeys(numbers.tolist())
    tried: list[tuple[float, float, float]] = []
    best = np.zeros((len(labels), classes))
    for penalty in penalties:
        logits = np.full((len(labels), classes), np.nan)
        for number, start in solutions.items():
            out = folds == number
            fold_weights = None if weights is None else weights[~out]
            objective = _Objective(scaled[~out], labels[~out], classes, penalty, fold_weights)
            solution = solutions[number] = _minimise(objective, start, _ROUGH)
            logits[out] = scaled[out] @ solution[:, :-1].T + solution[:, -1]
        shares = np.ones(held_out.sum()) if weights is None else weights[held_out]
        loss = float(np.average(losses(logits[held_out], labels[held_out]), weights=shares))
        accuracy = float((logits[held_out].argmax(axis=1) == labels[held_out]).mean())
        if not tried or loss < min(lowest for _, lowest, _ in tried):
            best = logits
        tried.append((penalty, loss, accuracy))
        if len(tried) > 2 and tried[-1][1] > tried[-2][1] > tried[-3][1]:
            break
    return PenaltyChoice(min(tried, key=lambda result: result[1])[0], best, tuple(tried))


def _coordinates(features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, float]:
    """(coordinates (N, R), basis (R, D), mean (D,), scale): features = coordinates @ basis × scale + mean.

    With fewer pictures than dimensions, the solution lies in the span of the pictures. The problem is solved there,
    exactly, with R ≤ N dimensions. Otherwise the basis is None: the axes of the features.
    """
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    scale = float(centred.std()) or 1.0
    centred /= scale
    if len(features) >= features.shape[1]:
        return centred, None, mean, scale
    # From the Gram matrix, which is far smaller than the features: X = U S Vᵀ, coordinates U S, basis Vᵀ.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    positive = values > values.max(initial=0.0) * 1e-12
    lengths = np.sqrt(values[positive])
    return vectors[:, positive] * lengths, (vectors[:, positive] / lengths).T @ centred, mean, scale


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each picture, log Σ exp(z) − z[label]: (N,)."""
    top = logits.max(axis=1)
    sums = np.exp(logits - top[:, None]).sum(axis=1)
    return np.log(sums) + top - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]


class _Objective:
    """The objective and its gradient, over (W, b) as one array (K, D + 1)."""

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, classes: int, penalty: float, weights: np.ndarray | None
    ) -> None:
        self.features = features
        self.labels = labels
        self.weights = np.ones(len(labels)) if weights is None else weights
        self.penalty = penalty
        self.shape = classes, features.shape[1] + 1

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = flat.reshape(self.shape)
        coefficients, bias = parameters[:, :-1], parameters[:, -1]
        logits = self.features @ coefficients.T + bias
        top = logits.max(axis=1, keepdims=True)
        shares = np.exp(logits - top)
        sums = shares.sum(axis=1, keepdims=True)
        own = np.take_along_axis(logits, self.labels[:, None], axis=1)
        value = float(self.weights @ (np.log(sums) + top - own)[:, 0]) + self.penalty / 2 * float(
            (coefficients**2).sum()
        )
        shares /= sums
        np.put_along_axis(
            shares, self.labels[:, None], np.take_along_axis(shares, self.labels[:, None], axis=1) - 1, axis=1
        )
        shares *= self.weights[:, None]
        gradient = np.concatenate(
            [shares.T @ self.features + self.penalty * coefficients, shares.sum(axis=0)[:, None]], axis=1
        )
        return value, gradient.ravel()


def _minimise(objective: _Objective, start: np.ndarray | None, tolerance: float) -> np.ndarray:
    """(W, b), (K, D + 1), at the minimum; the gradient per picture is at most the tolerance."""
    initial = np.zeros(objective.shape) if start is None else start
    limit = tolerance * max(float(objective.weights.sum()), 1.0)
    return lbfgs(objective, initial.ravel(), limit).reshape(objective.shape)


def lbfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, limit: float, max_steps: int = 500
) -> np.ndarray:
    """Minimises a smooth convex function by L-BFGS (Liu and Nocedal 1989) with ten remembered steps.

    Bisection finds the length of each step, which satisfies the weak Wolfe conditions (Lewis and Overton 2013).

    Args:
        objective: from x (n,) to (value, gradient (n,)).
        start: initial x.
        limit: it ends when no entry of the gradient is larger.
        max_steps: largest number of steps.
    """
    x = start.astype(np.float64)
    value, gradient = objective(x)
    steps: list[tuple[np.ndarray, np.ndarray, float]] = []
    for _ in range(max_steps):
        if np.abs(gradient).max(initial=0.0) <= limit:
            break
        direction = -_times_inverse(gradient, steps)
        slope = float(direction @ gradient)
        length, low, high = (1.0 if steps else min(1.0, 1.0 / float(np.abs(gradient).sum()))), 0.0, np.inf
        for _ in range(50):
            new_value, new_gradient = objective(x + length * direction)
            if new_value > value + 1e-4 * length * slope:
                high = length
            elif float(new_gradient @ direction) < 0.9 * slope:
                low = length
            else:
                break
            length = (low + high) / 2 if np.isfinite(high) else 2 * low
        if not new_value < value:  # float64 cannot tell them apart
            break
        step, difference = length * direction, new_gradient - gradient
        x, value, gradient = x + step, new_value, new_gradient
        curvature = float(step @ difference)
        if curvature > 0:
            steps = [*steps[-_REMEMBERED_STEPS + 1 :], (step, difference, curvature)]
    return x


def _times_inverse(gradient: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """The approximate inverse Hessian of the remembered steps, times the gradient: the two-loop recursion."""
    result = gradient.copy()
    shares = []
    for step, difference, curvature in reversed(steps):
        share = float(step @ result) / curvature
        result -= share * difference
        shares.append(share)
    if steps:
        _, difference, curvature = steps[-1]
        result *= curvature / float(difference @ difference)
    for (step, difference, curvature), share in zip(steps, reversed(shares), strict=True):
        result += (share - float(difference @ result) / curvature) * step
    return result
