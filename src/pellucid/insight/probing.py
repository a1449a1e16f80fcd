"""A linear probe: how well a plane tells two classes apart by some numbers (Alain and Bengio 2016, arXiv:1610.01644).

Ridge regression towards −1 and +1, whose strength is chosen by leaving one out, in closed form.
"""

from __future__ import annotations

import numpy as np

_STRENGTHS = np.logspace(-4, 3, 15)


def probe(known: np.ndarray, labels: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Scores for pictures that were not learned from: above 0 for the second class, below for the first.

    Args:
        known: numbers of the pictures that are learned from, (N, D).
        labels: their classes, 0 or 1, (N,).
        unknown: numbers of others, (M, D).

    Returns:
        float64 (M,).
    """
    targets = 2.0 * labels - 1
    middle = known.mean(axis=0)
    scale = float(known.std()) or 1.0
    # One scale for all numbers: each on its own would make much of pixels at the edge, which hardly ever differ.
    left, right = (known - middle) / scale, (unknown - middle) / scale
    offset = targets.mean()
    # In the space of the pictures, which are fewer than the numbers: K = X Xᵀ / D = U diag(s) Uᵀ.
    kernel = (left @ left.T / left.shape[1]).astype(np.float64)
    sizes, vectors = np.linalg.eigh(kernel)
    sizes = sizes.clip(min=0)
    turned = vectors.T @ (targets - offset)
    best: tuple[float, np.ndarray] | None = None
    for strength in _STRENGTHS * max(float(sizes.mean()), 1e-12):
        shrunk = 1 / (sizes + strength)
        weights = vectors @ (shrunk * turned)
        # The residual of a picture that was left out is α / (K + λ)⁻¹ on its diagonal (Allen's PRESS).
        left_out = weights / ((vectors**2) @ shrunk)
        error = float(np.square(left_out).mean())
        if best is None or error < best[0]:
            best = error, weights
    assert best is not None
    return (right @ left.T / left.shape[1]).astype(np.float64) @ best[1] + offset
