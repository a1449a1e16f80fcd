"""Why this answer: maps of what speaks for it, how far each can be trusted, and training pictures that look like it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.errors import NetworkError, UnknownNameError
from pellucid.inference.building import build
from pellucid.inference.probabilities import probabilities
from pellucid.insight import attribution, faithfulness
from pellucid.insight.attribution import Answer
from pellucid.insight.layer_outputs import Progress, features, prepared, sample
from pellucid.insight.layer_summary import name_of
from pellucid.insight.numbers import as_png, rounded
from pellucid.insight.selection import pick
from pellucid.insight.tracing import Trace, trace
from pellucid.records import Figure, Findings, Model, Table

COLUMNS = (
    "method",
    "deletion",
    "noise deletion",
    "insertion",
    "noise insertion",
    "better than noise",
    "like shuffled weights",
)
ALIKE = 0.5
"""A map whose rank correlation with that of shuffled weights lies above this says little of what was learned."""

_FINEST = 64


def explain(
    model: Model,
    picture: Any,
    *,
    about: str | None = None,
    data: Any = None,
    split: str = "train",
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """Why a model gives a picture this class: the table `faithfulness` and a figure of kind `explanation`.

    Args:
        model: the model.
        picture: see `pellucid.insight.selection.pick`.
        about: the class that is explained; the predicted one where it is left out. It is set against the given class
            where that is known and another, else against the next probable one.
        data: training pictures, of which the nearest are shown: a `Dataset`, a `Split`, or what `pellucid.load` takes.
        split: which split of the data.
        limit: how many of the data are compared with; 10,000 where it is left out.
        seed: of the shuffling, the noise and the drawing.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: told how many steps are done, of how many.

    Raises:
        UsageError: captum is not installed; there is no such picture.
        UnknownNameError: there is no such class.
        NetworkError: the network's outputs are not numbers.
    """
    attribution.require_captum()
    if about is not None and about not in model.classes:
        raise UnknownNameError("class", about, model.classes)
    said = model.specification
    module = _differentiable(build(model, network))
    chosen, name = pick(picture, said)
    pixels = np.asarray(preparing.prepare(chosen, said.preprocessing))
    inputs = preparing.normalise(torch.from_numpy(pixels), said.preprocessing)
    blank = preparing.normalise(torch.from_numpy(_blank(pixels)), said.preprocessing)

    def outputs(batch: torch.Tensor) -> np.ndarray:
        parts = [module(part) for part in batch.split(8 if batch.shape[-1] > attribution.LARGE else 64)]
        return probabilities(said.probabilities, torch.cat(parts), said.temperature).numpy()

    with torch.no_grad():
        found = outputs(inputs)[0]
    if not np.isfinite(found).all():
        raise NetworkError(
            "The network's outputs are infinite or not numbers, so there is nothing to explain: its weights were "
            "spoilt while it learned. Train again with a lower learning rate."
        )
    given = chosen.classes[int(chosen.labels[0])] if chosen.labels is not None else None
    target = model.classes.index(about) if about is not None else int(found.argmax())
    rival = _rival(found, target, given, model.classes)
    layers = trace(module, said.preprocessing.shape)
    explainers, note = attribution.methods(module, layers, blank)
    others = [
        attribution.shuffled(module, seed + 1 + i) for i in range(1 if pixels.shape[-1] > attribution.LARGE else 3)
    ]
    steps = _Steps(progress, len(explainers) * (3 + len(others)) + faithfulness.NOISE)

    def score(values: np.ndarray) -> tuple[float, float]:
        steps.done()
        return faithfulness.deletion_and_insertion(values, inputs, blank, lambda batch: outputs(batch)[:, target])

    noise = np.array([score(one) for one in faithfulness.noise_maps(*pixels.shape[2:], seed=seed)])
    shown, rows = [], []
    for method, explains in explainers.items():
        values = steps.of(explains(module, inputs, blank, Answer(target)))
        against = steps.of(explains(module, inputs, blank, Answer(target, rival)))
        without = [steps.of(explains(other, inputs, blank, Answer(target))) for other in others]
        deletion, insertion = score(values)
        # A map that is the same everywhere says nothing, and is like none.
        empty = bool(np.ptp(values) == 0)
        alike = None if empty else float(np.mean([faithfulness.rank_correlation(values, one) for one in without]))
        better = bool(deletion < noise[:, 0].min()), bool(insertion > noise[:, 1].max())
        shown.append(
            {
                "method": method,
                "maps": [_coarse(values), _coarse(against), _coarse(without[0])],
                "deletion": rounded(deletion),
                "insertion": rounded(insertion),
                "better": list(better),
                "alike": None if alike is None else rounded(alike),
            }
        )
        rows.append(
            (
                method,
                rounded(deletion),
                rounded(noise[:, 0].mean()),
                rounded(insertion),
                rounded(noise[:, 1].mean()),
                _words(better),
                None if alike is None else rounded(alike),
            )
        )
    near = None
    if data is not None:
        near = nearest(model, module, layers, pixels, data, split=split, most=limit, seed=seed)
    content = {
        "network": name_of(model),
        "picture": {"png": as_png(pixels[0]), "id": name, "given": given, "size": list(pixels.shape[2:])},
        "probabilities": [[model.classes[i], rounded(found[i])] for i in np.argsort(-found, kind="stable")[:5]],
        "about": model.classes[target],
        "rival": model.classes[rival],
        "methods": shown,
        "noise": {"deletion": rounded(noise[:, 0].mean()), "insertion": rounded(noise[:, 1].mean())},
        "neighbours": near,
    }
    title = (
        f"Why {name_of(model)} calls {name} '{model.classes[target]}'"
        if target == found.argmax()
        else f"What speaks for '{model.classes[target]}' in {name}"
    )
    table = Table("faithfulness", COLUMNS, tuple(rows), _NOTE)
    return Findings((table, Figure("explanation", "explanation", content, title=title, note=note)))


_NOTE = (
    "Deletion: the mean probability of the class while the pixels that the map holds for important are taken away (the "
    "lower the better); insertion: while they are put into a blank picture (the higher the better); beside each the "
    f"mean of {faithfulness.NOISE} maps of noise. Like shuffled weights: the rank correlation with the map of the "
    f"network with its weights shuffled; above {ALIKE:g} the map says little of what was learned."
)


class _Steps:
    """Counts what is done."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.count, self.total = 0, total

    def done(self) -> None:
        self.count += 1
        if self.progress is not None:
            self.progress(min(self.count, self.total), self.total)

    def of(self, values: np.ndarray) -> np.ndarray:
        """A map, once it is there."""
        self.done()
        return np.ascontiguousarray(values, np.float32)


def _words(better: tuple[bool, bool]) -> str:
    return {(True, True): "both", (True, False): "deletion", (False, True): "insertion"}.get(better, "neither")


def _rival(found: np.ndarray, target: int, given: str | None, classes: tuple[str, ...]) -> int:
    """What the class is set against: the given class where it is another, else the most probable other one."""
    if given is not None and given in classes and classes.index(given) != target:
        return classes.index(given)
    return next(int(i) for i in np.argsort(-found, kind="stable") if i != target)


def _differentiable(module: nn.Module) -> nn.Module:
    """The network with activations that do not overwrite what they are given, which gradients need."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # pyrefly: ignore
    return module


def _blank(pixels: np.ndarray) -> np.ndarray:
    """A picture with nothing in it: everywhere the median colour of this one, which is its background."""
    median = np.median(pixels, axis=(2, 3), keepdims=True).astype(np.uint8)
    return np.broadcast_to(median, pixels.shape).copy()


def _coarse(values: np.ndarray) -> Any:
    """A map of at most 64 numbers a side."""
    step = -(-max(values.shape) // _FINEST)
    if step > 1:
        part = torch.from_numpy(values)[None, None]
        values = nn.functional.avg_pool2d(part, step, ceil_mode=True, count_include_pad=False)[0, 0].numpy()
    return rounded(values)


PICTURES, SHOWN = 10_000, 8


def nearest(
    model: Model,
    module: nn.Module,
    layers: Trace,
    pixels: np.ndarray,
    data: Any,
    *,
    split: str,
    most: int | None,
    seed: int,
) -> dict[str, Any]:
    """The pictures of `data` whose features have the largest cosine with those of a picture, as plain values.

    Args:
        model: the model.
        module: its network.
        layers: its layers.
        pixels: the picture as the network takes it, uint8 (1, C, H, W).
        data: a `Dataset`, a `Split`, or what `pellucid.load` takes.
        split: which split of it.
        most: how many of them are compared; 10,000 where it is None.
        seed: which.
    """
    said = model.specification.preprocessing
    chosen, which = sample(data, split, most or PICTURES, seed=seed)
    chosen, many = prepared(chosen, said)
    own, _ = features(module, layers, pixels, said)
    theirs, outputs = features(module, layers, many, said)
    cosines = _unit(theirs) @ _unit(own)[0]
    # The very picture would be its own nearest neighbour, and says nothing.
    same = (many == pixels).all(axis=(1, 2, 3))
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if not same[i]][:SHOWN]
    labels = chosen.labels
    given = [None if labels is None else chosen.classes[int(labels[i])] for i in order]
    return {
        "among": which,
        "counts": [list(one) for one in Counter(one for one in given if one is not None).most_common()],
        "cells": [
            {
                "png": as_png(many[i]),
                "id": str(chosen.ids[i]),
                "given": label,
                "predicted": model.classes[int(outputs[i].argmax())],
                "cosine": rounded(cosines[i]),
            }
            for i, label in zip(order, given, strict=True)
        ],
    }


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
