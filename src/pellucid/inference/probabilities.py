"""Mappings from network outputs to probabilities, by name. NumPy only: every kind of runner uses them.

Each maps outputs (N, K) to probabilities (N, K) whose rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pellucid.errors import NetworkError, UnknownNameError


def softmax(outputs: np.ndarray) -> np.ndarray:
    """exp(zᵢ) / Σ exp(zⱼ), for logits."""
    # Infinite logits give NaN, which the caller reports; the warnings would only repeat it.
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True, initial=-np.inf))
        return powers / powers.sum(axis=1, keepdims=True)


def normalised(outputs: np.ndarray) -> np.ndarray:
    """For outputs trained on one-hot targets: clipped to 1e-6 … 1 and divided by their sum.

    If all outputs are 0 or less, all classes are equally probable.
    """
    clipped = outputs.clip(1e-6, 1.0)
    return clipped / clipped.sum(axis=1, keepdims=True)


PROBABILITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"softmax": softmax, "normalised": normalised}


def probabilities(name: str, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities, float32 (N, K), of outputs (N, K); `temperature` divides the logits before the softmax.

    They are computed in float64.

    Raises:
        UnknownNameError: there is no such mapping.
    """
    if name not in PROBABILITIES:
        raise UnknownNameError("mapping to probabilities", name, PROBABILITIES)
    outputs = np.asarray(outputs, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = outputs / temperature if name == "softmax" else outputs
    return PROBABILITIES[name](scaled).astype(np.float32)


def require_finite(outputs: np.ndarray) -> None:
    """Raises NetworkError if an output of a network is infinite or NaN."""
    if not np.isfinite(outputs).all():
        raise NetworkError(
            "The network's outputs are infinite or NaN: training diverged. Train again with a lower learning rate."
        )
