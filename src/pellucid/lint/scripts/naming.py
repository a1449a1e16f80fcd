"""The meaning of names in a script, above all the split of data. Without running it, names are the only evidence."""

from __future__ import annotations

import re

TEST, VALIDATION, TRAIN = "test", "validation", "train"

_PART = "(?:[xy]|images?|labels?|data|inputs?|targets?|mnist|cifar|ds|dl)?"
_END = "(?:set|sets|loader|loaders|data|dataset|ds|dl|x|y|images?|labels?|iter|batches|batch|gen|generator|ing|s)?"
_WORDS = {
    TEST: re.compile(rf"(?:^|_|/){_PART}test{_END}(?:_|/|\d|$)"),
    VALIDATION: re.compile(rf"(?:^|_|/){_PART}(?:valid|validation|val|dev|holdout){_END}(?:_|/|\d|$)"),
    TRAIN: re.compile(rf"(?:^|_|/){_PART}train{_END}(?:_|/|\d|$)"),
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
    """The split that a name or path refers to: `test`, `validation`, `train`; empty if none."""
    text = snake(name)
    if _NO_DATA.search(text):
        return ""
    splits = [split for split, words in _WORDS.items() if words.search(text)]
    return splits[0] if len(splits) == 1 else ""


def means_model(name: str) -> bool:
    """Whether a name is a usual one for a network object (not for its class)."""
    return not name[:1].isupper() and bool(_MODEL.search(snake(name)))


def means_best(name: str) -> bool:
    """Whether a name is a usual one for the best value so far."""
    return bool(_BEST.search(snake(name)))


def means_evaluating(name: str) -> bool:
    """Whether a function of that name evaluates."""
    return bool(_EVALUATING.search(snake(name)))


def means_scaler(name: str) -> bool:
    """Whether a name is a usual one for a scaler or normaliser."""
    return bool(_SCALER.search(snake(name)))


def means_metric(name: str) -> bool:
    """Whether a name is a usual one for losses, accuracies and other metrics, not for data."""
    return bool(_METRIC.search(snake(name)))


def snake(name: str) -> str:
    """A name in snake case: `testLoader` → `test_loader`, `X_test` → `x_test`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(" ", "_")
