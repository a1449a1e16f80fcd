"""How a network's outputs become probabilities, by name.

Each takes outputs (N, K) and gives probabilities (N, K), whose rows sum to one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pellucid.errors import UnknownNameError


def softmax(outputs: torch.Tensor) -> torch.Tensor:
    """exp(zᵢ) / Σ exp(zⱼ), for logits."""
    return torch.softmax(outputs, dim=1)


def normalised(outputs: torch.Tensor) -> torch.Tensor:
    """Outputs that were trained towards one-hot targets: cut to 0 … 1 and divided by their sum.

    Where all are zero, every class is equally probable.
    """
    clipped = outputs.clamp(1e-6, 1.0)
    return clipped / clipped.sum(dim=1, keepdim=True)


PROBABILITIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"softmax": softmax, "normalised": normalised}


def probabilities(name: str, outputs: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Outputs (N, K) as probabilities float32 (N, K); `temperature` divides logits before the softmax.

    Raises:
        UnknownNameError: there is no such mapping.
    """
    if name not in PROBABILITIES:
        raise UnknownNameError("mapping to probabilities", name, PROBABILITIES)
    outputs = outputs.float()
    return PROBABILITIES[name](outputs / temperature if name == "softmax" else outputs)
