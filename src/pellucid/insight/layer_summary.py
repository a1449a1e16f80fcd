"""The layers of a model as findings."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from pellucid.data.thumbnails import rounded
from pellucid.inference import layer_kinds
from pellucid.inference.runner import runner
from pellucid.insight.flow import receptive_fields
from pellucid.networks.network import count_parameters, declaration
from pellucid.records import Findings, Metric, Model, Table
from pellucid.records.names import listed

COLUMNS = ("conv", "layer", "kind", "output", "parameters", "multiply-adds", "sees", "kB")


_OUTPUT_MEMORY = "layer outputs for one picture as float32: about the activation memory per picture in training"


def summary(model: Model, network: Any = None) -> Findings:
    """The layers in order of execution: name, kind, output shape, parameters, multiply-adds, field, memory.

    Args:
        model: the model.
        network: for a model of the user's own network; see `pellucid.build`.

    Returns:
        The metrics `parameters`, `multiply_adds` (for one picture), `parameter_memory` and `output_memory`, and the
        table `layers`. Its column `conv` numbers the convolutions; `filters` and `feature_maps` accept these numbers.
        `sees` is the receptive field in pixels, None if that is the whole picture or unknown. `kB` is the size of a
        layer's output as float32.
    """
    run = runner(model, network)
    module = run.module
    shape = model.specification.preprocessing.shape
    layers = run.layers
    fields = receptive_fields(module, shape)
    rows: list[tuple[Any, ...]] = [(None, "picture", "input", layer_kinds.times(shape), 0, 0, "1×1", _kilobytes(shape))]
    for layer in (*layers.layers, *layers.others):
        output = layer_kinds.times(layer.output_shape) if layer.output_shape is not None else None
        sees = layer_kinds.times(fields[layer.name].reach) if layer.name in fields else None
        kilobytes = _kilobytes(layer.output_shape)
        rows.append(
            (layer.number, layer.name, layer.kind, output, layer.parameters, layer.multiply_adds, sees, kilobytes)
        )
    if layers.between:
        rows.append((None, "between layers", "products of matrices", None, 0, layers.between, None, None))
    parameters = sum(row[4] for row in rows)
    unknown = [layer.name for layer in layers.layers if layer.multiply_adds is None]
    fixed = parameters - count_parameters(module)
    notes = [
        "Output: channels × height × width. A multiply-add is one multiplication and one addition.",
        "Sees: the receptive field in pixels, padding included; a dash means the whole picture, or unknown.",
    ]
    if unknown:
        notes.append(f"Multiply-adds are unknown, so not in the sum, for {listed(unknown, 6, quoted=False)}.")
    partial = [layer.name for layer in layers.layers if callable(getattr(layer.module, "dense_weight", None))]
    if partial:
        notes.append(
            "Multiply-adds include the zeros of missing connections, which are computed too: "
            f"{listed(partial, 6, quoted=False)}."
        )
    if layers.left_out:
        notes.append(f"Layers that change nothing or never run are omitted: {layers.left_out}.")
    notes += declaration(module).notes
    return Findings(
        (
            Metric("parameters", parameters, 0, unit="count", note=f"{fixed:,} of them fixed" if fixed else ""),
            Metric("multiply_adds", sum(row[5] or 0 for row in rows), 1, unit="count", note="for one picture"),
            Metric("parameter_memory", _bytes(module) / 1e6, 0, unit="MB", note="in memory"),
            Metric("output_memory", sum(row[7] or 0 for row in rows) / 1e3, 1, unit="MB", note=_OUTPUT_MEMORY),
            Table("layers", COLUMNS, tuple(rows), " ".join(notes)),
        ),
        title=f"{name_of(model)}: {layer_kinds.times(shape)} to {len(model.classes)} classes",
    )


def name_of(model: Model) -> str:
    """The name of the model's network; for the user's own network, its class."""
    named = model.specification.network
    return named.source.rpartition(":")[2] or named.name if named.name == "custom" else named.name


def _kilobytes(shape: tuple[int, ...] | None) -> float | None:
    """Size of an array of that shape as float32, in thousands of bytes."""
    return None if shape is None else rounded(math.prod(shape) * 4 / 1000)


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
