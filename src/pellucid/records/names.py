"""Names within sentences: on one line, and only the first of many."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed", "on_one_line"]


def on_one_line(name: str) -> str:
    """A name for a message, with line ends, other control characters and broken Unicode escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def listed(names: Sequence[str], at_most: int = 20, *, quoted: bool = True) -> str:
    """The first names, and the number of the others: `'a', 'b' and 3 more`.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = (f"'{on_one_line(name)}'" if quoted else on_one_line(name) for name in names[:at_most])
    return ", ".join(shown) + (f" and {len(names) - at_most:,} more" if len(names) > at_most else "")
