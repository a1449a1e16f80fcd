"""The embedding of a dataset: its features before the last layer, projected to two dimensions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import UnknownNameError, UsageError
from pellucid.inference.runner import runner
from pellucid.insight.layer_outputs import Progress, prepared, sample
from pellucid.insight.layer_summary import name_of
from pellucid.records import Figure, Findings, Metric, Model

METHODS = ("pca", "tsne")
PICTURES = 600
"""Number of pictures by default; more would overlap."""

NEAR = 10
_EDGE = 32


def embedding(
    model: Model,
    data: Any,
    *,
    method: Literal["pca", "tsne"] = "tsne",
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    network: Any = None,
    progress: Progress | None = None,
) -> Findings:
    """The features of pictures in two dimensions: a figure of kind `embedding`.

    Args:
        model: the model.
        data: a `Dataset`, a `Split`, or anything that `pellucid.load` accepts.
        method: `pca`, the two directions of largest variance; or `tsne` (van der Maaten and Hinton 2008), which keeps
            neighbours together; its distances between groups have no meaning.
        split: the split to use; test by default, else validation.
        limit: number of pictures; 600 by default.
        seed: seed of the sample and of t-SNE.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).

    Returns:
        The figure, and the metric `neighbours_kept`: the mean fraction of a picture's 10 nearest neighbours in feature
        space that are also among its 10 nearest in the plane. It shows how far to trust the plot.

    Raises:
        UnknownNameError: there is no such method.
        UsageError: there are too few pictures.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    run = runner(model, network)
    preprocessing = model.specification.preprocessing
    pictures, which = sample(data, split, limit or PICTURES, seed=seed)
    pictures, pixels = prepared(pictures, preprocessing)
    if len(pixels) < NEAR + 2:
        raise UsageError(
            f"An embedding needs at least {NEAR + 2} pictures; there are {len(pixels)}. Choose another --split."
        )
    values, outputs = run.features(pixels, progress=progress)
    values = values.astype(np.float64) - values.mean(axis=0)
    plane, explained = _pca(values)
    if method == "tsne":
        plane = _tsne(values, plane, seed)
    neighbours_kept = float((_nearest(values) & _nearest(plane)).sum(axis=1).mean() / NEAR)
    predicted = outputs.argmax(axis=1)
    labels = pictures.labels
    points = []
    for i in range(len(pixels)):
        label = None if labels is None else pictures.classes[int(labels[i])]
        points.append(
            {
                "x": rounded(plane[i, 0]),
                "y": rounded(plane[i, 1]),
                "png": png_base64(pixels[i], _EDGE),
                "id": str(pictures.ids[i]),
                "label": label,
                "predicted": model.classes[int(predicted[i])],
            }
        )
    content = {
        "network": name_of(model),
        "method": method,
        "explained": rounded(explained) if method == "pca" else None,
        "kept": rounded(neighbours_kept),
        "near": NEAR,
        "classes": list(model.classes),
        "labelled": labels is not None,
        "points": points,
    }
    how = "PCA" if method == "pca" else "t-SNE"
    figure = Figure("embedding", "embedding", content, title=f"Embedding of {name_of(model)} ({how})", note=which)
    return Findings(
        (
            Metric("neighbours_kept", neighbours_kept, len(pixels), unit="fraction", note=f"of the {NEAR} nearest"),
            figure,
        )
    )


def _pca(values: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components, (N, 2), and the fraction of variance they explain. `values` are centred."""
    left, sizes, _ = np.linalg.svd(values, full_matrices=False)
    plane = np.zeros((len(values), 2))
    plane[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    total = float(np.square(sizes).sum())
    return plane, float(np.square(sizes[:2]).sum()) / total if total else 0.0


def _tsne(values: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    spread = start[:, 0].std()
    perplexity = min(30.0, (len(values) - 1) / 3)
    start = (start / spread * 1e-4 if spread else start).astype(np.float32)
    return TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(values.astype(np.float32))


def _nearest(values: np.ndarray) -> np.ndarray:
    """A mask of the nearest neighbours of each row, without the row itself, bool (N, N)."""
    squares = np.square(values).sum(axis=1)
    distances = squares[:, np.newaxis] + squares - 2 * values @ values.T
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :NEAR]
    neighbours = np.zeros(distances.shape, bool)
    np.put_along_axis(neighbours, order, True, axis=1)
    return neighbours
