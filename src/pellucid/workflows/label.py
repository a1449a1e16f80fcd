"""Active learning: which photos to label next, so that the model learns most from few labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError, StorageError, UsageError
from pellucid.inference.features import Described, describe
from pellucid.inference.pictures import as_split
from pellucid.records import Model, Predictions, atomic, csv_text

COLUMNS = ("path", "label", "suggestion", "probability")
MAX_DIVERSE = 1000
"""Number of photos that are chosen to differ from each other; further ones are ordered by uncertainty alone."""


@dataclass(frozen=True)
class Suggestions:
    """Photos to label.

    Attributes:
        predictions: predictions for all readable photos.
        order: indices of the photos to label, the most useful first: int64 (M,).
    """

    predictions: Predictions
    order: np.ndarray


def suggest(model: Model, pictures: Any, *, count: int | None = None, **settings: Any) -> Suggestions:
    """Ranks photos without labels by how much the model would learn from their labels.

    Args:
        model: trained on the labels so far.
        pictures: paths, or a split, as for `predict`.
        count: number of photos to suggest; None for all.
        **settings: `network`, for a network of your own.

    Raises:
        DataError: none of the pictures can be read.
        UsageError: `count` is below 1.
    """
    if count is not None and count < 1:
        raise UsageError(f"The number of photos to label is at least 1; given: {count}.")
    described = describe(model, as_split(pictures, model.specification), **settings)
    if not len(described.predictions):
        raise DataError("None of these pictures can be read, so there is nothing to label.")
    return Suggestions(described.predictions, rank_by_usefulness(described, count or len(described.predictions)))


def rank_by_usefulness(described: Described, count: int) -> np.ndarray:
    """Indices of `count` pictures, the most useful first: int64 (M,).

    The gradient of a picture with respect to the last layer is (p − e) ⊗ f, with its probabilities p, its predicted
    class e as one-hot vector, and its features f (centred, of norm 1). It is long if the model is unsure. The picture
    with the longest gradient comes first. Each next picture has the longest gradient after projecting out the gradients
    chosen so far. So the chosen pictures are uncertain and differ from each other. The gradients are those of Ash et
    al., "Deep batch active learning by diverse, uncertain gradient lower bounds", 2020. The order is that of a pivoted
    Cholesky factorisation of their inner products, the greedy algorithm of Chen et al., "Fast greedy MAP inference for
    determinantal point process", 2018.
    """
    probabilities = described.predictions.probabilities.astype(np.float64)
    n = len(probabilities)
    errors = probabilities.copy()
    errors[np.arange(n), probabilities.argmax(axis=1)] -= 1
    features = described.features.astype(np.float64)
    features -= features.mean(axis=0)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    # (a⊗f)·(b⊗g) = (a·b)(f·g), so the outer products are never computed.
    residual = (errors**2).sum(axis=1) * (features**2).sum(axis=1)
    tolerance = 1e-9 * float(residual.max(initial=0.0))
    factor = np.zeros((n, min(count, n, MAX_DIVERSE)))
    order: list[int] = []
    is_left = np.ones(n, dtype=bool)
    for column in range(factor.shape[1]):
        index = int(np.where(is_left, residual, -1.0).argmax())
        if residual[index] <= tolerance:
            break
        products = (errors @ errors[index]) * (features @ features[index])
        products = products - factor[:, :column] @ factor[index, :column]
        factor[:, column] = products / np.sqrt(residual[index])
        residual = np.maximum(residual - factor[:, column] ** 2, 0.0)
        order.append(index)
        is_left[index] = False
    uncertain = np.flatnonzero(is_left)[np.argsort(probabilities.max(axis=1)[is_left], kind="stable")]
    return np.array([*order, *uncertain[: count - len(order)]], dtype=np.int64)


def write_table(suggestions: Suggestions, path: Path) -> None:
    """Writes a table to fill in: path, label (empty), suggestion, probability. `pellucid train` reads it.

    Paths below the folder of the table are relative to it, so that both can be moved together.

    Raises:
        StorageError: the file exists; it may contain labels.
    """
    if path.exists():
        raise StorageError(f"{path} exists already, and may contain labels. Choose another name with --out.")
    predictions = suggestions.predictions
    rows: list[tuple[str, ...]] = [COLUMNS]
    for index in suggestions.order.tolist():
        label = predictions.classes[predictions.predicted[index]]
        photo = _relative_to_table(path, str(predictions.ids[index]))
        rows.append((photo, "", label, f"{predictions.confidence[index]:.4f}"))
    atomic.write_text(path, csv_text.as_text(rows))


def _relative_to_table(table: Path, photo: str) -> str:
    path = Path(photo).absolute()
    folder = table.absolute().parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
