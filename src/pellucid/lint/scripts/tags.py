"""What a name in a script may hold, as a set of tags, and what is noted of what happens."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from pellucid.lint.scripts.naming import TEST, TRAIN, VALIDATION

Tags = frozenset[str]
NOTHING: Tags = frozenset()

SOFTMAX, LOG_SOFTMAX = "softmax", "log-softmax"
"""Of a value: what a softmax gave."""
SOFTMAX_LAYER, LOG_SOFTMAX_LAYER = "softmax-layer", "log-softmax-layer"
"""Of a layer, or of layers of which it is the last."""
CROSS_ENTROPY = "cross-entropy"
"""Of a loss."""
SCALE = "scale-of-test"
"""Of a mean or a standard deviation of test data."""
FITTED = "fitted-before-split"
"""Of data that were scaled by themselves."""
MIXED = "train-and-test"
"""Of training and test data that were joined."""
CHOOSER = "chooser"
"""Of what stops, keeps or slows down by what is measured while it is fitted, and of what holds such."""

YES, NO = "=true", "=false"
"""Of a value that decides; None decides as false does."""
IN_ORDER = ":in-order"
"""What the tag of a loader ends with that does not shuffle."""

TRAINING, EVALUATION = "training", "evaluation"
"""The modes of a network."""


@dataclass(frozen=True)
class Event:
    """Something that a rule asks for.

    Attributes:
        kind: `training-loop`, `fit`, `model`, `choose`, `scale`, `cross-entropy`.
        node: where.
        tags: of what it happens to.
        mode: for `model`: the modes in which the network may be, and `no-grad` where gradients are off.
        learns: for `model`: whether this is a step of training.
    """

    kind: str
    node: ast.AST
    tags: Tags
    mode: Tags = NOTHING
    learns: bool = False


def splits(tags: Tags) -> Tags:
    """Only the splits among them."""
    return tags & {TEST, VALIDATION, TRAIN}


def models(tags: Tags) -> list[str]:
    """Only the networks among them."""
    return sorted(tag for tag in tags if tag.startswith("model:"))


def loaders(tags: Tags) -> list[str]:
    """Only the loaders among them."""
    return sorted(tag for tag in tags if tag.startswith("loader:"))
