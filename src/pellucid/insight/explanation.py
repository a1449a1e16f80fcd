"""Explanation of one prediction: attribution maps, how faithful each is, and the most similar training pictures."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import NetworkError, UnknownNameError
from pellucid.inference import fused
from pellucid.inference.probabilities import probabilities
from pellucid.inference.runner import runner
from pellucid.inference.torch_runner import TorchRunner
from pellucid.inference.tracing import Trace, trace
from pellucid.insight import attribution, faithfulness
from pellucid.insight.attribution import Answer
from pellucid.insight.layer_outputs import Progress, prepared, sample
from pellucid.insight.layer_summary import name_of
from pellucid.insight.selection import pick
from pellucid.records import Figure, Findings, Model, Specification, Table

COLUMNS = (
    "method",
    "deletion",
    "noise deletion",
    "insertion",
    "noise insertion",
    "better than noise",
    "like shuffled weights",
)
SIMILAR = 0.5
"""Rank correlation with the map of shuffled weights above which a map shows little of what the network learned."""

_FINEST = 64


def explain(
    model: Model,
    picture: Any,
    *,
    about: str | None = None,
    data: Any = None,
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """Explains a model's prediction for a picture: the table `faithfulness` and a figure of kind `explanation`.

    Args:
        model: the model.
        picture: see `pellucid.insight.selection.pick`.
        about: the class to explain; None explains the predicted one. It is compared with the label if that is known
            and differs, else with the most probable other class.
        data: training pictures to search for the nearest ones: a `Split`, a `Dataset`, or anything that
            `pellucid.load` accepts. A dataset's train split is used.
        limit: number of training pictures to search; 10,000 by default.
        seed: seed of the shuffled weights, the noise and the sample.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (steps done, steps in total).

    Raises:
        UsageError: captum is not installed, or the picture does not exist.
        UnknownNameError: there is no such class.
        NetworkError: an output is infinite or NaN.
    """
    attribution.require_captum()
    if about is not None and about not in model.classes:
        raise UnknownNameError("class", about, model.classes)
    ready = runner(model, network)
    split, name = pick(picture, model.specification)
    pixels = np.asarray(preparing.prepare(split, model.specification.preprocessing))
    label = split.classes[int(split.labels[0])] if split.labels is not None else None
    question = _Question.ask(ready, pixels, about, label)
    rows, methods, noise, note = _explained(question, seed, progress)
    content = {
        "network": name_of(model),
        "picture": {"png": png_base64(pixels[0], 256), "id": name, "label": label, "size": list(pixels.shape[2:])},
        "probabilities": [
            [model.classes[i], rounded(question.shares[i])] for i in np.argsort(-question.shares, kind="stable")[:5]
        ],
        "about": model.classes[question.target],
        "rival": model.classes[question.rival],
        "methods": methods,
        "noise": {"deletion": rounded(noise[:, 0].mean()), "insertion": rounded(noise[:, 1].mean())},
        "neighbours": None if data is None else nearest(ready, pixels, data, most=limit, seed=seed),
    }
    predicted = question.target == question.shares.argmax()
    title = (
        f"Why {name_of(model)} predicts '{model.classes[question.target]}' for {name}"
        if predicted
        else f"Evidence for '{model.classes[question.target]}' in {name}"
    )
    table = Table("faithfulness", COLUMNS, tuple(rows), _NOTE)
    return Findings((table, Figure("explanation", "explanation", content, title=title, note=note)))


@dataclass(frozen=True)
class _Question:
    """A picture and the class to explain.

    Attributes:
        module: a copy of the network without in-place activations, since gradients need their inputs.
        fast: the same network for passes without gradients, in a faster form if it has one.
        layers: its layers.
        specification: the specification of the model.
        inputs: the picture as a network input, (1, C, H, W).
        blank: a picture without content as a network input, (1, C, H, W).
        shares: the probabilities, (K,).
        target: index of the class to explain.
        rival: index of the class to compare it with.
    """

    module: nn.Module
    fast: Callable[[torch.Tensor], torch.Tensor]
    layers: Trace
    specification: Specification
    inputs: torch.Tensor
    blank: torch.Tensor
    shares: np.ndarray
    target: int
    rival: int

    @classmethod
    def ask(cls, ready: TorchRunner, pixels: np.ndarray, about: str | None, label: str | None) -> _Question:
        """The question for one picture, uint8 (1, C, H, W).

        Raises:
            NetworkError: an output is infinite or NaN.
        """
        specification = ready.model.specification
        module = _differentiable(copy.deepcopy(ready.module))
        inputs = preparing.normalise(torch.from_numpy(pixels), specification.preprocessing)
        blank = preparing.normalise(torch.from_numpy(_blank(pixels)), specification.preprocessing)
        fast = fused.quick(module)
        shares = _probabilities(fast, specification, inputs)[0]
        if not np.isfinite(shares).all():
            raise NetworkError(
                "The network's outputs are infinite or NaN, so there is nothing to explain: training diverged. Train "
                "again with a lower learning rate."
            )
        target = specification.classes.index(about) if about is not None else int(shares.argmax())
        rival = _rival(shares, target, label, specification.classes)
        layers = trace(module, specification.preprocessing.shape)
        return cls(module, fast, layers, specification, inputs, blank, shares, target, rival)

    def probability(self, batch: torch.Tensor) -> np.ndarray:
        """The probability of the target for each input of a batch."""
        return _probabilities(self.fast, self.specification, batch)[:, self.target]


def _probabilities(
    network: Callable[[torch.Tensor], torch.Tensor], specification: Specification, batch: torch.Tensor
) -> np.ndarray:
    with torch.no_grad():
        outputs = [network(part) for part in batch.split(attribution.at_once(batch))]
    return probabilities(specification.probabilities, torch.cat(outputs).numpy(), specification.temperature)


def _explained(
    question: _Question, seed: int, progress: Progress | None
) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]], np.ndarray, str]:
    """(rows of the table, data of the figure, (deletion, insertion) of noise maps, note on missing methods)."""
    module, inputs, blank = question.module, question.inputs, question.blank
    explainers, note = attribution.methods(module, question.layers, blank)
    copies = 1 if inputs.shape[-1] > attribution.LARGE else 3
    others = [attribution.shuffled(module, seed + 1 + i) for i in range(copies)]
    steps = _Steps(progress, len(explainers) * (3 + len(others)) + faithfulness.NOISE)

    def score(values: np.ndarray) -> tuple[float, float]:
        steps.done()
        return faithfulness.deletion_and_insertion(values, inputs, blank, question.probability)

    noise = np.array([score(values) for values in faithfulness.noise_maps(*inputs.shape[2:], seed=seed)])
    rows, figures = [], []
    for method, explainer in explainers.items():
        values = steps.of(explainer(module, inputs, blank, Answer(question.target)))
        against = steps.of(explainer(module, inputs, blank, Answer(question.target, question.rival)))
        random = [steps.of(explainer(other, inputs, blank, Answer(question.target))) for other in others]
        deletion, insertion = score(values)
        # The rank correlation of a constant map is undefined.
        constant = bool(np.ptp(values) == 0)
        correlations = [] if constant else [faithfulness.rank_correlation(values, other) for other in random]
        similarity = rounded(float(np.mean(correlations))) if correlations else None
        better = bool(deletion < noise[:, 0].min()), bool(insertion > noise[:, 1].max())
        figures.append(
            {
                "method": method,
                "maps": [_coarse(values), _coarse(against), _coarse(random[0])],
                "deletion": rounded(deletion),
                "insertion": rounded(insertion),
                "better": list(better),
                "rank_correlation": similarity,
            }
        )
        means = rounded(noise[:, 0].mean()), rounded(noise[:, 1].mean())
        rows.append((method, rounded(deletion), means[0], rounded(insertion), means[1], _words(better), similarity))
    return rows, figures, noise, note


_NOTE = (
    "Deletion: the mean probability of the class while its most important pixels are removed (lower is better). "
    "Insertion: the same while they are added to a blank picture (higher is better). Next to each is the mean of "
    f"{faithfulness.NOISE} noise maps. Like shuffled weights: the rank correlation with the map of the network after "
    f"its weights were shuffled; above {SIMILAR:g}, the map shows little of what the network learned."
)


def in_words(table: Table) -> list[str]:
    """The table `faithfulness` as one sentence per method, for people: how far its map can be trusted."""
    sentences = []
    for row in table.rows:
        method, better, similarity = str(row[0]), str(row[5]), row[6]
        if similarity is None:
            verdict = "marks nothing, so it explains nothing here"
        elif similarity > SIMILAR:
            verdict = "looks the same with shuffled weights, so it shows the picture and not what the network learned"
        else:
            verdict = _VERDICTS[better]
        sentences.append(f"{method} {verdict}.")
    return sentences


_VERDICTS = {
    "both": (
        "can be trusted here: without the pixels that it marks the probability falls, and with them alone it rises, "
        "more than with pixels at random"
    ),
    "deletion": (
        "can be trusted in part: without the pixels that it marks the probability falls more than without pixels at "
        "random, but they alone are not enough for the answer"
    ),
    "insertion": (
        "can be trusted in part: the pixels that it marks suffice for the answer more than pixels at random, but the "
        "answer does not need them"
    ),
    "neither": "cannot be trusted here: the pixels that it marks matter no more than pixels at random",
}
"""Result of the comparison with maps of noise -> its meaning."""


class _Steps:
    """Counts completed steps and calls `progress`."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.count, self.total = 0, total

    def done(self) -> None:
        self.count += 1
        if self.progress is not None:
            self.progress(min(self.count, self.total), self.total)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Counts a finished map and returns it as contiguous float32."""
        self.done()
        return np.ascontiguousarray(values, np.float32)


def _words(better: tuple[bool, bool]) -> str:
    return {(True, True): "both", (True, False): "deletion", (False, True): "insertion"}.get(better, "neither")


def _rival(probabilities: np.ndarray, target: int, label: str | None, classes: tuple[str, ...]) -> int:
    """The class to compare with: the label if it is another class, else the most probable other class."""
    if label is not None and label in classes and classes.index(label) != target:
        return classes.index(label)
    return next(int(i) for i in np.argsort(-probabilities, kind="stable") if i != target)


def _differentiable(module: nn.Module) -> nn.Module:
    """Turns off in-place activations, since gradients need their inputs. Changes the module."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # pyrefly: ignore
    return module


def _blank(pixels: np.ndarray) -> np.ndarray:
    """A picture without content, filled with the median colour of this one (usually the background)."""
    median = np.median(pixels, axis=(2, 3), keepdims=True).astype(np.uint8)
    return np.broadcast_to(median, pixels.shape).copy()


def _coarse(values: np.ndarray) -> Any:
    """The map averaged down to at most 64 values per side, as nested lists."""
    step = -(-max(values.shape) // _FINEST)
    if step > 1:
        part = torch.from_numpy(values)[None, None]
        values = nn.functional.avg_pool2d(part, step, ceil_mode=True, count_include_pad=False)[0, 0].numpy()
    return rounded(values)


PICTURES, SHOWN = 10_000, 8


def nearest(ready: TorchRunner, pixels: np.ndarray, data: Any, *, most: int | None, seed: int) -> dict[str, Any]:
    """The pictures of `data` whose features have the largest cosine similarity with those of a picture.

    Args:
        ready: the runner of the model.
        pixels: the picture at the network's input size, uint8 (1, C, H, W).
        data: a `Split`, a `Dataset`, or anything that `pellucid.load` accepts. A dataset's train split is used.
        most: number of pictures to search; None searches 10,000.
        seed: seed of the sample.
    """
    pictures, which = sample(data, "train", most or PICTURES, seed=seed)
    pictures, many = prepared(pictures, ready.model.specification.preprocessing)
    own, _ = ready.features(pixels)
    theirs, outputs = ready.features(many)
    cosines = _unit(theirs) @ _unit(own)[0]
    # An identical picture would be its own nearest neighbour, so it is excluded.
    same = (many == pixels).all(axis=(1, 2, 3))
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if not same[i]][:SHOWN]
    labels = pictures.labels
    label_names = [None if labels is None else pictures.classes[int(labels[i])] for i in order]
    return {
        "among": which,
        "counts": [list(count) for count in Counter(name for name in label_names if name is not None).most_common()],
        "cells": [
            {
                "png": png_base64(many[i], 256),
                "id": str(pictures.ids[i]),
                "label": label,
                "predicted": ready.model.classes[int(outputs[i].argmax())],
                "cosine": rounded(cosines[i]),
            }
            for i, label in zip(order, label_names, strict=True)
        ],
    }


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
