"""Mappings from network outputs to probabilities, by name.

Each maps outputs (N, K) to probabilities (N, K) whose rows sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pellucid.errors import UnknownNameError


def softmax(outputs: torch.Tensor) -> torch.Tensor:
    """exp(zᵢ) / Σ exp(zⱼ), for logits."""
    return torch.softmax(outputs, dim=1)


def normalised(outputs: torch.Tensor) -> torch.Tensor:
    """For outputs trained on one-hot targets: clipped to 1e-6 … 1 and divided by their sum.

    If all outputs are 0 or less, all classes are equally probable.
    """
    clipped = outputs.clamp(1e-6, 1.0)
    return clipped / clipped.sum(dim=1, keepdim=True)


PROBABILITIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"softmax": softmax, "normalised": normalised}


def probabilities(name: str, outputs: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Probabilities, float32 (N, K), of outputs (N, K); `temperature` divides the logits before the softmax.

    Raises:
        UnknownNameError: there is no such mapping.
    """
    if name not in PROBABILITIES:
        raise UnknownNameError("mapping to probabilities", name, PROBABILITIES)
    outputs = outputs.float()
    return PROBABILITIES[name](outputs / temperature if name == "softmax" else outputs)
