"""The feature maps of a layer for one picture, as a figure."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.inference import layer_kinds
from pellucid.inference.hooks import first_tensor, hooked
from pellucid.inference.probabilities import probabilities
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer
from pellucid.insight import selection
from pellucid.insight.layer_summary import name_of
from pellucid.insight.selection import pick
from pellucid.records import Figure, Model
from pellucid.records.names import counted

SCALES = ("layer", "map")
MAPS = 64
"""Number of maps to show by default."""


def feature_maps(
    model: Model,
    layer: str | int,
    picture: Any,
    *,
    scale: Literal["layer", "map"] = "layer",
    limit: int | None = None,
    network: Any = None,
) -> Figure:
    """The feature maps of a layer for one picture, sorted by largest activation: a figure of kind `feature-maps`.

    Args:
        model: the model.
        layer: its name, or its number among the convolutions, from 1. Its output must be (C, H, W) or (H, W, C).
        picture: a file, `mnist:17`, an array ...; see `pellucid.insight.selection.pick`.
        scale: `layer` scales colours by the layer's largest value, `map` by each map's own.
        limit: number of maps to show; 64 by default.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        UnknownNameError: there is no such layer, or no such scale.
        UsageError: the layer has no feature maps, the picture does not exist, or the limit is below 1.
        FormatError: the picture cannot be read.
        NetworkError: a value is infinite or NaN.
    """
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1; given: {limit}.")
    run = runner(model, network)
    module = run.module
    specification = model.specification
    layer_shown = selection.with_maps(run.layers, str(layer), name_of(model))
    split, name = pick(picture, specification)
    pixels = np.asarray(preparing.prepare(split, specification.preprocessing))
    values, outputs = _run(
        module, layer_shown, preparing.normalise(torch.from_numpy(pixels), specification.preprocessing)
    )
    shares = probabilities(specification.probabilities, outputs.numpy(), specification.temperature)[0]
    if not (np.isfinite(values).all() and np.isfinite(shares).all()):
        raise NetworkError(
            f"The outputs of '{layer_shown.name}' or of a later layer are infinite or NaN: training diverged. Train "
            f"again with a lower learning rate."
        )
    order = np.argsort(-values.max(axis=(1, 2)), kind="stable")[: limit or MAPS]
    label = split.classes[int(split.labels[0])] if split.labels is not None else None
    data = {
        "network": name_of(model),
        "layer": layer_shown.name,
        "kind": layer_shown.kind,
        "number": layer_shown.number,
        "shape": list(values.shape),
        "scale": scale,
        "largest": rounded(np.abs(values).max()),
        "lowest": rounded(values.min()),
        "picture": {
            "png": png_base64(pixels[0], 256),
            "id": name,
            "label": label,
            "predicted": model.classes[int(shares.argmax())],
            "probability": float(shares.max()),
        },
        "maps": [
            {"number": int(i) + 1, "values": rounded(values[i]), "highest": rounded(values[i].max())} for i in order
        ],
    }
    number = f", convolution {layer_shown.number}" if layer_shown.number is not None else ""
    note = f"The {len(order)} most active of {len(values):,} maps shown." if len(order) < len(values) else ""
    maps = f"{_count(len(values))} of {layer_kinds.times(values.shape[1:])}"
    title = f"{layer_shown.name} of {name_of(model)}{number}: {maps} for {name}"
    return Figure("feature_maps", "feature-maps", data, title=title, note=note)


def _run(module: nn.Module, layer: Layer, batch: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
    """The maps of the layer, (C, H, W), and the network's outputs, (1, K)."""
    maps: list[np.ndarray] = []
    # Copied, since an in-place activation would overwrite the output.

    def keep(_: str, __: nn.Module, ___: Any, output: Any) -> None:
        maps.append(first_tensor(output)[0].float().numpy().copy())

    with hooked({layer.name: layer.module}, after=keep), torch.no_grad():
        outputs = module(batch)
    time = int(layer.name.rpartition(":")[2]) if ":" in layer.name else 1
    values = maps[time - 1]
    return values.transpose(2, 0, 1) if layer.channels_last else values, outputs


def _count(maps: int) -> str:
    return counted(maps, "map")
