"""`KEY=VALUE` on the command line, as values of Python."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pellucid.errors import UsageError


def parse(given: Iterable[str], option: str) -> dict[str, Any]:
    """Settings given as `KEY=VALUE`: numbers, true and false, null and JSON lists as such, everything else as text.

    >>> parse(["widths=[300,100]", "activation=tanh"], "--set")
    {'widths': [300, 100], 'activation': 'tanh'}

    Raises:
        UsageError: one is not of that form, or a key is given twice.
    """
    found: dict[str, Any] = {}
    for one in given:
        key, separator, value = one.partition("=")
        key = key.strip().replace("-", "_")
        if not separator or not key.isidentifier():
            raise UsageError(
                f"{option} was given '{one}', but expects KEY=VALUE, for example {option} activation=tanh."
            )
        if key in found:
            raise UsageError(f"{option} {key} was given twice. Give it once.")
        found[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text


def batch_size(given: str | None) -> int | str | None:
    """A number, or `auto`.

    Raises:
        UsageError: it is neither.
    """
    if given is None or given.strip().lower() == "auto":
        return given and "auto"
    try:
        return int(given)
    except ValueError:
        raise UsageError(
            f"--batch-size was given '{given}', but should be a whole number of pictures, for example 64, or auto."
        ) from None
