"""`Flaw`: one thing that a rule found, with its place, its reason and its mend."""

from __future__ import annotations

from dataclasses import dataclass

WARNING = "warning"
INFO = "info"
LEVELS = (WARNING, INFO)
"""The gravest first. A warning costs accuracy, or makes a figure untrue; an info costs time or memory at most."""


@dataclass(frozen=True)
class Flaw:
    """What a rule found.

    Attributes:
        place: a layer's path, or `file.py:12`.
        reason: why it makes things worse; whole sentences.
        mend: what to do; whole sentences.
        level: where it differs from the rule's own.
    """

    place: str
    reason: str
    mend: str
    level: str = ""
