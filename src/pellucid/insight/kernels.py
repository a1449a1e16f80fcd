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
"""A kernel is idle if all its weights are below this fraction of the layer's largest weight."""
GRID, UNITS, ROWS, CHANNELS = 64, 40, 16, 16
"""Shown by default: kernels in a grid, dense units in a grid, kernels in rows, input channels per row."""


def filters(
    model: Model,
    layer: str | int,
    *,
    scale: Literal["filter", "layer"] = "filter",
    limit: int | None = None,
    network: Any = None,
) -> Figure:
    """The kernels of a convolution, as a figure of kind `filters`.

    Kernels of one channel, and those of a first layer over three colours, form a grid of pictures. Deeper kernels form
    rows: one kernel per row, its input channels side by side. For a network without convolutions, the figure shows the
    weights of the dense layer that reads the picture, one picture per unit.

    Args:
        model: the model.
        layer: its name, or its number among the convolutions, from 1. A matching name wins.
        scale: `filter` scales colours by each kernel's largest weight, `layer` by the layer's.
        limit: number of kernels to show, and of channels per row. By default 64 kernels in a grid, 16 rows, or 40
            dense units.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        UnknownNameError: there is no such convolution, or no such scale.
        UsageError: the layer is of another kind, the network has nothing to draw, or the limit is below 1.
        NetworkError: a weight is infinite or NaN.
    """
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1; given: {limit}.")
    run = runner(model, network)
    module = run.module
    shape = model.specification.preprocessing.shape
    layers = run.layers
    layer_shown = selection.with_kernels(layers, str(layer), name_of(model), selection.reading(module, layers, shape))
    dense = not layer_kinds.is_convolution(layer_shown.module)
    weights = _weights(layer_shown, shape, dense=dense)
    style = _style(layer_shown, layers, weights, shape, dense=dense)
    many = limit or (ROWS if style == "channels" else UNITS if dense else GRID)
    # Sixteen pictures in a row fill a page. In a grid, all three colours form one picture.
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
        array = array[:, :, np.newaxis]  # a one-dimensional kernel is a picture of one row
    if array.ndim != 4:
        raise UsageError(
            f"The kernels of '{layer.name}' have {array.ndim - 2} dimensions, so they cannot be drawn as pictures."
        )
    if not np.isfinite(array).all():
        raise NetworkError(
            f"Weights of '{layer.name}' are infinite or NaN: training diverged. Train again with a lower learning rate."
        )
    return array


def _style(layer: Layer, layers: Trace, weights: np.ndarray, shape: tuple[int, int, int], *, dense: bool) -> str:
    """`signed` for one channel, `colour` for a picture's three, `channels` for the outputs of other layers."""
    if weights.shape[1] == 1:
        return "signed"
    weighted = [other.name for other in layers.layers if other.parameters]
    first = dense or (weighted[:1] == [layer.name] and layer.input_shape is not None and layer.input_shape[0] == 3)
    return "colour" if first and weights.shape[1] == 3 == shape[0] else "channels"


def _called(layer: Layer, network: str) -> str:
    number = f", convolution {layer.number}" if layer.number is not None else ""
    return f"{layer.name} of {network}{number}"


def _limits(data: dict[str, Any]) -> str:
    """A sentence on the kernels that are not shown."""
    many, channels = data["shape"][:2]
    shown, channels_shown = len(data["kernels"]), len(data["kernels"][0]["weights"])
    left = []
    if shown < many:
        left.append(f"first {shown} of {many:,} {'units' if data['dense'] else 'kernels'} shown")
    if channels_shown < channels:
        left.append(f"first {channels_shown} of {channels:,} input channels shown")
    return ("; ".join(left)[:1].upper() + "; ".join(left)[1:] + ".") if left else ""


def _idle(kernel: np.ndarray, weights: np.ndarray) -> bool:
    """Whether all weights of a kernel are close to 0, as weight decay makes unused kernels."""
    return bool(np.abs(kernel).max() < _IDLE * np.abs(weights).max())


LEAST = 0.5
"""Smallest strength of a clear response to an edge or a line."""

_ANGLES = np.arange(0, 180, 7.5)
_NAMES = {0: "horizontal", 90: "vertical", 45: "rising", 135: "falling"}


def answers_to(kernel: np.ndarray) -> dict[str, Any] | None:
    """The edge or line that a kernel responds to most strongly, with either sign.

    An edge stimulus e is −1 on one side of a line through the centre and +1 on the other. A line stimulus is high along
    the line, low on both sides, and sums to 0. The strength is |Σ w·e| / (max |e| · Σ |w|), 0 to 1. A line's strength
    is reduced by the response to the perpendicular line, so that a blob does not count as a line.

    Args:
        kernel: weights (C, H, W). The stimulus is grey, the same in all channels, so a kernel for a colour, whose
            weights cancel over the channels, responds to no edge.

    Returns:
        `shape`: `edge` or `line`; `angle` in degrees: 0 horizontal, 90 vertical, rising to the right between; `name` of
        the nearest of four directions (horizontal or vertical on a tie); `strength`; and whether that is `clear`. None
        for a kernel smaller than 3×3 or with mean weights of 0.
    """
    weights = kernel.mean(axis=0)
    if min(weights.shape) < 3 or not weights.any():
        return None
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in weights.shape)
    x, y = np.meshgrid(columns, -rows)
    total = float(np.abs(kernel).mean(axis=0).sum())
    responses = []
    for angle in _ANGLES:
        edge, line = (_response(weights, stimulus, total) for stimulus in _stimuli(x, y, angle))
        # A blob responds equally to lines at every angle, so the part shared with the perpendicular line is removed.
        perpendicular = _response(weights, _stimuli(x, y, angle + 90)[1], total)
        shared = min(abs(perpendicular), abs(line)) if perpendicular * line > 0 else 0.0
        responses += [(abs(edge), float(angle), "edge"), (abs(line) - shared, float(angle), "line")]
    strength, angle, shape = max(responses)
    nearest = min(_NAMES, key=lambda name_angle: min(abs(angle - name_angle), 180 - abs(angle - name_angle)))
    return {
        "shape": shape,
        "angle": angle,
        "name": _NAMES[nearest],
        "strength": rounded(strength),
        "clear": strength >= LEAST,
    }


def _stimuli(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """An edge and a line through the centre of a kernel, at an angle in degrees."""
    radians = np.deg2rad(angle)
    distance = x * np.sin(radians) - y * np.cos(radians)
    line = np.clip(1.5 - np.abs(distance), -1, 1)
    # The small slope breaks ties between angles that split a small kernel in the same way.
    return np.clip(2 * distance, -1, 1) + 1e-3 * distance, line - line.mean()


def _response(weights: np.ndarray, stimulus: np.ndarray, total: float) -> float:
    """The normalised response of a kernel to a stimulus, −1 to 1."""
    return float((weights * stimulus).sum()) / float(np.abs(stimulus).max() * total)
