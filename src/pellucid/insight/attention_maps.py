"""Where a transformer looks: the attention of every head, for one picture."""

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
"""Number of layers, evenly over the depth with the last one, and number of heads of each, that are shown."""


def attention(model: Model, picture: Any, *, limit: int | None = None, network: Any = None) -> Figure:
    """The attention of a transformer's layers for one picture, head by head: a figure of kind `attention`.

    With a class token, the maps show its attention to each patch; else the attention that each patch gets on average.

    Args:
        model: the model.
        picture: see `pellucid.insight.selection.pick`.
        limit: number of layers to show; 6 by default.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        UsageError: the network has no attention over the whole picture; there is no such picture.
    """
    run = runner(model, network)
    module = run.module
    specification = model.specification
    split, name = pick(picture, specification)
    pixels = np.asarray(preparing.prepare(split, specification.preprocessing))
    watching = _AttentionWatcher()
    with torch.no_grad(), watching:
        outputs = module(preparing.normalise(torch.from_numpy(pixels), specification.preprocessing))
    drawn = [index for index, weights in enumerate(watching.found) if grid_of(weights.shape[-1])]
    attentions = [watching.found[index] for index in drawn]
    if not attentions:
        raise _nothing_to_draw(name_of(model), windowed=bool(watching.found))
    rows = sorted({int(i) for i in np.linspace(0, len(attentions) - 1, min(limit or ROWS, len(attentions))).round()})
    grid = grid_of(attentions[-1].shape[-1])
    assert grid is not None
    before, side = grid
    rows_data = []
    for row in rows:
        weights = attentions[row][0]  # (heads, from, to)
        looked = weights[:, 0, before:] if before else weights.mean(dim=1)
        maps = looked.reshape(len(looked), side, side).numpy()
        rows_data.append(
            {
                "layer": drawn[row] + 1,
                "mean": rounded(maps.mean(axis=0)),
                "heads": [rounded(one) for one in maps[:HEADS]],
                "many": len(maps),
                "reach": rounded(_reach(weights[:, before:, before:].numpy(), side)),
            }
        )
    share = probabilities(specification.probabilities, outputs, specification.temperature).numpy()[0]
    data = {
        "network": name_of(model),
        "layers": len(watching.found),
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
    many = len(watching.found)
    left = f"{len(rows)} of {many} layers" if len(rows) < many else f"{many} layers"
    windowed = many - len(attentions)
    within = (
        f" The other {windowed} layers attend within windows of the picture, and are not drawn." if windowed else ""
    )
    title = f"Where {name_of(model)} looks in {name}: {left}"
    what = "The attention of the class token to each patch" if before else "The attention that each patch gets"
    return Figure(
        "attention", "attention", data, title=title, note=f"{what}, on a grid of {side}×{side} patches.{within}"
    )


def _nothing_to_draw(name: str, *, windowed: bool) -> UsageError:
    """The error for a network without attention over the whole picture."""
    which = " that can be drawn: it attends only over parts of the picture" if windowed else ""
    return UsageError(
        f"The network '{name}' has no attention{which}. For a convolutional network use --feature-maps LAYER or --why."
    )


def _reach(weights: np.ndarray, side: int) -> float:
    """Mean distance of a patch to those that it attends to, in patches (Dosovitskiy et al. 2020, figure 7)."""
    positions = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    distances = np.sqrt(np.square(positions[:, np.newaxis] - positions).sum(axis=2))
    total = np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    return float((weights / total * distances).sum(axis=-1).mean())


class _AttentionWatcher(OperationWatcher):
    """Keeps the weights of each attention, (1, heads, from, to), however it is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[torch.Tensor] = []

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
        # One picture: where the first number is larger, it counts windows of the picture.
        if weights.ndim == 4 and weights.shape[-1] == weights.shape[-2]:
            self.found.append(weights.float().clone() if len(weights) == 1 else weights.new_zeros(1, 1, 1, 1))
