"""The last layer on frozen features: multinomial logistic regression, in NumPy alone.

Minimised are, over weights W (K, D) and biases b (K,), for N features x with labels y and weights w:

    Σ wᵢ (log Σⱼ exp(zᵢⱼ) − zᵢ,yᵢ) + λ/2 ‖W‖²,    z = x Wᵀ + b

λ, the penalty, is the strength of a Gaussian prior on W: it keeps its meaning when pictures are added. The features are
centred and divided by one number, their deviation over all, so that it means the same for every backbone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""What is tried, the strongest first."""
USUAL_PENALTY = 10.0
"""Where there are too few pictures to choose by."""

_MEMORY = 10
_SUFFICIENT, _ROUGH = 1e-5, 1e-4


@dataclass(frozen=True)
class Head:
    """A last layer: weights (K, D) and bias (K,), float64."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) → logits (N, K)."""
        return features @ self.weights.T + self.bias


@dataclass(frozen=True)
class Chosen:
    """What cross-validation found.

    Attributes:
        penalty: the one with the lowest loss on pictures that were held out.
        logits: of each picture, by the head that had not seen it: float64 (N, K); NaN where it was never held out.
        tried: for each penalty: (penalty, loss in nats, accuracy), both on held-out pictures.
    """

    penalty: float
    logits: np.ndarray
    tried: tuple[tuple[float, float, float], ...]


def fit(
    features: np.ndarray, labels: np.ndarray, classes: int, penalty: float, weights: np.ndarray | None = None
) -> Head:
    """The head that minimises the above.

    Args:
        features: (N, D).
        labels: int (N,), 0 to K − 1.
        classes: K.
        penalty: λ.
        weights: of the pictures, (N,); None for 1 each.
    """
    scaled, basis, mean, scale = _coordinates(features)
    found = _minimised(_Objective(scaled, labels, classes, penalty, weights), None, _SUFFICIENT)
    inner, bias = found[:, :-1], found[:, -1]
    outer = (inner if basis is None else inner @ basis) / scale
    return Head(outer, bias - outer @ mean)


def choose(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
    penalties: tuple[float, ...] = PENALTIES,
) -> Chosen:
    """Chooses the penalty by the loss on held-out folds.

    The strongest penalty comes first, each next one starts from what the one before it found, and the search ends when
    the loss has risen twice: it falls and then rises.

    Args:
        features: (N, D).
        labels: int (N,).
        classes: K.
        folds: which fold each picture is held out in: int (N,); −1 for those that never are.
        weights: of the pictures, (N,).
        penalties: what to try.
    """
    scaled = _coordinates(features)[0]
    held = folds >= 0
    numbers = np.unique(folds[held])
    if not len(numbers):
        return Chosen(USUAL_PENALTY, np.full((len(labels), classes), np.nan), ())
    before: dict[int, np.ndarray | None] = dict.fromkeys(numbers.tolist())
    tried: list[tuple[float, float, float]] = []
    best = np.zeros((len(labels), classes))
    for penalty in penalties:
        logits = np.full((len(labels), classes), np.nan)
        for number, start in before.items():
            out = folds == number
            mine = None if weights is None else weights[~out]
            objective = _Objective(scaled[~out], labels[~out], classes, penalty, mine)
            found = before[number] = _minimised(objective, start, _ROUGH)
            logits[out] = scaled[out] @ found[:, :-1].T + found[:, -1]
        shares = np.ones(held.sum()) if weights is None else weights[held]
        loss = float(np.average(losses(logits[held], labels[held]), weights=shares))
        accuracy = float((logits[held].argmax(axis=1) == labels[held]).mean())
        if not tried or loss < min(one[1] for one in tried):
            best = logits
        tried.append((penalty, loss, accuracy))
        if len(tried) > 2 and tried[-1][1] > tried[-2][1] > tried[-3][1]:
            break
    return Chosen(min(tried, key=lambda one: one[1])[0], best, tuple(tried))


def _coordinates(features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, float]:
    """(coordinates (N, R), basis (R, D), mean (D,), scale): features = coordinates @ basis × scale + mean.

    With fewer pictures than numbers each, the weights that minimise lie in the span of the pictures, so the problem is
    solved there, exactly, and is as small as there are pictures. Otherwise the basis is None: the features' own axes.
    """
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    scale = float(centred.std()) or 1.0
    centred /= scale
    if len(features) >= features.shape[1]:
        return centred, None, mean, scale
    # Of the Gram matrix, which is smaller than the features by far: X = U S Vᵀ, coordinates U S, basis Vᵀ.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > values.max(initial=0.0) * 1e-12
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, (vectors[:, kept] / lengths).T @ centred, mean, scale


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each picture, log Σ exp(z) − z of its label: (N,)."""
    top = logits.max(axis=1)
    sums = np.exp(logits - top[:, None]).sum(axis=1)
    return np.log(sums) + top - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]


class _Objective:
    """What is minimised, and its gradient, over (W, b) as one array (K, D + 1)."""

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, classes: int, penalty: float, weights: np.ndarray | None
    ) -> None:
        self.features = features
        self.labels = labels
        self.weights = np.ones(len(labels)) if weights is None else weights
        self.penalty = penalty
        self.shape = classes, features.shape[1] + 1

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        found = flat.reshape(self.shape)
        inner, bias = found[:, :-1], found[:, -1]
        logits = self.features @ inner.T + bias
        top = logits.max(axis=1, keepdims=True)
        shares = np.exp(logits - top)
        sums = shares.sum(axis=1, keepdims=True)
        own = np.take_along_axis(logits, self.labels[:, None], axis=1)
        value = float(self.weights @ (np.log(sums) + top - own)[:, 0]) + self.penalty / 2 * float((inner**2).sum())
        shares /= sums
        np.put_along_axis(
            shares, self.labels[:, None], np.take_along_axis(shares, self.labels[:, None], axis=1) - 1, axis=1
        )
        shares *= self.weights[:, None]
        gradient = np.concatenate(
            [shares.T @ self.features + self.penalty * inner, shares.sum(axis=0)[:, None]], axis=1
        )
        return value, gradient.ravel()


def _minimised(objective: _Objective, start: np.ndarray | None, tolerance: float) -> np.ndarray:
    """(W, b), (K, D + 1), of the least value; its gradient per picture is below the tolerance."""
    begin = np.zeros(objective.shape) if start is None else start
    limit = tolerance * max(float(objective.weights.sum()), 1.0)
    return lbfgs(objective, begin.ravel(), limit).reshape(objective.shape)


def lbfgs(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, limit: float, most: int = 500
) -> np.ndarray:
    """Minimises a smooth convex function by L-BFGS (Liu and Nocedal 1989) with ten remembered steps.

    Each step's length is found by bisection until it satisfies the weak Wolfe conditions (Lewis and Overton 2013).

    Args:
        objective: from x (n,) to (value, gradient (n,)).
        start: x to begin with.
        limit: it ends when no entry of the gradient is larger.
        most: and after so many steps.
    """
    x = start.astype(np.float64)
    value, gradient = objective(x)
    steps: list[tuple[np.ndarray, np.ndarray, float]] = []
    for _ in range(most):
        if np.abs(gradient).max(initial=0.0) <= limit:
            break
        direction = -_times_inverse(gradient, steps)
        slope = float(direction @ gradient)
        length, low, high = (1.0 if steps else min(1.0, 1.0 / float(np.abs(gradient).sum()))), 0.0, np.inf
        for _ in range(50):
            ahead, there = objective(x + length * direction)
            if ahead > value + 1e-4 * length * slope:
                high = length
            elif float(there @ direction) < 0.9 * slope:
                low = length
            else:
                break
            length = (low + high) / 2 if np.isfinite(high) else 2 * low
        if not ahead < value:  # as low as float64 can tell
            break
        change, turn = length * direction, there - gradient
        x, value, gradient = x + change, ahead, there
        curvature = float(change @ turn)
        if curvature > 0:
            steps = [*steps[-_MEMORY + 1 :], (change, turn, curvature)]
    return x


def _times_inverse(gradient: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """The inverse Hessian that the remembered steps suggest, times the gradient: the two-loop recursion."""
    result = gradient.copy()
    shares = []
    for change, turn, curvature in reversed(steps):
        share = float(change @ result) / curvature
        result -= share * turn
        shares.append(share)
    if steps:
        _, turn, curvature = steps[-1]
        result *= curvature / float(turn @ turn)
    for (change, turn, curvature), share in zip(steps, reversed(shares), strict=True):
        result += (share - float(turn @ result) / curvature) * change
    return result
