"""The kernels of a convolution, or the weights of a first dense layer, as a figure."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pellucid.data.thumbnails import rounded
from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.inference import layer_kinds
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer, Trace
from pellucid.insight import selection
from pellucid.insight.layer_summary import name_of
from pellucid.records import Figure, Model

SCALES = ("filter", "layer")
_IDLE = 1e-4
"""A kernel whose weights are all below this share of the layer's largest weight does next to nothing."""
GRID, UNITS, ROWS, CHANNELS = 64, 40, 16, 16
"""Shown by default: kernels in a grid, dense units in a grid, kernels as rows, input channels of a row."""


def filters(
    model: Model,
    layer: str | int,
    *,
    scale: Literal["filter", "layer"] = "filter",
    limit: int | None = None,
    network: Any = None,
) -> Figure:
    """The kernels of a convolution, as a figure of kind `filters`.

    Kernels that see one channel are a grid of pictures, and so are those of a first layer that see the three colours.
    Deeper ones are rows, one a kernel, with its input channels side by side. For a network without convolutions: the
    weights of the dense layer that reads the picture, one picture a unit.

    Args:
        model: the model.
        layer: its name, or its number among the convolutions, from 1. A name that is there wins.
        scale: `filter` colours each kernel by its own largest weight, `layer` all of them by that of the layer.
        limit: number of kernels to show, and in rows the number of their channels. By default 64, in rows
            16, of dense units 40.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        UnknownNameError: there is no such convolution, or no such scale.
        UsageError: the layer is of another kind, the network has nothing to draw, or the limit is below 1.
        NetworkError: the weights are not numbers.
    """
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    if limit is not None and limit < 1:
        raise UsageError(f"At least one kernel is shown; given: --limit {limit}.")
    run = runner(model, network)
    module = run.module
    shape = model.specification.preprocessing.shape
    layers = run.layers
    layer_shown = selection.with_kernels(layers, str(layer), name_of(model), selection.reading(module, layers, shape))
    dense = not layer_kinds.is_convolution(layer_shown.module)
    weights = _weights(layer_shown, shape, dense=dense)
    style = _style(layer_shown, layers, weights, shape, dense=dense)
    many = limit or (ROWS if style == "channels" else UNITS if dense else GRID)
    # A row of sixteen pictures is as wide as a page; of those that are no rows, all three colours are one picture.
    channels = min(weights.shape[1], limit or CHANNELS) if style == "channels" else weights.shape[1]
    labels = model.classes if dense and len(weights) == len(model.classes) else ()
    shown = [
        {
            "number": index + 1,
            "label": labels[index] if labels else "",
            "weights": rounded(kernel[:channels]),
            "largest": rounded(np.abs(kernel).max()),
            "answers_to": None if dense or style == "channels" or _idle(kernel, weights) else answers_to(kernel),
            "idle": _idle(kernel, weights),
        }
        for index, kernel in enumerate(weights[:many])
    ]
    data = {
        "network": name_of(model),
        "layer": layer_shown.name,
        "kind": layer_shown.kind,
        "number": layer_shown.number,
        "shape": list(weights.shape),
        "style": style,
        "dense": dense,
        "groups": getattr(layer_shown.module, "groups", 1),
        "scale": scale,
        "largest": rounded(np.abs(weights).max()),
        "kernels": shown,
    }
    what = f"{len(weights):,} {'units' if dense else 'kernels'} of {layer_kinds.times(weights.shape[1:])}"
    return Figure(
        "filters", "filters", data, title=f"{_called(layer_shown, name_of(model))}: {what}", note=_limits(data)
    )


def _weights(layer: Layer, shape: tuple[int, int, int], *, dense: bool) -> np.ndarray:
    """(kernels, channels, height, width)."""
    weight: Any = layer.module.weight if dense else layer_kinds.weight_of(layer.module)
    array = (weight.unflatten(1, shape) if dense else weight).detach().float().cpu().numpy()
    if array.ndim == 3:
        array = array[:, :, np.newaxis]  # a kernel along one direction is a picture of one row
    if array.ndim != 4:
        raise UsageError(f"The kernels of '{layer.name}' have {array.ndim - 2} directions, so they are no pictures.")
    if not np.isfinite(array).all():
        raise NetworkError(
            f"Weights of '{layer.name}' are infinite or not numbers: they were spoilt while the network learned. "
            f"Train again with a lower learning rate."
        )
    return array


def _style(layer: Layer, layers: Trace, weights: np.ndarray, shape: tuple[int, int, int], *, dense: bool) -> str:
    """`signed` for one channel, `colour` for the three of a picture, `channels` for those that layers made."""
    if weights.shape[1] == 1:
        return "signed"
    weighted = [one.name for one in layers.layers if one.parameters]
    first = dense or (weighted[:1] == [layer.name] and layer.input_shape is not None and layer.input_shape[0] == 3)
    return "colour" if first and weights.shape[1] == 3 == shape[0] else "channels"


def _called(layer: Layer, network: str) -> str:
    number = f", convolution {layer.number}" if layer.number is not None else ""
    return f"{layer.name} of {network}{number}"


def _limits(data: dict[str, Any]) -> str:
    """A sentence on the kernels that are not shown."""
    many, channels = data["shape"][:2]
    shown, seen = len(data["kernels"]), len(data["kernels"][0]["weights"])
    left = []
    if shown < many:
        left.append(f"first {shown} of {many:,} {'units' if data['dense'] else 'kernels'} shown")
    if seen < channels:
        left.append(f"first {seen} of {channels:,} input channels shown")
    return ("; ".join(left)[:1].upper() + "; ".join(left)[1:] + ".") if left else ""


def _idle(kernel: np.ndarray, weights: np.ndarray) -> bool:
    """Whether all weights of a kernel are close to 0, as weight decay leaves unused kernels."""
    return bool(np.abs(kernel).max() < _IDLE * np.abs(weights).max())


LEAST = 0.5
"""A kernel responds to an edge or a line if at least this share of its weights works for it."""

_ANGLES = np.arange(0, 180, 7.5)
_NAMES = {0: "horizontal", 90: "vertical", 45: "rising", 135: "falling"}


def answers_to(kernel: np.ndarray) -> dict[str, Any] | None:
    """The edge or the line for which a kernel gives its largest value, of either sign.

    An edge e is −1 on one side of a line through the middle, and +1 on the other; a line is high along it and low at
    both sides, 0 in the sum. The strength, |Σ w·e| / (max |e| · Σ |w|), is how much of the kernel works for it, 0 to 1;
    from that of a line, the response to the line across is subtracted, so that a blob counts as no line.

    Args:
        kernel: weights (C, H, W), which are shown the edge in grey, alike in all channels: weights that cancel each
            other there, as those of a kernel for a colour do, work for no edge.

    Returns:
        `shape`: `edge` or `line`; `angle` in degrees, 0 lying, 90 upright, rising to the right below 90; `name` of the
        nearest of four directions, of two that are as near the
        upright or lying one; `strength`; and whether that is `clear`. None for a kernel of less than 3×3.
    """
    weights = kernel.mean(axis=0)
    if min(weights.shape) < 3 or not weights.any():
        return None
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in weights.shape)
    x, y = np.meshgrid(columns, -rows)
    total = float(np.abs(kernel).mean(axis=0).sum())
    responses = []
    for angle in _ANGLES:
        edge, line = (_response(weights, one, total) for one in _shown(x, y, angle))
        # A blob answers alike to lines at every angle, and so to none.
        across = _response(weights, _shown(x, y, angle + 90)[1], total)
        alike = min(abs(across), abs(line)) if across * line > 0 else 0.0
        responses += [(abs(edge), float(angle), "edge"), (abs(line) - alike, float(angle), "line")]
    strength, angle, shape = max(responses)
    nearest = min(_NAMES, key=lambda one: min(abs(angle - one), 180 - abs(angle - one)))
    return {
        "shape": shape,
        "angle": angle,
        "name": _NAMES[nearest],
        "strength": rounded(strength),
        "clear": strength >= LEAST,
    }


def _shown(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """An edge and a line at an angle, through the middle of a kernel."""
    turned = np.deg2rad(angle)
    away = x * np.sin(turned) - y * np.cos(turned)
    line = np.clip(1.5 - np.abs(away), -1, 1)
    # The slope decides between angles that part a small kernel in the same way.
    return np.clip(2 * away, -1, 1) + 1e-3 * away, line - line.mean()


def _response(weights: np.ndarray, stimulus: np.ndarray, total: float) -> float:
    """−1 to 1."""
    return float((weights * stimulus).sum()) / float(np.abs(stimulus).max() * total)
