"""Folds for cross-validation: stratified by class, groups kept whole, drawn by seed."""

from __future__ import annotations

import numpy as np


def folds(labels: np.ndarray, groups: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Which fold each picture is held out in: int64 (N,), 0 to `count` − 1.

    −1, never held out, are pictures of classes that have one picture (or one group) alone: without it there would be
    nothing to learn the class from.

    Args:
        labels: int (N,).
        groups: what belongs together (N,), for example copies of one photo; None where nothing does.
        count: how many folds.
        seed: which ones.
    """
    names, members = (
        (np.arange(len(labels)), np.arange(len(labels))) if groups is None else np.unique(groups, return_inverse=True)
    )
    classes = int(labels.max(initial=-1)) + 1
    held = np.zeros((len(names), classes), dtype=np.int64)
    np.add.at(held, (members, labels), 1)
    lonely = (held > 0).sum(axis=0) == 1
    placed = np.full(len(names), -1, dtype=np.int64)
    filled = np.zeros((count, classes), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(names))
    # Large groups first, while every fold still has room; among equals as the seed says.
    for group in order[np.argsort(-held[order].sum(axis=1), kind="stable")].tolist():
        mine = held[group]
        if lonely[mine > 0].any():
            continue
        # Where its own classes are rarest; among equals where there are the fewest pictures.
        placed[group] = min(range(count), key=lambda one: (int(filled[one][mine > 0].sum()), int(filled[one].sum())))
        filled[placed[group]] += mine
    return placed[members]
