"""JSON from files, in which anything may stand."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse"]


def parse(text: str | bytes) -> Any:
    """The content of a JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
