"""Findings in words and numbers for people: the same in the terminal, the page, the pictures and the notebook."""

from __future__ import annotations

import unicodedata
from typing import Any

from pellucid.records import Metric

TITLES = {
    "accuracy": "Accuracy",
    "base_rate": "Base rate",
    "top_5_accuracy": "Top-5 accuracy",
    "loss": "Loss",
    "per_class": "Class by class",
    "confusions": "The most common confusions",
    "confusion_matrix": "Which class was taken for which",
    "mistakes": "The most confident mistakes",
    "predictions": "Some predictions",
    "class_grid": "The pictures, class by class",
    "history": "How training went",
    "classes": "How many pictures of each class",
    "copies_of_pictures": "Which pictures are copies",
    "extreme_pictures": "Pictures far from the rest",
    "file_types": "File types, class by class",
    "unreadable_pictures": "Pictures that cannot be read",
    "layers": "The layers, in the order in which they run",
    "multiply_adds": "Multiply-adds",
    "sizes": "From size to size",
    "accuracy_a": "Accuracy of A",
    "accuracy_b": "Accuracy of B",
    "p_value": "p value",
    "disagreements": "Where they disagree",
}

MEANINGS = {
    "accuracy": "The share of pictures that were given the right class.",
    "base_rate": "What one would get without looking at the pictures.",
    "top_5_accuracy": "The share of pictures whose class is among the five that the model holds most probable.",
    "loss": "How surprised the model was by the right answers; 0 is best, and sure mistakes cost most.",
}


def title(name: str) -> str:
    """What a finding is called for a reader: `top_5_accuracy` is "Top-5 accuracy"."""
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction as per cent: "98.6 %"; a dash where it is not defined.

    What is not quite all is never rounded to 100, and what is not quite nothing never to 0.
    """
    return "–" if fraction is None else f"{_hundredths(fraction, digits)} %"


def _hundredths(fraction: float, digits: int) -> str:
    text = f"{100 * fraction:.{digits}f}"
    while digits < 6 and ((fraction < 1 and float(text) >= 100) or (fraction > 0 and float(text) <= 0)):
        digits += 1
        text = f"{100 * fraction:.{digits}f}"
    return text


def probable(share: float, digits: int = 1) -> str:
    """A probability as per cent; what is next to nothing is "< 0.1 %", for its zeros would say no more."""
    return percent(share, digits) if share >= 0.001 or share == 0 else "< 0.1 %"


def value(metric: Metric) -> str:
    """The number of a metric with its unit: "98.6 %", "0.0512 nats", "1,437"."""
    if metric.unit == "fraction":
        return percent(metric.value)
    if metric.unit == "count":
        return f"{metric.value:,.0f}"
    return f"{metric.value:.4g} {metric.unit}".strip()


def interval(metric: Metric) -> str:
    """Its 95 % interval: "96.8 to 99.4 %"; empty where there is none."""
    if metric.low is None or metric.high is None:
        return ""
    if metric.unit == "fraction":
        return f"{_hundredths(metric.low, 1)} to {percent(metric.high)}"
    return f"{metric.low:.4g} to {metric.high:.4g} {metric.unit}".strip()


def cell(column: str, content: Any) -> str:
    """What stands in a table: columns whose name ends in `%` hold fractions; None is a dash."""
    if content is None:
        return "–"
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, int | float):
        if column.endswith("%"):
            return minus(_hundredths(content, 1))
        return minus(f"{content:,}" if isinstance(content, int) else f"{content:.4g}")
    return visible(str(content))


def count(n: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 picture", "1,437 pictures"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def minus(text: str) -> str:
    """A number that was written with a hyphen, with a true minus: "−0.25", "1e−05"."""
    return text.replace("-", "−")


def visible(text: str) -> str:
    r"""The text on one line: newlines and other characters that cannot be seen are written as escapes, as in `a\nb`.

    Names come from folders, and a folder may be called anything. Marks that turn the direction of writing are escaped
    too; those that join letters and emoji are kept.
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    category = unicodedata.category(character)
    hidden = category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in "\u200c\u200d")
    return character.encode("unicode_escape", "backslashreplace").decode("ascii") if hidden else character


def width(text: str) -> int:
    """How many columns the text takes; letters of East Asian scripts take two."""
    marks = ("Mn", "Me", "Cf")
    return sum(
        0 if unicodedata.category(character) in marks else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def short(text: str, columns: int) -> str:
    """The text on one line in at most that many columns; what is cut from its middle is marked by an ellipsis."""
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
