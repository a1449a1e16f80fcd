"""What names in a script mean: functions of torch and its neighbours, and the author's own names.

A script is not run, so names are the only evidence of which data are test data.
"""

from __future__ import annotations

import ast
import re

from pellucid.lint.scripts.tags import (
    LOG_SOFTMAX,
    LOG_SOFTMAX_LAYER,
    NO,
    NOTHING,
    SOFTMAX,
    SOFTMAX_LAYER,
    TEST,
    TRAIN,
    VALIDATION,
    YES,
    Tags,
)

LAYERS = {"Softmax": SOFTMAX_LAYER, "Softmax2d": SOFTMAX_LAYER, "LogSoftmax": LOG_SOFTMAX_LAYER}
FUNCTIONS = {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}
RESULTS = {SOFTMAX_LAYER: SOFTMAX, LOG_SOFTMAX_LAYER: LOG_SOFTMAX}
"""The tag of what such a layer returns."""

CONTAINERS = {"Sequential", "ModuleList"}
LOADERS = {"DataLoader", "StatefulDataLoader"}
SPLITTING = {"train_test_split", "random_split"}
JOINING = {"ConcatDataset", "ChainDataset", "concatenate", "concat", "cat", "vstack", "hstack"}
ADDING = {"append", "extend", "add"}
"""Methods that put a value into a list or set."""

CHOOSERS = {"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"}
"""Callbacks and schedulers that decide by held-out figures during a `fit`."""

STATISTICS = {"mean", "std", "var", "nanmean", "nanstd", "std_mean", "var_mean"}
UNCHANGED = {
    "view", "reshape", "squeeze", "flatten", "to", "float", "double", "cpu", "cuda", "clone", "contiguous", "unsqueeze",
}  # fmt: skip
"""Methods that return the same data in another form."""

SPLIT_WORDS = {"test": "test", "train": "train", "val": "validation", "valid": "validation", "validation": "validation"}
NO_DATA = {"transform", "target_transform", "transforms", "collate_fn", "generator", "worker_init_fn", "sampler"}
"""Keyword arguments whose values are not data."""

_PREFIX = "(?:[xy]|images?|labels?|data|inputs?|targets?|mnist|cifar|ds|dl)?"
_SUFFIX = "(?:set|sets|loader|loaders|data|dataset|ds|dl|x|y|images?|labels?|iter|batches|batch|gen|generator|ing|s)?"
_SPLITS = {
    TEST: re.compile(rf"(?:^|_|/){_PREFIX}test{_SUFFIX}(?:_|/|\d|$)"),
    VALIDATION: re.compile(rf"(?:^|_|/){_PREFIX}(?:valid|validation|val|dev|holdout){_SUFFIX}(?:_|/|\d|$)"),
    TRAIN: re.compile(rf"(?:^|_|/){_PREFIX}train{_SUFFIX}(?:_|/|\d|$)"),
}
_NO_DATA = re.compile(
    r"(?:^|_)(?:size|ratio|fraction|frac|share|interval|every|freq|num|n|transforms?|tfms?|aug|steps?|split|seed|device)(?:_|$)"
)
_MODEL = re.compile(
    r"(?:^|_)(?:model|net|network|cnn|mlp|classifier|clf|convnet|resnet|vit|lenet|student|teacher)\d*(?:_|$)"
)
_BEST = re.compile(
    r"(?:^|_)(?:best|highest|lowest|top|min|max|minimum|maximum|prev|previous|patience|wait|counter)(?:_|$)"
)
_EVALUATING = re.compile(
    r"(?:^|_)(?:test|tests|eval|evaluate|evaluation|valid|validate|validation|val|predict|accuracy|score|inference)(?:_|$)"
)
_SCALER = re.compile(r"scal|norm|standard|min_?max|pca|whiten|quantile|impute")
_METRIC = re.compile(
    r"(?:^|_)(?:loss|losses|acc|accs|accuracy|accuracies|scores?|correct|errors?|history|results?|times?)(?:_|\d|$)"
)


def split_of(name: str) -> str:
    """The split that a name or a path stands for: `test`, `validation`, `train`, or an empty string."""
    text = snake(name)
    if _NO_DATA.search(text):
        return ""
    splits = [split for split, words in _SPLITS.items() if words.search(text)]
    return splits[0] if len(splits) == 1 else ""


def of_constant(node: ast.Constant) -> Tags:
    """Tags of a literal: a truth value, a known word, or a path that names a split."""
    if isinstance(node.value, (bool, type(None))):
        return frozenset({YES if node.value else NO})
    if not isinstance(node.value, str):
        return NOTHING
    if node.value.lower() in SPLIT_WORDS:
        return frozenset({SPLIT_WORDS[node.value.lower()]})
    if any(sign in node.value for sign in "/\\.") and " " not in node.value:
        split = split_of(node.value.replace("\\", "/").replace(".", "/"))
        return frozenset({split}) if split else NOTHING
    return NOTHING


def means_model(name: str) -> bool:
    """Whether a variable of that name is a network. Names of classes do not count."""
    return not name[:1].isupper() and bool(_MODEL.search(snake(name)))


def means_best(name: str) -> bool:
    """Whether a variable of that name holds the best result so far."""
    return bool(_BEST.search(snake(name)))


def means_evaluating(name: str) -> bool:
    """Whether a function of that name evaluates a network."""
    return bool(_EVALUATING.search(snake(name)))


def means_scaler(name: str) -> bool:
    """Whether an object of that name measures scales, such as a scaler or a normaliser."""
    return bool(_SCALER.search(snake(name)))


def means_metric(name: str) -> bool:
    """Whether a variable of that name holds losses or accuracies rather than data."""
    return bool(_METRIC.search(snake(name)))


def snake(name: str) -> str:
    """Converts `testLoader` to `test_loader` and `X_test` to `x_test`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(" ", "_")
