"""Export of a model: converted, checked against the model on real pictures, and written only if it agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pellucid.errors import NetworkError, UsageError
from pellucid.inference.probabilities import probabilities, require_finite
from pellucid.inference.runner import runner
from pellucid.inference.streaming import chunks
from pellucid.inference.torch_runner import NetworkLike
from pellucid.records import Findings, Metric, Model, Remark, Split
from pellucid.records.exported import ExportedModel
from pellucid.records.names import counted
from pellucid.statistics.comparison import cells, tango

Format = Literal["onnx", "torch-export"]
FORMATS: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
"""Format → suffix of its file."""
TOLERANCE = 1e-4
"""The largest difference of a probability between the model and its float export."""
GATE = 0.01
"""An int8 export may be right on at most this share of pictures fewer."""
_MOST_CHECKED, _MOST_CALIBRATED, _FEWEST_FOR_INT8 = 512, 128, 40


@dataclass(frozen=True)
class Pixels:
    """Pictures at the model's size, uint8 (N, C, H, W), with their labels as the model's classes, or None."""

    pictures: np.ndarray
    labels: np.ndarray | None


def export(
    model: Model,
    path: str | Path,
    pictures: Split,
    *,
    to: Format = "onnx",
    int8: bool = False,
    network: NetworkLike | None = None,
) -> Findings:
    """Writes a model as one file that runs without Pellucid, if it agrees with the model on these pictures.

    The float file must predict the same classes with the same probabilities, within `TOLERANCE`. The int8 file is
    calibrated on a part of the pictures; on the others its accuracy may fall by at most `GATE`.

    Args:
        model: the model.
        path: the file to write.
        pictures: real pictures, never those of the test split; int8 needs labels. At most 640 of them are used.
        to: `onnx`, or `torch-export` (a program for torch.export.load).
        int8: whether to store and compute in 8 bits; only with `onnx`.
        network: for a model of the user's own network.

    Returns:
        What the check measured.

    Raises:
        NetworkError: the network cannot be converted, or the result disagrees. Nothing is written.
        UsageError: a package is missing, or the pictures are too few or have no labels.
    """
    if int8 and to != "onnx":
        raise UsageError("--int8 is for ONNX. Use --to onnx, or omit --int8.")
    original = runner(model, network)
    chosen = pixels_of(pictures, model, _MOST_CHECKED + _MOST_CALIBRATED * int8)
    if to == "torch-export":
        from pellucid.export.torch_program import Program

        program = Program.of(original.module, model)
        findings = require_agreement(model, original.outputs, program.outputs, chosen.pictures)
        program.save(path)
        return findings
    from pellucid.inference.onnx_graph import onnx_graph

    graph = onnx_graph(original.module, model.specification.preprocessing)
    exported = ExportedModel(model.specification, graph, model.parameters, model.sha256)
    if int8:
        exported, findings = _in_8_bits(exported, original.outputs, chosen)
    else:
        findings = require_agreement(model, original.outputs, runner(exported).outputs, chosen.pictures)
    exported.save(path)
    return findings


Outputs = Callable[[np.ndarray], np.ndarray]


def require_agreement(model: Model, original: Outputs, exported: Outputs, pictures: np.ndarray) -> Findings:
    """Compares the probabilities of two functions from uint8 (N, C, H, W) to outputs (N, K).

    Raises:
        NetworkError: a class differs, or a probability by more than `TOLERANCE`.
    """
    ours, theirs = (_probabilities(model, outputs(pictures)) for outputs in (original, exported))
    largest = float(np.abs(ours - theirs).max())
    # Two classes that are equally probable within the tolerance may change places.
    rows = np.arange(len(ours))
    changed = ours.max(axis=1) - ours[rows, theirs.argmax(axis=1)] > TOLERANCE
    if largest > TOLERANCE or changed.any():
        raise NetworkError(
            f"The exported model disagrees with the original, so it was not written: {int(changed.sum())} of "
            f"{counted(len(ours), 'picture')} have another class, and a probability differs by up to {largest:.2g} "
            f"(allowed: {TOLERANCE:g}). The network may choose its operations by its input; make it fixed."
        )
    return Findings(
        (
            Metric(
                "same_class", float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()), len(ours), unit="fraction"
            ),
            Metric("largest_difference", largest, len(ours), note=f"of a probability; allowed: {TOLERANCE:g}"),
        )
    )


def pixels_of(pictures: Split, model: Model, most: int) -> Pixels:
    """At most so many pictures of a split that can be read, drawn with seed 0.

    Raises:
        UsageError: none can be read.
    """
    order = np.random.default_rng(0).permutation(len(pictures))[:most]
    parts, indices = [], []
    for chunk in chunks(pictures.pictures, model.specification.preprocessing, order.tolist()):
        parts.append(chunk.pictures)
        indices += chunk.indices.tolist()
    if not indices:
        raise UsageError("The export is checked on pictures, and none of these can be read. Give others with --data.")
    labels = None if pictures.labels is None else pictures.labels[indices]
    if labels is not None and pictures.classes != model.classes:
        place = {name: index for index, name in enumerate(model.classes)}
        labels = np.array([place.get(pictures.classes[label], -1) for label in labels])
    return Pixels(np.concatenate(parts), labels)


def _in_8_bits(exported: ExportedModel, original: Outputs, chosen: Pixels) -> tuple[ExportedModel, Findings]:
    """The model in 8 bits, and what it costs in accuracy.

    Raises:
        NetworkError: it costs more than `GATE`.
        UsageError: the pictures are too few or have no labels.
    """
    from pellucid.export.quantisation import quantised

    count = len(chosen.pictures)
    if chosen.labels is None or count < _FEWEST_FOR_INT8:
        raise UsageError(
            f"--int8 needs at least {_FEWEST_FOR_INT8} labelled pictures, to calibrate and to compare; given: "
            f"{count if chosen.labels is not None else 'pictures without labels'}. Give others with --data."
        )
    calibrate = min(_MOST_CALIBRATED, count // 2)
    small = ExportedModel(
        exported.specification,
        quantised(exported.graph, chosen.pictures[:calibrate]),
        exported.parameters,
        exported.source,
        "int8",
    )
    rest, labels = chosen.pictures[calibrate:], chosen.labels[calibrate:]
    before, after = original(rest).argmax(axis=1), runner(small).outputs(rest).argmax(axis=1)
    pairs = cells(before == labels, after == labels)
    low, high = tango(pairs.only_a, pairs.only_b, pairs.n)
    change = f"{100 * pairs.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, n = {pairs.n:,})"
    if pairs.difference < -GATE:
        raise NetworkError(
            f"In 8 bits the accuracy changes by {change}, more than the allowed {-100 * GATE:g} point, so nothing was "
            f"written. Omit --int8."
        )
    return small, Findings(
        (
            Metric("accuracy_before", float((before == labels).mean()), pairs.n, unit="fraction"),
            Metric("accuracy_in_int8", float((after == labels).mean()), pairs.n, unit="fraction"),
            Metric("same_class", float((before == after).mean()), pairs.n, unit="fraction"),
            Remark("accuracy_change", "info", f"The accuracy changes by {change}; allowed: {-100 * GATE:g} point."),
        )
    )


def _probabilities(model: Model, outputs: np.ndarray) -> np.ndarray:
    require_finite(outputs)
    specification = model.specification
    return probabilities(specification.probabilities, outputs, specification.temperature)
