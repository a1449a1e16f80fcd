"""Faithfulness of an attribution map: does the model rely on these pixels, and does the map depend on the weights?

Deletion and insertion (Petsiuk, Das and Saenko 2018, arXiv:1806.07421): pixels are removed, or added to a blank
picture, the most important first. The score is the mean probability of the class along the way: lower is better for
deletion, higher for insertion. Maps of smooth noise give a baseline for both.

Shuffled weights (Adebayo et al. 2018, arXiv:1810.03292): if the map hardly changes when the weights are shuffled, it
shows the picture and not what the network learned. The measure is the rank correlation of the two maps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

STEPS = 12
NOISE = 9
"""Number of steps in which pixels are removed or inserted, and number of noise maps for comparison."""

Probability = Callable[[torch.Tensor], np.ndarray]
"""(N, C, H, W) → the probability of the class, (N,)."""


def deletion_and_insertion(
    values: np.ndarray, inputs: torch.Tensor, blank: torch.Tensor, probability: Probability
) -> tuple[float, float]:
    """The deletion and insertion scores of a map.

    Args:
        values: the map, (H, W).
        inputs: the picture as a network input, (1, C, H, W).
        blank: the values of removed pixels, (1, C, H, W).
        probability: gives the probability of the explained class.

    Returns:
        (deletion, insertion): the mean probability while 0, 1/12 ... 12/12 of the pixels are removed or inserted, by
        the trapezoidal rule.
    """
    height, width = values.shape
    order = np.argsort(-values.ravel(), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    shares = np.round(np.linspace(0, 1, STEPS + 1) * len(order)).astype(np.int64)
    masks = torch.from_numpy(rank[np.newaxis] < shares[:, np.newaxis]).view(-1, 1, height, width)
    with torch.no_grad():
        without = probability(torch.where(masks, blank, inputs))
        within = probability(torch.where(masks, inputs, blank))
    return _mean(without), _mean(within)


def noise_maps(height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """Maps of smooth noise, about as coarse as an explanation: 7×7 random values each, interpolated to (H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(NOISE, 1, 7, 7, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return [noise[0].numpy() for noise in fine]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ of two maps, −1 to 1; 0 if one of them is constant."""
    ranks = [_ranks(values.ravel()) for values in (first, second)]
    centred = [values - values.mean() for values in ranks]
    size = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float(centred[0] @ centred[1]) / size if size > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks of the values; ties get their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _mean(probabilities: np.ndarray) -> float:
    return float(((probabilities[1:] + probabilities[:-1]) / 2).mean())
