"""Linear probes: how well each layer's outputs separate two classes, scored on held-out pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pellucid.data.thumbnails import rounded
from pellucid.errors import DataError, UnknownNameError, UsageError
from pellucid.inference import layer_kinds
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer, Trace
from pellucid.insight.layer_outputs import Progress, prepared, record, sample
from pellucid.insight.layer_summary import name_of
from pellucid.records import Figure, Findings, Model, Split, Table
from pellucid.records.names import counted
from pellucid.statistics.comparison import cells, mcnemar
from pellucid.statistics.intervals import wilson

PICTURES = 600
LAYERS = 24
"""By default: number of pictures of the two classes, and number of layers."""

COLUMNS = ("layer", "kind", "numbers", "accuracy %", "low %", "high %", "n", "as good as the best")
_NUMBERS = 8192
"""Maps are average-pooled until a layer has at most this many features."""

_BINS = 30


def linear_probe(
    model: Model,
    classes: tuple[str, str],
    data: Any,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """How well each layer separates two classes: the table `linear-probe` and a figure of that kind.

    For each layer, a linear classifier is trained on its outputs for one half of the pictures and scored on the other
    half. A layer is as good as the best if an exact McNemar test finds no difference between their errors (p ≥ 0.05);
    with few pictures, many layers are. The figure marks the first layer from which all later layers are as good. It
    marks none if even the best layer may be guessing.

    Args:
        model: the model.
        classes: the two class names.
        data: labelled pictures: a `Dataset`, a `Split`, or anything that `pellucid.load` accepts.
        split: the split to use; test by default, else validation.
        limit: number of pictures, half of them for training; 600 by default.
        seed: seed of the sample and of the split into halves.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).

    Raises:
        UnknownNameError: the data have no such class.
        DataError: a class has too few pictures.
    """
    preprocessing = model.specification.preprocessing
    pictures, labels, which = _of_two(data, split, classes, limit or PICTURES, seed)
    run = runner(model, network)
    module = run.module
    pictures, pixels = prepared(pictures, preprocessing)
    all_layers = run.layers
    layers, left_out = _worth_probing(all_layers)
    outputs_by_layer: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}

    def take(layer: Layer, output: torch.Tensor, _: int) -> None:
        outputs_by_layer[layer.name].append(_flat(output.permute(0, 3, 1, 2) if layer.channels_last else output))

    record(module, pixels, preprocessing, layers, take, progress=progress)
    training = _half(labels, seed)
    inputs = {"pixels": [_flat(torch.from_numpy(pixels).float())]} | outputs_by_layer
    rows, drawn, right = [], [], []
    for name, parts in inputs.items():
        values = np.concatenate(parts)
        scores = probe(values[training], labels[training], values[~training])
        hits = (scores > 0) == (labels[~training] == 1)
        right.append(hits)
        kind = "the picture itself" if name == "pixels" else next(layer.kind for layer in layers if layer.name == name)
        drawn.append(_layer_result(name, kind, scores, labels[~training]))
        low, high = (drawn[-1][end] for end in ("low", "high"))
        rows.append([name, kind, values.shape[1], rounded(hits.mean()), low, high, len(hits)])
    best, good, first = _first_that_is_as_good(right, above_chance=[layer["low"] > 0.5 for layer in drawn])
    for row, as_good in zip(rows, good, strict=True):
        row.append(as_good)
    n = int((~training).sum())
    note = (
        f"Each probe is trained on {counted(int(training.sum()), 'picture')} and scored on "
        f"{counted(n, 'other')}: {which} As good as the "
        f"best: no significant difference from '{drawn[best]['layer']}' (exact McNemar test, p ≥ 0.05). {left_out}"
    ).strip()
    content = {
        "network": name_of(model),
        "classes": list(classes),
        "n": n,
        "layers": drawn,
        "good": good,
        "first": first,
        "best": best,
    }
    title = f"Where {name_of(model)} separates '{classes[0]}' from '{classes[1]}'"
    answer = _answer(drawn, good, first, best)
    figure = Figure("linear-probe", "linear-probe", content, title=title, note=f"{answer} {left_out}".strip())
    return Findings((Table("linear-probe", COLUMNS, tuple(tuple(row) for row in rows), note), figure))


def _layer_result(name: str, kind: str, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The accuracy of a layer's probe with its interval, and the histograms of the scores of both classes."""
    hits = (scores > 0) == (labels == 1)
    low, high = wilson(int(hits.sum()), len(hits))
    return {
        "layer": name,
        "kind": kind,
        "accuracy": rounded(hits.mean()),
        "low": rounded(low),
        "high": rounded(high),
        "counts": [_histogram(scores[labels == label]) for label in (0, 1)],
    }


def _histogram(scores: np.ndarray) -> list[int]:
    """Histogram of scores from -2 to 2; scores outside count in the end bins."""
    return np.histogram(scores.clip(-2, 2), np.linspace(-2, 2, _BINS + 1))[0].tolist()


def _first_that_is_as_good(right: list[np.ndarray], *, above_chance: list[bool]) -> tuple[int, list[bool], int | None]:
    """(index of the best layer, mask of the layers as good, index of the first from which all later ones are as good).

    The last is None if the best layer may be guessing.
    """
    best = int(np.argmax([hits.mean() for hits in right]))
    compared = [cells(right[best], hits) for hits in right]
    good = [mcnemar(counts.only_a, counts.only_b) >= 0.05 for counts in compared]
    if not above_chance[best]:
        return best, good, None
    first = len(good) - next((i for i, as_good in enumerate(reversed(good)) if not as_good), len(good))
    # If the last layer is worse than the best, later layers lose information.
    return best, good, best if first == len(good) else first


def _answer(layers: list[dict[str, Any]], good: list[bool], first: int | None, best: int) -> str:
    """The result in one sentence."""
    if first is None:
        return "No layer is measurably better than guessing on so few pictures."
    if first == best and not all(good[first:]):
        return f"The best layer is {_called(layers[first])}; later layers are worse."
    # A layer that may be guessing is not really as good: there are too few pictures to see the difference.
    unsure = any(layer["low"] <= 0.5 for layer in layers[first:])
    few = ", though with so few pictures this is uncertain" if unsure else ""
    return f"All layers from {_called(layers[first])} on are as good as the best{few}."


def _called(layer: dict[str, Any]) -> str:
    return "the pixels themselves" if layer["layer"] == "pixels" else layer["layer"]


def _of_two(
    data: Any, split: str | None, classes: tuple[str, str], most: int, seed: int
) -> tuple[Split, np.ndarray, str]:
    """Equally many pictures of two classes; their labels, 0 or 1, (N,); and a sentence that describes the sample.

    Raises:
        UsageError: the classes are not two, or there are fewer than 8 pictures.
        UnknownNameError: the data have no such class.
        DataError: a class has too few pictures.
    """
    if len(set(classes)) != 2:
        raise UsageError(
            f"A linear probe needs two different classes; given: {' and '.join(classes)}. Try --linear-probe 4,9."
        )
    if most < 8:
        raise UsageError(f"A linear probe needs at least 8 pictures; given: --limit {most}.")
    pictures, _ = sample(data, split, 2**62)
    labels = pictures.known_labels()
    indices = []
    for name in classes:
        if name not in pictures.classes:
            raise UnknownNameError("class", name, pictures.classes)
        indices.append(np.flatnonzero(labels == pictures.classes.index(name)))
    each = min(most // 2, *map(len, indices))
    if each < 4:
        few = classes[int(np.argmin([len(members) for members in indices]))]
        raise DataError(
            f"The {pictures.name} split has {min(map(len, indices))} pictures of '{few}'; a linear probe needs at "
            f"least 4 of each class. Choose another split with --split."
        )
    generator = np.random.default_rng((seed, *map(len, indices)))
    drawn = [np.sort(generator.permutation(members)[:each]) for members in indices]
    which = f"{each} of each class, {pictures.dataset + ', ' if pictures.dataset else ''}{pictures.name} split."
    return pictures.take(np.concatenate(drawn)), np.repeat([0, 1], each), which


def _half(labels: np.ndarray, seed: int) -> np.ndarray:
    """The training half: a mask of half of the pictures of each class, bool (N,)."""
    training = np.zeros(len(labels), bool)
    for label in (0, 1):
        indices = np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))
        training[indices[: len(indices) // 2]] = True
    return training


def _worth_probing(all_layers: Trace) -> tuple[list[Layer], str]:
    """The layers to probe, and a note if some are omitted.

    If there are more than `LAYERS`, only convolutions and dense layers, thinned evenly over the depth.
    """
    layers = [
        layer
        for layer in all_layers.layers
        if layer.output_shape and layer.pieces == 1 and not isinstance(layer.module, torch.nn.Flatten)
    ]
    if len(layers) <= LAYERS:
        return layers, ""
    weighted = [
        layer
        for layer in layers
        if layer_kinds.is_convolution(layer.module) or isinstance(layer.module, torch.nn.Linear)
    ]
    if len(weighted) > LAYERS:
        weighted = [weighted[int(i)] for i in np.linspace(0, len(weighted) - 1, LAYERS).round()]
    return weighted, f"{len(weighted)} of {len(layers)} layers are shown, evenly over the depth."


def _flat(output: torch.Tensor) -> np.ndarray:
    """Outputs (B, C, H, W), (B, tokens, D) or (B, D) as float32 (B, features), pooled to save memory."""
    if output.ndim == 4:
        side = 1
        while output[0].numel() / side**2 > _NUMBERS and side < max(output.shape[2:]):
            side += 1
        if side > 1:
            output = torch.nn.functional.avg_pool2d(output, side, ceil_mode=True)
    elif output.ndim == 3:
        output = output.mean(dim=1)
    return output.flatten(1).numpy().astype(np.float32, copy=True)


_STRENGTHS = np.logspace(-4, 3, 15)


def probe(known: np.ndarray, labels: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Scores of held-out pictures from ridge regression: above 0 for the second class, below 0 for the first.

    Args:
        known: features of the training pictures, (N, D).
        labels: their classes, 0 or 1, (N,).
        unknown: features of the held-out pictures, (M, D).

    Returns:
        float64 (M,).
    """
    targets = 2.0 * labels - 1
    middle = known.mean(axis=0)
    scale = float(known.std()) or 1.0
    # One scale for all features: scaling each one would amplify pixels at the edge, which hardly vary.
    left, right = (known - middle) / scale, (unknown - middle) / scale
    offset = targets.mean()
    # Solved in the dual, since there are fewer pictures than features: K = X Xᵀ / D = U diag(s) Uᵀ.
    kernel = (left @ left.T / left.shape[1]).astype(np.float64)
    sizes, vectors = np.linalg.eigh(kernel)
    sizes = sizes.clip(min=0)
    turned = vectors.T @ (targets - offset)
    best: tuple[float, np.ndarray] | None = None
    for strength in _STRENGTHS * max(float(sizes.mean()), 1e-12):
        shrunk = 1 / (sizes + strength)
        weights = vectors @ (shrunk * turned)
        # The leave-one-out residual is α / diag((K + λ)⁻¹) (Allen's PRESS).
        left_out = weights / ((vectors**2) @ shrunk)
        error = float(np.square(left_out).mean())
        if best is None or error < best[0]:
            best = error, weights
    assert best is not None
    return (right @ left.T / left.shape[1]).astype(np.float64) @ best[1] + offset
