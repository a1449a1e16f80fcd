"""Which photos to label next: those that would teach the model most, each unlike the others."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError, StorageError, UsageError
from pellucid.inference.features import Described, describe
from pellucid.inference.pictures import as_split
from pellucid.records import Model, Predictions, atomic

COLUMNS = ("path", "label", "suggestion", "probability")
MOST_IN_TURN = 1000
"""So many are chosen with an eye on each other; those behind them come in the order of how unsure the model is."""


@dataclass(frozen=True)
class Suggestions:
    """Photos to label.

    Attributes:
        predictions: of all photos that can be read.
        order: the places of those to be labelled, the most rank_by_usefulness first: int64 (M,).
    """

    predictions: Predictions
    order: np.ndarray


def suggest(model: Model, pictures: Any, *, count: int | None = None, **settings: Any) -> Suggestions:
    """Puts photos without labels into the order in which labelling them teaches the model most.

    Args:
        model: what has learned from the labels that there are.
        pictures: what `predict` takes: paths, or a split.
        count: how many are wanted; None for all.
        **settings: `network`, for a model of your own.

    Raises:
        DataError: not one picture can be read.
    """
    if count is not None and count < 1:
        raise UsageError(f"The number of photos to label is at least 1; given: {count}.")
    described = describe(model, as_split(pictures, model.specification), **settings)
    if not len(described.predictions):
        raise DataError("Not one of these pictures can be read, so there is nothing to label.")
    return Suggestions(described.predictions, rank_by_usefulness(described, count or len(described.predictions)))


def rank_by_usefulness(described: Described, count: int) -> np.ndarray:
    """The places of `count` pictures, the most rank_by_usefulness first: int64 (M,).

    A picture would move the last layer by the gradient (p − e) ⊗ f, with its probabilities p, the predicted class e as
    one-hot vector, and its features f (centred, of length one): long where the model is unsure. First comes the longest
    gradient; then, again and again, the one of which most is left when all that came before is taken out of it. So they
    are unsure, and unlike each other. The gradients are those of Ash et al., "Deep batch active learning by diverse,
    uncertain gradient lower bounds", 2020; the order is that in which a pivoted Cholesky factorisation of their
    products meets them (the greedy choice of Chen et al., "Fast greedy MAP inference for determinantal point process",
    2018).
    """
    said = described.predictions.probabilities.astype(np.float64)
    steps = said.copy()
    steps[np.arange(len(said)), said.argmax(axis=1)] -= 1
    seen = described.features.astype(np.float64)
    seen -= seen.mean(axis=0)
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
    # (a⊗f)·(b⊗g) = (a·b)(f·g): no outer product is ever made.
    rest = (steps**2).sum(axis=1) * (seen**2).sum(axis=1)
    least = 1e-9 * float(rest.max(initial=0.0))
    factor = np.zeros((len(said), min(count, len(said), MOST_IN_TURN)))
    order: list[int] = []
    left = np.ones(len(said), dtype=bool)
    for turn in range(factor.shape[1]):
        place = int(np.where(left, rest, -1.0).argmax())
        if rest[place] <= least:
            break
        products = (steps @ steps[place]) * (seen @ seen[place]) - factor[:, :turn] @ factor[place, :turn]
        factor[:, turn] = products / np.sqrt(rest[place])
        rest = np.maximum(rest - factor[:, turn] ** 2, 0.0)
        order.append(place)
        left[place] = False
    unsure = np.flatnonzero(left)[np.argsort(said.max(axis=1)[left], kind="stable")]
    return np.array([*order, *unsure[: count - len(order)]], dtype=np.int64)


def write(suggestions: Suggestions, path: Path) -> None:
    """Writes a table to fill in: path, label (empty), suggestion, probability. `pellucid train` reads it.

    Paths are relative to the table where they lie below its folder, so that both can be moved together.

    Raises:
        StorageError: the file is there already: it may hold labels that somebody gave.
    """
    if path.exists():
        raise StorageError(f"{path} is there already, perhaps with labels in it. Choose another name with --out.")
    found = suggestions.predictions
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for place in suggestions.order.tolist():
        label = found.classes[found.predicted[place]]
        rows.writerow([_as_seen_from(path, str(found.ids[place])), "", label, f"{found.confidence[place]:.4f}"])
    atomic.write_text(path, text.getvalue())


def _as_seen_from(table: Path, picture: str) -> str:
    whole = Path(picture).absolute()
    folder = table.absolute().parent
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else whole.as_posix()
