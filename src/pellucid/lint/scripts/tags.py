"""Tags: what a name or an expression of a script may stand for. Events: what rules look for."""

from __future__ import annotations

import ast
from dataclasses import dataclass

Tags = frozenset[str]
NOTHING: Tags = frozenset()

TEST, VALIDATION, TRAIN = "test", "validation", "train"
"""Data of a split."""
SOFTMAX, LOG_SOFTMAX = "softmax", "log-softmax"
"""A value that a softmax returned."""
SOFTMAX_LAYER, LOG_SOFTMAX_LAYER = "softmax-layer", "log-softmax-layer"
"""A softmax layer, or a sequence of layers that ends with one."""
CROSS_ENTROPY = "cross-entropy"
"""A loss function."""
SCALE = "scale-of-test"
"""A mean or a standard deviation of test data."""
FITTED = "fitted-before-split"
"""Data that were scaled by their own statistics."""
MIXED = "train-and-test"
"""Training and test data in one set."""
CHOOSER = "chooser"
"""A callback that stops, keeps or slows down a `fit` by a measured figure, and whatever contains one."""

YES, NO = "=true", "=false"
"""A constant that is true, or false; None counts as false."""
IN_ORDER = ":in-order"
"""The end of the tag of a loader that does not shuffle."""

TRAINING, EVALUATION = "training", "evaluation"
"""The modes of a network."""


@dataclass(frozen=True)
class Event:
    """Something in a script that rules look for.

    Attributes:
        kind: `training-loop`, `fit`, `model`, `choose`, `scale`, `cross-entropy`.
        node: where it happens.
        tags: the data or values that it happens to.
        mode: for `model`: the modes in which the network may be, and `no-grad` if gradients are off.
        learns: for `model`: whether this is a training step.
    """

    kind: str
    node: ast.AST
    tags: Tags
    mode: Tags = NOTHING
    learns: bool = False


def splits(tags: Tags) -> Tags:
    """The splits among the tags."""
    return tags & {TEST, VALIDATION, TRAIN}


def models(tags: Tags) -> list[str]:
    """The networks among the tags, sorted."""
    return sorted(tag for tag in tags if tag.startswith("model:"))


def loaders(tags: Tags) -> list[str]:
    """The loaders among the tags, sorted."""
    return sorted(tag for tag in tags if tag.startswith("loader:"))
