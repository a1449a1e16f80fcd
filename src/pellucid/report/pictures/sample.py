"""A sample of a split: some pictures of each class, drawn at random with a fixed seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.thumbnails import thumbnail
from pellucid.errors import FormatError
from pellucid.records import Figure, Split
from pellucid.report.wording import count

EDGE = 64
"""Longer side of a picture in the grid, in pixels."""


def class_grid(split: Split, per_class: int = 10, *, classes: int = 30) -> Figure:
    """Some pictures of each class, one row per class: a figure of kind `class-grid`.

    Args:
        split: pictures with labels.
        per_class: largest number of pictures per class; the same ones every time.
        classes: largest number of classes; the note says if there are more.

    Raises:
        DataError: the split has no labels.
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
