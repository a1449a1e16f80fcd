"""Tags for the possible contents of a name in a script, and events for the rules."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from pellucid.lint.scripts.naming import TEST, TRAIN, VALIDATION

Tags = frozenset[str]
NOTHING: Tags = frozenset()

SOFTMAX, LOG_SOFTMAX = "softmax", "log-softmax"
"""Tag of a value: the output of a softmax."""
SOFTMAX_LAYER, LOG_SOFTMAX_LAYER = "softmax-layer", "log-softmax-layer"
"""Tag of a softmax layer, or of a sequence of layers that ends with one."""
CROSS_ENTROPY = "cross-entropy"
"""Tag of a loss."""
SCALE = "scale-of-test"
"""Tag of a mean or standard deviation of test data."""
FITTED = "fitted-before-split"
"""Tag of data scaled with their own statistics."""
MIXED = "train-and-test"
"""Tag of joined training and test data."""
CHOOSER = "chooser"
"""Tag of a callback that stops, saves or changes the rate by held-out results, and of its containers."""

YES, NO = "=true", "=false"
"""Tags of a truth value; None counts as false."""
IN_ORDER = ":in-order"
"""End of the tag of a loader that does not shuffle."""

TRAINING, EVALUATION = "training", "evaluation"
"""The modes of a network."""


@dataclass(frozen=True)
class Event:
    """An event that rules look for.

    Attributes:
        kind: `training-loop`, `fit`, `model`, `choose`, `scale`, `cross-entropy`.
        node: where it happens.
        tags: tags of its data.
        mode: for `model`: the possible modes of the network, and `no-grad` if gradients are off.
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
    """The networks among the tags."""
    return sorted(tag for tag in tags if tag.startswith("model:"))


def loaders(tags: Tags) -> list[str]:
    """The loaders among the tags."""
    return sorted(tag for tag in tags if tag.startswith("loader:"))
