"""Labels become class names: the one implementation, for folders, tables, Parquet, tar archives and arrays.

The same labels give the same classes in the same order, however they are stored.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pellucid.errors import DataError

__all__ = [
    "MOST_CLASSES",
    "clean_cell",
    "clean_classes",
    "clean_column",
    "clean_label",
    "clean_name",
    "ordered_classes",
]

MOST_CLASSES = 65_536
"""Most classes of a data set. More are a column of ids rather than of labels, or a hostile file."""
_MOST_CHARACTERS = 1000
_INTEGER = re.compile(r"-?\d+")
_WHOLE_FLOAT = re.compile(r"-?\d+\.0*")


def clean_label(value: Any) -> str | None:
    """The class name that a stored label means; None if the picture has no label.

    Null, NaN and empty text mean no label. Whole numbers are integers, even if a missing value elsewhere made the
    column float: 1.0 is `1`. Truth values are `True` and `False`. Text is a `clean_name`.

    Args:
        value: text, a number, a truth value or None, as a reader of files returns it.

    Raises:
        ValueError: the value is none of these, or a fraction.
    """
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):  # NumPy's scalars
        value = value.item()
    if value is None or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return None
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value) or value != int(value):
            raise ValueError(f"the label {value} is neither a whole number nor a name")
        return str(int(value))
    if isinstance(value, (bool, int)):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"a label is a number or a name, not {type(value).__name__}")  # noqa: TRY004 (one kind for both)
    if len(value) > _MOST_CHARACTERS:
        raise ValueError(f"a label has at most {_MOST_CHARACTERS:,} characters; this one has {len(value):,}")
    return clean_name(value) or None


def clean_cell(value: Any) -> str:
    """Any value of a table as text, as `clean_label` writes it; fractions as they are, no value as empty text."""
    try:
        return clean_label(value) or ""
    except ValueError:
        return str(value)


def clean_name(text: str) -> str:
    """A class name in Unicode's composed form (NFC), without spaces around it.

    macOS writes the names of folders in the decomposed form: `é` as `e` and an accent. Both are one class.
    """
    return unicodedata.normalize("NFC", text).strip()


def clean_column(values: Iterable[Any]) -> list[str | None]:
    """The labels of a whole column of text, where `1.0` can only be told from a name by its neighbours.

    If every label is a number, and those with a point end in `.0`, they are whole numbers that were written as floats.
    """
    labels = [clean_label(value) for value in values]
    known = [label for label in labels if label is not None]
    floats = any(_WHOLE_FLOAT.fullmatch(label) for label in known)
    if floats and all(_WHOLE_FLOAT.fullmatch(label) or _INTEGER.fullmatch(label) for label in known):
        return [None if label is None else label.partition(".")[0] for label in labels]
    return labels


def ordered_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """The class names that occur: numbers in their order, other names in that of the alphabet.

    Raises:
        DataError: there are more than `MOST_CLASSES`.
    """
    names = set(labels)
    _check_number(len(names), "The labels have")
    if all(_INTEGER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def clean_classes(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Class names that the data list in their own order, each clean and each once.

    Raises:
        DataError: a name is empty, too long or occurs twice, or there are more than `MOST_CLASSES`.
    """
    _check_number(len(names), f"{where} has")
    longest = max(map(len, names), default=0)
    if longest > _MOST_CHARACTERS:
        raise DataError(
            f"{where} has a class name of {longest:,} characters; at most {_MOST_CHARACTERS:,} are supported."
        )
    clean = tuple(clean_name(name) for name in names)
    if "" in clean or len(set(clean)) < len(clean):
        twice = next((name for name in clean if not name or clean.count(name) > 1), "")
        raise DataError(f"{where} has the class name '{twice}' {'twice' if twice else 'without a letter'}.")
    return clean


def _check_number(count: int, what: str) -> None:
    if count > MOST_CLASSES:
        raise DataError(
            f"{what} {count:,} class names; at most {MOST_CLASSES:,} are supported. Is it a column of ids instead of "
            f"labels?"
        )
