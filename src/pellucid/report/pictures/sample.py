"""Which pictures stand for a split: some of each class, drawn by seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.thumbnails import thumbnail
from pellucid.errors import FormatError
from pellucid.records import Figure, Split
from pellucid.report.wording import count

EDGE = 64
"""The longer side of a picture in the grid, in pixels."""


def class_grid(split: Split, per_class: int = 10, *, classes: int = 30) -> Figure:
    """Some pictures of each class, one row per class: a figure of kind `class-grid`.

    Args:
        split: pictures with labels.
        per_class: how many of each class, at most; drawn at random, the same ones every time.
        classes: for how many classes, at most; the title says when there are more.

    Raises:
        DataError: the labels are not known.
    """
    labels = split.known_labels()
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for index, name in enumerate(split.classes[:classes]):
        indices = np.flatnonzero(labels == index)
        pictures: list[str] = []
        for index_in_split in np.random.default_rng((0, index)).permutation(indices):
            if len(pictures) == per_class:
                break
            try:
                pictures.append(thumbnail(split, int(index_in_split), EDGE))
            except FormatError:
                broken.append(str(split.ids[index_in_split]))
        rows.append({"class": name, "count": len(indices), "pictures": pictures})
    of = f"{split.dataset}, {split.name} split" if split.dataset else f"{split.name} split"
    data = {
        "rows": rows,
        "per_class": per_class,
        "classes": len(split.classes),
        "n": len(split),
        "dataset": split.dataset,
        "split": split.name,
    }
    notes = []
    if len(split.classes) > classes:
        notes.append(f"The first {classes} of {len(split.classes):,} classes.")
    if broken:
        notes.append(f"{count(len(broken), 'picture')} could not be read: {', '.join(broken[:5])}.")
    return Figure("class_grid", "class-grid", data, title=f"Pictures of {of}", note=" ".join(notes))
