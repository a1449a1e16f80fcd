"""The layers of a model as findings."""

from __future__ import annotations

from typing import Any

from pellucid.inference.building import build
from pellucid.insight import kinds
from pellucid.insight.tracing import trace
from pellucid.networks.network import count_parameters, declaration
from pellucid.records import Findings, Metric, Model, Table

COLUMNS = ("conv", "layer", "kind", "output", "parameters", "multiply-adds")


def summary(model: Model, network: Any = None) -> Findings:
    """The layers in the order in which they run: name, kind, output shape, parameters, multiply-adds.

    Args:
        model: the model.
        network: for a model of the user's own network; see `pellucid.build`.

    Returns:
        The metrics `parameters` and `multiply_adds` (for one picture) and the table `layers`. Its column `conv` numbers
        the convolutions, which `filters` and `feature_maps` take for their names.
    """
    module = build(model, network)
    shape = model.specification.preprocessing.shape
    found = trace(module, shape)
    rows: list[tuple[Any, ...]] = [(None, "picture", "input", kinds.times(shape), 0, 0)]
    for layer in (*found.layers, *found.others):
        output = kinds.times(layer.output_shape) if layer.output_shape is not None else None
        rows.append((layer.number, layer.name, layer.kind, output, layer.parameters, layer.multiply_adds))
    if found.between:
        rows.append((None, "between layers", "products of matrices", None, 0, found.between))
    parameters = sum(row[4] for row in rows)
    unknown = [layer.name for layer in found.layers if layer.multiply_adds is None]
    fixed = parameters - count_parameters(module)
    notes = ["Output: channels × height × width. A multiply-add is one product that is added to a sum."]
    if unknown:
        notes.append(f"Not known, so not in the sum: the multiply-adds of {_listed(unknown)}.")
    partial = [layer.name for layer in found.layers if callable(getattr(layer.module, "dense_weight", None))]
    if partial:
        notes.append(f"Counted with the zeros where there is no connection, as they are computed: {_listed(partial)}.")
    if found.left_out:
        notes.append(f"Layers that hand on what they are given, or never ran, are left out: {found.left_out}.")
    notes += declaration(module).notes
    return Findings(
        (
            Metric("parameters", parameters, 0, unit="count", note=f"{fixed:,} of them fixed" if fixed else ""),
            Metric("multiply_adds", sum(row[5] or 0 for row in rows), 1, unit="count", note="for one picture"),
            Table("layers", COLUMNS, tuple(rows), " ".join(notes)),
        ),
        title=f"{name_of(model)}: {kinds.times(shape)} to {len(model.classes)} classes",
    )


def name_of(model: Model) -> str:
    """What the model's network is called; the user's own by its class."""
    named = model.specification.network
    return named.source.rpartition(":")[2] or named.name if named.name == "custom" else named.name


def _listed(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
