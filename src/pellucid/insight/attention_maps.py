"""The attention maps of a transformer for one picture, head by head."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pellucid.data import preprocessing as preparing
from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import UsageError
from pellucid.inference.hooks import OperationWatcher
from pellucid.inference.probabilities import probabilities
from pellucid.inference.runner import runner
from pellucid.insight.attribution import grid_of
from pellucid.insight.layer_summary import name_of
from pellucid.insight.selection import pick
from pellucid.records import Figure, Model

ROWS, HEADS = 6, 8
"""Numbers of layers (evenly spaced in depth, the last included) and of heads per layer to show."""


def attention(model: Model, picture: Any, *, limit: int | None = None, network: Any = None) -> Figure:
    """The attention of a transformer's layers for one picture, head by head: a figure of kind `attention`.

    With a class token, a map shows its attention to each patch. Otherwise it shows the mean attention that each patch
    receives.

    Args:
        model: the model.
        picture: see `pellucid.insight.selection.pick`.
        limit: number of layers to show; 6 by default.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        UsageError: the network has no attention over the whole picture, or the picture does not exist.
    """
    run = runner(model, network)
    module = run.module
    specification = model.specification
    split, name = pick(picture, specification)
    pixels = np.asarray(preparing.prepare(split, specification.preprocessing))
    watching = _AttentionWatcher()
    with torch.no_grad(), watching:
        outputs = module(preparing.normalise(torch.from_numpy(pixels), specification.preprocessing))
    drawn = [index for index, weights in enumerate(watching.weights) if grid_of(weights.shape[-1])]
    attentions = [watching.weights[index] for index in drawn]
    if not attentions:
        raise _nothing_to_draw(name_of(model), windowed=bool(watching.weights))
    rows = sorted({int(i) for i in np.linspace(0, len(attentions) - 1, min(limit or ROWS, len(attentions))).round()})
    grid = grid_of(attentions[-1].shape[-1])
    assert grid is not None
    before, side = grid
    rows_data = []
    for row in rows:
        weights = attentions[row][0]  # (heads, from, to)
        patch_weights = weights[:, 0, before:] if before else weights.mean(dim=1)
        maps = patch_weights.reshape(len(patch_weights), side, side).numpy()
        rows_data.append(
            {
                "layer": drawn[row] + 1,
                "mean": rounded(maps.mean(axis=0)),
                "heads": [rounded(head) for head in maps[:HEADS]],
                "many": len(maps),
                "reach": rounded(_reach(weights[:, before:, before:].numpy(), side)),
            }
        )
    share = probabilities(specification.probabilities, outputs.numpy(), specification.temperature)[0]
    data = {
        "network": name_of(model),
        "layers": len(watching.weights),
        "token": bool(before),
        "side": side,
        "rows": rows_data,
        "picture": {
            "png": png_base64(pixels[0], 256),
            "id": name,
            "label": split.classes[int(split.labels[0])] if split.labels is not None else None,
            "predicted": model.classes[int(share.argmax())],
            "probability": float(share.max()),
        },
    }
    many = len(watching.weights)
    left = f"{len(rows)} of {many} layers" if len(rows) < many else f"{many} layers"
    windowed = many - len(attentions)
    within = (
        f" The other {windowed} layers attend only within windows of the picture and are not drawn." if windowed else ""
    )
    title = f"Attention of {name_of(model)} for {name}: {left}"
    what = "The attention of the class token to each patch" if before else "The mean attention that each patch receives"
    return Figure(
        "attention", "attention", data, title=title, note=f"{what}, on a grid of {side}×{side} patches.{within}"
    )


def _nothing_to_draw(name: str, *, windowed: bool) -> UsageError:
    """The error for a network that has no attention over the whole picture."""
    which = " over the whole picture: it attends only within windows" if windowed else ""
    return UsageError(
        f"The network '{name}' has no attention{which}. For a convolutional network use --feature-maps LAYER or --why."
    )


def _reach(weights: np.ndarray, side: int) -> float:
    """Mean attention distance, in patches (Dosovitskiy et al. 2020, figure 7)."""
    positions = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    distances = np.sqrt(np.square(positions[:, np.newaxis] - positions).sum(axis=2))
    total = np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    return float((weights / total * distances).sum(axis=-1).mean())


class _AttentionWatcher(OperationWatcher):
    """Keeps the weights of each attention, (1, heads, from, to), however it is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[torch.Tensor] = []

    def before(self, function: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if getattr(function, "__name__", "") == "scaled_dot_product_attention":
            query, key = args[0], args[1]
            scale = kwargs.get("scale") or 1 / math.sqrt(query.shape[-1])
            mask = args[3] if len(args) > 3 else kwargs.get("attn_mask")
            weights = query.float() @ key.float().transpose(-2, -1) * scale
            weights = (
                weights.masked_fill(~mask, -torch.inf)
                if mask is not None and mask.dtype == torch.bool
                else weights
                if mask is None
                else weights + mask
            )
            self._keep(torch.softmax(weights, dim=-1))

    def after(self, function: Any, args: Any, kwargs: dict[str, Any], result: Any, noted: Any) -> None:  # noqa: ARG002
        if getattr(function, "__name__", "") == "softmax":
            self._keep(result)

    def _keep(self, weights: torch.Tensor) -> None:
        # The input is one picture, so a first dimension above 1 counts windows of it.
        if weights.ndim == 4 and weights.shape[-1] == weights.shape[-2]:
            self.weights.append(weights.float().clone() if len(weights) == 1 else weights.new_zeros(1, 1, 1, 1))
