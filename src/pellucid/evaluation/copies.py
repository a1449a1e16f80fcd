"""The accuracy without the pictures that the model has met as copies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pellucid.records import Metric, Predictions
from pellucid.statistics.intervals import wilson

__all__ = ["accuracy_without"]


def accuracy_without(predictions: Predictions, copied: Iterable[str]) -> Metric | None:
    """The share that is right of the pictures that are not copies, with its interval; None where none is left.

    Args:
        predictions: of N pictures, with their labels.
        copied: the ids of pictures of which a copy was learned from.
    """
    if predictions.labels is None:
        return None
    kept = ~np.isin(predictions.ids.astype(str), list(copied))
    n, out = int(kept.sum()), int((~kept).sum())
    if n == 0 or out == 0:
        return None
    right = int((predictions.predicted == predictions.labels)[kept].sum())
    low, high = wilson(right, n)
    kind = f"{predictions.split} " if predictions.split else ""
    which = f"{out:,} {kind}pictures that are" if out > 1 else f"one {kind}picture that is"
    note = f"without the {which} also in what the model learned from"
    return Metric("accuracy_without_copies", right / n, n, low, high, unit="fraction", note=note)
