"""Top activations: the pictures with a unit's largest activations, and the part of each that it responds to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import UsageError
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer
from pellucid.insight import selection
from pellucid.insight.activation_statistics import by_unit, constant
from pellucid.insight.flow import receptive_fields
from pellucid.insight.layer_outputs import Progress, prepared, record, sample
from pellucid.insight.layer_summary import name_of
from pellucid.insight.receptive_field import Field
from pellucid.records import Figure, Model

PICTURES = 2000
"""Number of pictures to search by default."""

UNITS, EACH = 16, 9
"""Defaults: number of units to show, and of pictures per unit."""


def top_activations(
    model: Model,
    layer: str | int,
    data: Any,
    *,
    units: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Figure:
    """The pictures with the largest activations of each unit of a layer: a figure of kind `top-activations`.

    If the layer has feature maps, a frame marks the receptive field of the largest activation, without padding.

    Args:
        model: the model.
        layer: its name, or its number among the convolutions, from 1.
        data: a `Split`, a `Dataset`, or anything that `pellucid.load` accepts. A dataset's train split is used.
        units: numbers of the units, from 1; the first 16 by default.
        limit: number of pictures to search; 2,000 by default.
        seed: seed of the sample.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: there is no such unit.
    """
    run = runner(model, network)
    module = run.module
    preprocessing = model.specification.preprocessing
    layers = run.layers
    layer_shown = selection.any_layer(layers, str(layer))
    assert layer_shown.output_shape is not None
    many = layer_shown.output_shape[0] if layer_shown.spatial else layer_shown.output_shape[-1]
    numbers = list(units) if units else list(range(1, min(many, UNITS) + 1))
    if wrong := [number for number in numbers if not 1 <= number <= many]:
        raise UsageError(f"'{layer_shown.name}' has units 1 to {many:,}; given: --unit {wrong[0]}.")
    pictures, which = sample(data, "train", limit or PICTURES, seed=seed)
    pictures, pixels = prepared(pictures, preprocessing)
    values, positions, dead = _peaks(module, pixels, preprocessing, layer_shown, numbers, progress)
    field = receptive_fields(module, preprocessing.shape).get(layer_shown.name)
    rows = []
    for row, number in enumerate(numbers):
        best = np.argsort(-values[row], kind="stable")[:EACH]
        cells = [
            _cell(pictures, pixels, int(index), values[row, index], positions[row, index], field, layer_shown)
            for index in best
        ]
        label_counts = Counter(cell["label"] for cell in cells if cell["label"] is not None)
        most_common = label_counts.most_common(1)[0] if label_counts else None
        rows.append(
            {
                "unit": number,
                "label": model.classes[number - 1] if many == len(model.classes) and not layer_shown.spatial else "",
                "highest": rounded(values[row].max()),
                "dead": bool(dead[row]),
                "most_common": list(most_common) if most_common else None,
                "cells": cells,
            }
        )
    data_shown = {
        "network": name_of(model),
        "layer": layer_shown.name,
        "kind": layer_shown.kind,
        "units": many,
        "n": len(pixels),
        "sees": None if field is None else list(field.reach),
        "rows": rows,
    }
    of = f"{len(rows)} of {many:,} units" if len(rows) < many else f"{many:,} units" if many > 1 else "its unit"
    title = f"Top activations of {layer_shown.name} of {name_of(model)} ({layer_shown.kind}): {of}"
    return Figure("top-activations", "top-activations", data_shown, title=title, note=f"Among {which}")


def _peaks(
    module: Any, pixels: np.ndarray, preprocessing: Any, layer: Layer, numbers: Sequence[int], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest activations of units.

    Returns:
        The largest value of each unit for each picture, (units, N); its flat position in the map, (units, N); and a
        mask of the units with the same value at every position of every picture, bool (units,). The mask compares all
        values, so a ReLU6 unit whose maximum is always 6 is not in it.
    """
    values = np.zeros((len(numbers), len(pixels)), np.float32)
    positions = np.zeros((len(numbers), len(pixels)), np.int64)
    which = torch.tensor([number - 1 for number in numbers])
    low, high = torch.tensor(torch.inf), torch.tensor(-torch.inf)

    def take(_: Layer, output: torch.Tensor, first: int) -> None:
        nonlocal low, high
        units = by_unit(layer, output)
        low, high = torch.minimum(low, units.amin(dim=1)), torch.maximum(high, units.amax(dim=1))
        if layer.spatial:
            flat = output[:, which].flatten(2)
        elif output.ndim == 4:
            flat = output.flatten(1, 2)[:, :, which].transpose(1, 2)
        elif output.ndim == 3:
            flat = output[:, :, which].transpose(1, 2)
        else:
            flat = output[:, which].unsqueeze(2)
        if layer.pieces > 1:  # a picture cut into windows takes `pieces` consecutive rows: join them again
            flat = flat.unflatten(0, (-1, layer.pieces)).transpose(1, 2).flatten(2)
        highest, position = flat.max(dim=2)
        values[:, first : first + len(flat)] = highest.T.numpy()
        positions[:, first : first + len(flat)] = position.T.numpy()

    record(module, pixels, preprocessing, [layer], take, progress=progress)
    return values, positions, constant(low, high)[which].numpy()


def _cell(
    pictures: Any, pixels: np.ndarray, index: int, value: float, position: int, field: Field | None, layer: Layer
) -> dict[str, Any]:
    frame = None
    if field is not None and layer.spatial:
        assert layer.output_shape is not None
        row, column = divmod(int(position), layer.output_shape[2])
        height, width = pixels.shape[2:]
        top, left, bottom, right = field.of(row, column)
        frame = [max(top, 0), max(left, 0), min(bottom, height), min(right, width)]
    labels = pictures.labels
    return {
        # At full size, since the drawing may enlarge the few pixels in the field.
        "png": png_base64(pixels[index], max(pixels.shape[2:])),
        "id": str(pictures.ids[index]),
        "label": None if labels is None else pictures.classes[int(labels[index])],
        "value": rounded(value),
        "frame": frame,
        "size": list(pixels.shape[2:]),
    }
