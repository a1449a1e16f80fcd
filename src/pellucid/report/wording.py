"""Words and numbers for findings, shared by terminal, report, pictures and notebook."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from pellucid.errors import on_one_line as visible
from pellucid.records import Metric
from pellucid.records.names import counted

count = counted
"""A number with its noun: "1 picture", "1,437 pictures"."""

DPI = 144
"""Dots per inch of a picture: 1.5 pixels for each CSS pixel."""

TITLES = {
    "accuracy": "Accuracy",
    "base_rate": "Base rate",
    "top_5_accuracy": "Top-5 accuracy",
    "accuracy_on_dissimilar": "Accuracy on photos unlike the training photos",
    "accuracy_by_similarity": "Accuracy by similarity to the nearest training photo",
    "loss": "Log loss",
    "brier": "Brier score",
    "accepted": "Accepted answers",
    "accuracy_of_accepted": "Accuracy of accepted answers",
    "per_class": "Scores of each class",
    "confusions": "The most common confusions",
    "confusion_matrix": "Confusion matrix",
    "reliability": "Reliability diagram",
    "mistakes": "The most confident mistakes",
    "predictions": "Some predictions",
    "class_grid": "Pictures of each class",
    "history": "Training curves",
    "classes": "Pictures of each class",
    "copies_of_pictures": "Copies of pictures",
    "extreme_pictures": "Pictures far from the rest",
    "file_types": "File types of each class",
    "unreadable_pictures": "Pictures that cannot be read",
    "layers": "Layers, in the order in which they run",
    "multiply_adds": "Multiply-adds",
    "sizes": "Sizes from layer to layer",
    "accuracy_a": "Accuracy of A",
    "accuracy_b": "Accuracy of B",
    "p_value": "p value",
    "disagreements": "Where they disagree",
}

MEANINGS = {
    "accuracy": "The share of pictures predicted correctly.",
    "base_rate": "The accuracy of always predicting the most frequent class.",
    "top_5_accuracy": "The share of pictures whose class is among the five most probable ones.",
    "accuracy_on_dissimilar": "A photo from elsewhere is rarely like a training photo, so expect this accuracy there.",
    "balanced_accuracy": "The mean of the classes' recalls: each class counts the same, however many pictures it has.",
    "accepted": "The share of pictures that the model is sure enough to answer.",
    "accuracy_of_accepted": "The share of accepted answers that are right.",
    "loss": "How little probability the model gives to the right answers. 0 is best; confident mistakes cost most.",
}


def title(name: str) -> str:
    """The title of a finding: `top_5_accuracy` is "Top-5 accuracy"."""
    return TITLES.get(name) or visible(name.replace("_", " ").capitalize())


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction as per cent, "98.6 %"; a dash for None.

    Below 1 it is never rounded to 100 %, and above 0 never to 0 %.
    """
    return "–" if fraction is None else f"{_hundredths(fraction, digits)} %"


def _hundredths(fraction: float, digits: int) -> str:
    text = f"{100 * fraction:.{digits}f}"
    while digits < 6 and ((fraction < 1 and float(text) >= 100) or (fraction > 0 and float(text) <= 0)):
        digits += 1
        text = f"{100 * fraction:.{digits}f}"
    return text


def probable(share: float, digits: int = 1) -> str:
    """A probability as per cent; "< 0.1 %" if it is smaller than that and not 0."""
    return percent(share, digits) if share >= 0.001 or share == 0 else "< 0.1 %"


def value(metric: Metric) -> str:
    """The value of a metric with its unit: "98.6 %", "0.0512 nats", "1,437"."""
    if metric.unit == "fraction":
        return percent(metric.value)
    if metric.unit == "count":
        return f"{metric.value:,.0f}"
    return f"{metric.value:.4g} {metric.unit}".strip()


def interval(metric: Metric) -> str:
    """The 95 % interval of a metric, "96.8 to 99.4 %"; empty if it has none."""
    if metric.low is None or metric.high is None:
        return ""
    if metric.unit == "fraction":
        return f"{_hundredths(metric.low, 1)} to {percent(metric.high)}"
    return f"{metric.low:.4g} to {metric.high:.4g} {metric.unit}".strip()


def cell(column: str, content: Any) -> str:
    """A table cell as text. Columns whose name ends in `%` hold fractions; None is a dash."""
    if content is None:
        return "–"
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, int | float):
        if column.endswith("%"):
            return minus(_hundredths(content, 1))
        return minus(f"{content:,}" if isinstance(content, int) else f"{content:.4g}")
    return visible(str(content))


def shown_columns(columns: Sequence[str]) -> list[tuple[str, int, tuple[int, int] | None]]:
    """The columns to show: (name, index, indices of its lower and upper limit if it has them).

    The limits of `recall %` are the columns `recall low %` and `recall high %`, which are shown beside it.
    """
    limits: dict[str, tuple[int, int]] = {}
    for name in columns:
        low, high = (name.removesuffix(" %") + f" {limit} %" for limit in ("low", "high"))
        if name.endswith(" %") and low in columns and high in columns:
            limits[name] = columns.index(low), columns.index(high)
    hidden = {index for pair in limits.values() for index in pair}
    shown = [(name, index) for index, name in enumerate(columns) if index not in hidden]
    return [(name, index, limits.get(name)) for name, index in shown]


def cell_with_limits(column: str, row: Sequence[Any], index: int, limits: tuple[int, int] | None) -> str:
    """A table cell with its interval, if it has one: "97.8 (95 to 99)"."""
    text = cell(column, row[index])
    if limits is None or row[index] is None or row[limits[0]] is None:
        return text
    low, high = row[limits[0]], row[limits[1]]
    digits = 0 if high - low >= 0.02 else 1
    return f"{text} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def minus(text: str) -> str:
    """The text with true minus signs for hyphens: "−0.25", "1e−05"."""
    return text.replace("-", "−")


def width(text: str) -> int:
    """Width of the text in terminal columns; East Asian letters take two."""
    marks = ("Mn", "Me", "Cf")
    return sum(
        0 if unicodedata.category(character) in marks else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def short(text: str, columns: int) -> str:
    """The text on one line in at most `columns` columns, with an ellipsis for the cut middle."""
    text = visible(text)
    if width(text) <= columns:
        return text
    start, end = "", ""
    for first, last in zip(text, reversed(text), strict=True):
        if width(start + first + end) >= columns:
            break
        start += first
        if width(start + last + end) >= columns:
            break
        end = last + end
    return f"{start}…{end}"
