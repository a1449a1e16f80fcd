"""Test-time augmentation: for pictures with an unsure prediction, the outputs of several views are averaged.

Views are mirrored, or moved by a pixel along the diagonal with the edge mirrored (Jordan 2024, arXiv:2404.00498). They
cost a forward pass each, so only pictures with an unsure first prediction get them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

View = Callable[[torch.Tensor], torch.Tensor]


def looks(views: Sequence[str]) -> list[tuple[float, View]]:
    """The views: (weight, function from uint8 (N, C, H, W) to a view of the same shape). The weights sum to 1.

    `flip` halves every weight and adds the mirror image; `shift` adds the two pictures that are moved by a pixel, which
    together weigh as much as the one that is not.
    """
    views_with_weights: list[tuple[float, View]] = [(1.0, lambda pictures: pictures)]
    if "shift" in views:
        views_with_weights = [
            (0.5, views_with_weights[0][1]),
            (0.25, lambda pictures: _moved(pictures, 1)),
            (0.25, lambda x: _moved(x, -1)),
        ]
    if "flip" in views:
        views_with_weights = [(weight / 2, look) for weight, look in views_with_weights] + [
            (weight / 2, lambda pictures, look=look: look(pictures).flip(-1)) for weight, look in views_with_weights
        ]
    return views_with_weights


def look_again(
    outputs: torch.Tensor,
    pictures: torch.Tensor,
    forward: Callable[[torch.Tensor], torch.Tensor],
    probabilities: Callable[[torch.Tensor], torch.Tensor],
    views: Sequence[str],
    below: float,
) -> torch.Tensor:
    """The outputs (N, K), with those of unsure pictures replaced by the weighted mean over their views.

    Args:
        outputs: for the plain pictures.
        pictures: uint8 (N, C, H, W).
        forward: from pictures to outputs.
        probabilities: from outputs to probabilities (N, K).
        views: `flip`, `shift`.
        below: pictures whose largest probability is below this get all views.
    """
    unsure = torch.nonzero(probabilities(outputs).amax(dim=1) < below)[:, 0]
    if not views or not len(unsure):
        return outputs
    unsure_pictures = pictures[unsure]
    (first, _), *others = looks(views)
    mean_outputs = first * outputs[unsure]
    for weight, look in others:
        mean_outputs = mean_outputs + weight * forward(look(unsure_pictures))
    outputs = outputs.clone()
    outputs[unsure] = mean_outputs
    return outputs


def _moved(pictures: torch.Tensor, step: int) -> torch.Tensor:
    """Shifted by `step` pixels down and to the right, with the edge mirrored."""
    height, width = pictures.shape[-2:]
    rows = (torch.arange(height, device=pictures.device) - step).abs()
    columns = (torch.arange(width, device=pictures.device) - step).abs()
    rows = torch.where(rows >= height, 2 * (height - 1) - rows, rows).clamp(min=0)
    columns = torch.where(columns >= width, 2 * (width - 1) - columns, columns).clamp(min=0)
    return pictures[..., rows, :][..., columns]
