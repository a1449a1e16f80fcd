"""Names within sentences: on one line, and only the first of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pellucid.errors import on_one_line

__all__ = ["counted", "listed", "on_one_line", "settings_in_words"]


def listed(names: Sequence[str], at_most: int = 20, *, quoted: bool = True) -> str:
    """The first names, and the number of the others: `'a', 'b' and 3 more`.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = (f"'{on_one_line(name)}'" if quoted else on_one_line(name) for name in names[:at_most])
    return ", ".join(shown) + (f" and {len(names) - at_most:,} more" if len(names) > at_most else "")


def counted(n: int, singular: str, plural: str = "") -> str:
    """A number with its noun. Every sentence with a number of things takes it from here.

    >>> counted(1, "picture"), counted(1437, "picture"), counted(2, "class", "classes")
    ('1 picture', '1,437 pictures', '2 classes')
    """
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def settings_in_words(settings: Mapping[str, object], at_most: int = 120) -> str:
    """Settings for a message, with long values cut: `widths=[500, 100], dropout=0.1`."""
    parts = []
    for key, value in settings.items():
        text = on_one_line(f"{key}={value!r}")
        parts.append(text if len(text) <= at_most else f"{text[: at_most - 1]}…")
    return ", ".join(parts[:10]) + (", …" if len(parts) > 10 else "")
