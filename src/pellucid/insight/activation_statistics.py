"""Activation statistics of each layer over many pictures: the distribution of its outputs, and dead units."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pellucid.data.thumbnails import rounded
from pellucid.errors import NetworkError
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer
from pellucid.insight.layer_outputs import Progress, prepared, record, sample
from pellucid.insight.layer_summary import name_of
from pellucid.records import Figure, Findings, Model, Table
from pellucid.records.names import counted

PICTURES = 500
"""Number of pictures by default."""

COLUMNS = ("layer", "kind", "units", "mean", "std", "zeros %", "constant", "never above 0")
_BINS = 60
_EACH = 40_000
"""Number of values of each layer that its histogram uses."""


def by_unit(layer: Layer, output: torch.Tensor) -> torch.Tensor:
    """A batch of outputs, (B, units, H, W), (B, tokens, units) or (B, units), as (units, values per unit)."""
    return output.transpose(0, 1).flatten(1) if layer.spatial else output.flatten(0, -2).T


def constant(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """A mask of the units whose output never changes beyond rounding errors, bool (units,).

    Args:
        low: the lowest output of each unit of a layer, (units,).
        high: the highest output of each unit, (units,).
    """
    return (high - low) <= 1e-6 * (high.max() - low.min()).clamp(min=1e-30)


class _Tally:
    """Running statistics of a layer."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.low: torch.Tensor | None = None
        self.high: torch.Tensor | None = None
        self.count, self.sum, self.squares, self.zeros = 0, 0.0, 0.0, 0
        self.kept: list[np.ndarray] = []

    def add(self, output: torch.Tensor, share: float) -> None:
        """Adds the outputs of a batch, which is this share of all pictures."""
        units = by_unit(self.layer, output)
        low, high = units.amin(dim=1), units.amax(dim=1)
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)
        self.count += units.numel()
        self.sum += float(units.double().sum())
        self.squares += float(units.double().square().sum())
        self.zeros += int((units == 0).sum())
        flat = units.flatten()
        step = max(1, int(flat.numel() / max(_EACH * share, 1)))
        self.kept.append(flat[step // 2 :: step].numpy().copy())


def activations(
    model: Model,
    data: Any,
    *,
    split: str = "train",
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """The distribution of each layer's outputs over many pictures: the table `activations` and a figure of that kind.

    A unit is a feature map of a convolution, or one output of a dense layer. A unit is `constant` if it gives the same
    value at every position of every picture; after a ReLU such a unit is called dead. `never above 0` counts the units
    whose outputs a following ReLU would set to 0.

    Args:
        model: the model.
        data: a `Dataset`, a `Split`, or anything that `pellucid.load` accepts.
        split: the split to use.
        limit: number of pictures; 500 by default.
        seed: seed of the sample.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).

    Raises:
        NetworkError: an output is infinite or NaN.
    """
    run = runner(model, network)
    module = run.module
    preprocessing = model.specification.preprocessing
    pictures, which = sample(data, split, limit or PICTURES, seed=seed)
    pictures, pixels = prepared(pictures, preprocessing)
    layers = run.layers
    tallies = {layer.name: _Tally(layer) for layer in layers.layers if layer.output_shape}

    def take(layer: Layer, output: torch.Tensor, _: int) -> None:
        if output.ndim > 1:
            tallies[layer.name].add(output, len(output) / len(pixels))

    record(module, pixels, preprocessing, [tally.layer for tally in tallies.values()], take, progress=progress)
    rows, drawn = [], []
    for name, tally in tallies.items():
        if tally.low is None or tally.high is None:
            continue
        row, histogram = _statistics(name, tally)
        rows.append(row)
        drawn.append(histogram)
    note = f"Measured on {which} A constant unit gives the same value everywhere; after a ReLU it is dead."
    title = f"Outputs of the layers of {name_of(model)} for {counted(len(pixels), 'picture')}"
    figure = Figure(
        "activation_histograms",
        "activations",
        {"network": name_of(model), "layers": drawn, "n": len(pixels)},
        title=title,
        note=which,
    )
    return Findings((Table("activations", COLUMNS, tuple(rows), note), figure))


def _statistics(name: str, tally: _Tally) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The table row and the histogram of a layer.

    Raises:
        NetworkError: an output is infinite or NaN.
    """
    assert tally.low is not None
    assert tally.high is not None
    mean = tally.sum / tally.count
    deviation = max(tally.squares / tally.count - mean**2, 0.0) ** 0.5
    if not np.isfinite((mean, deviation)).all():
        raise NetworkError(
            f"The outputs of '{name}' are infinite or NaN: training diverged. Train again with a lower learning rate."
        )
    dead = int(constant(tally.low, tally.high).sum())
    silent = int((tally.high <= 0).sum())
    units = len(tally.low)
    row = (
        name,
        tally.layer.kind,
        units,
        rounded(mean),
        rounded(deviation),
        tally.zeros / tally.count,
        dead,
        silent,
    )
    values = np.concatenate(tally.kept)
    edges = np.linspace(*_range(values), _BINS + 1)
    histogram = {
        "layer": name,
        "kind": tally.layer.kind,
        "units": units,
        "zeros": rounded(tally.zeros / tally.count),
        "dead": dead,
        "silent": silent,
        "mean": rounded(mean),
        "std": rounded(deviation),
        "edges": [rounded(edges[0]), rounded(edges[-1])],
        # Values outside the range count in the end bins. Exact zeros would dwarf the other bins, so they are excluded.
        "counts": np.histogram(values[values != 0].clip(edges[0], edges[-1]), edges)[0].tolist(),
        "outside": rounded(float(((values < edges[0]) | (values > edges[-1])).mean())),
    }
    return row, histogram


def _range(values: np.ndarray) -> tuple[float, float]:
    """The range of a histogram: the middle 99.6 % of the values, and 0."""
    low, high = np.quantile(values, (0.002, 0.998))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
