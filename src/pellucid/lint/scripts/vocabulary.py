"""Names of functions in torch and related libraries, without their modules, and their meaning."""

from __future__ import annotations

import ast

from pellucid.lint.scripts.naming import split_of
from pellucid.lint.scripts.tags import (
    LOG_SOFTMAX,
    LOG_SOFTMAX_LAYER,
    NO,
    NOTHING,
    SOFTMAX,
    SOFTMAX_LAYER,
    YES,
    Tags,
)

LAYERS = {"Softmax": SOFTMAX_LAYER, "Softmax2d": SOFTMAX_LAYER, "LogSoftmax": LOG_SOFTMAX_LAYER}
VALUES = {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}
GIVES = {SOFTMAX_LAYER: SOFTMAX, LOG_SOFTMAX_LAYER: LOG_SOFTMAX}
"""Tag of a layer → tag of its output."""

HOLDERS = {"Sequential", "ModuleList"}
LOADERS = {"DataLoader", "StatefulDataLoader"}
SPLITTING = {"train_test_split", "random_split"}
JOINING = {"ConcatDataset", "ChainDataset", "concatenate", "concat", "cat", "vstack", "hstack"}
KEEPING = {"append", "extend", "add"}
"""Methods of lists and sets that add their argument."""

CHOOSERS = {"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"}
"""Callbacks of a `fit` that make choices by held-out results."""

STATISTICS = {"mean", "std", "var", "nanmean", "nanstd", "std_mean", "var_mean"}
THE_SAME = {
    "view", "reshape", "squeeze", "flatten", "to", "float", "double", "cpu", "cuda", "clone", "contiguous", "unsqueeze",
}  # fmt: skip
"""Methods that return their data in another form."""

WORDS = {"test": "test", "train": "train", "val": "validation", "valid": "validation", "validation": "validation"}
NO_DATA = {"transform", "target_transform", "transforms", "collate_fn", "generator", "worker_init_fn", "sampler"}
"""Keywords whose values are not data."""


def of_constant(node: ast.Constant) -> Tags:
    """Tags of a literal: a truth value, a known word, or a path that names a split."""
    if isinstance(node.value, (bool, type(None))):
        return frozenset({YES if node.value else NO})
    if not isinstance(node.value, str):
        return NOTHING
    if node.value.lower() in WORDS:
        return frozenset({WORDS[node.value.lower()]})
    if any(sign in node.value for sign in "/\\.") and " " not in node.value:
        own = split_of(node.value.replace("\\", "/").replace(".", "/"))
        return frozenset({own}) if own else NOTHING
    return NOTHING
