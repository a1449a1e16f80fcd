"""Test-time augmentation (TTA): averages the outputs of several views of pictures with an unsure prediction.

A view is mirrored, or shifted by one pixel along the diagonal with the edge mirrored (Jordan 2024, arXiv:2404.00498).
Each view costs a forward pass, so only pictures with an unsure first prediction get them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

View = Callable[[np.ndarray], np.ndarray]


def weighted_views(views: Sequence[str]) -> list[tuple[float, View]]:
    """The views: (weight, function from uint8 (N, C, H, W) to a view of the same shape). The weights sum to 1.

    `flip` halves every weight and adds the mirror image. `shift` adds two pictures shifted by one pixel, which together
    weigh as much as the original.
    """
    views_with_weights: list[tuple[float, View]] = [(1.0, lambda pictures: pictures)]
    if "shift" in views:
        views_with_weights = [
            (0.5, views_with_weights[0][1]),
            (0.25, lambda pictures: _shifted(pictures, 1)),
            (0.25, lambda pictures: _shifted(pictures, -1)),
        ]
    if "flip" in views:
        views_with_weights = [(weight / 2, view) for weight, view in views_with_weights] + [
            (weight / 2, lambda pictures, view=view: view(pictures)[..., ::-1]) for weight, view in views_with_weights
        ]
    return views_with_weights


def average_views(
    outputs: np.ndarray,
    pictures: np.ndarray,
    forward: Callable[[np.ndarray], np.ndarray],
    probabilities: Callable[[np.ndarray], np.ndarray],
    views: Sequence[str],
    below: float,
) -> np.ndarray:
    """The outputs, (N, K); for unsure pictures, the weighted mean over their views.

    Args:
        outputs: the outputs of the original pictures, (N, K).
        pictures: uint8 (N, C, H, W).
        forward: maps pictures to outputs.
        probabilities: maps outputs to probabilities, (N, K).
        views: names of views: `flip`, `shift`.
        below: pictures whose largest probability is below this are unsure.
    """
    unsure = np.flatnonzero(probabilities(outputs).max(axis=1, initial=0) < below)
    if not views or not len(unsure):
        return outputs
    unsure_pictures = pictures[unsure]
    (first, _), *others = weighted_views(views)
    mean_outputs = first * outputs[unsure]
    for weight, view in others:
        mean_outputs = mean_outputs + weight * forward(view(unsure_pictures))
    outputs = outputs.copy()
    outputs[unsure] = mean_outputs
    return outputs


def _shifted(pictures: np.ndarray, step: int) -> np.ndarray:
    """Pictures shifted by `step` pixels down and to the right, with the edge mirrored."""
    height, width = pictures.shape[-2:]
    rows = np.abs(np.arange(height) - step)
    columns = np.abs(np.arange(width) - step)
    rows = np.where(rows >= height, 2 * (height - 1) - rows, rows).clip(min=0)
    columns = np.where(columns >= width, 2 * (width - 1) - columns, columns).clip(min=0)
    return pictures[..., rows, :][..., columns]
