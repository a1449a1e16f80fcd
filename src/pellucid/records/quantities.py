"""Times and sizes as people type and read them: `5m`, `2 min 5 s`, `2GB`, `3.2 GB`."""

from __future__ import annotations

import math
import re

from pydantic import ByteSize, TypeAdapter, ValidationError

from pellucid.errors import UsageError

__all__ = ["format_size", "format_time", "format_time_left", "parse_size", "parse_time", "time_argument"]

_SECONDS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_TIME_PART = re.compile(r"(\d+(?:\.\d+)?)(h|min|m|s)")
_LARGEST_SIZE = 2**60


def parse_time(text: str | float, name: str = "A budget") -> float:
    """Converts `5m`, `90s`, `1h`, `1h30m`, `1.5h`, or a number of seconds to seconds.

    Args:
        text: what the user gave.
        name: what it is, for the error message.

    Raises:
        UsageError: it is not a time, or not above 0.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        plain = str(text).replace(" ", "").lower()
        parts = _TIME_PART.findall(plain)
        if not parts or "".join(number + unit for number, unit in parts) != plain:
            raise UsageError(f"{name} is a time with its unit, for example 90s, 5m or 1h30m; given: '{text}'.")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"{name} is a time above 0, for example 90s, 5m or 1h30m; given: '{text}'.")
    return seconds


def format_time(seconds: float) -> str:
    """Formats a time for a reader: `12 ms`, `4.2 s`, `35 s`, `5 min`, `2 min 5 s`, `1 h 30 min`."""
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 120 and whole % 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_time_left(seconds: float) -> str:
    """Formats an estimate, rounded to what it is worth: `under 5 s`, `35 s`, `4 min`, `1 h 25 min`."""
    if seconds < 5:
        return "under 5 s"
    if seconds < 57.5:
        return format_time(5 * round(seconds / 5))
    minutes = max(1, round(seconds / 60))
    return format_time(60 * (minutes if minutes < 60 else 5 * round(minutes / 5)))


def time_argument(seconds: int) -> str:
    """Formats a time as the command line takes it, rounded up: `90s`, `4m`, `2h`."""
    if seconds <= 120:
        return f"{seconds}s"
    return f"{math.ceil(seconds / 60)}m" if seconds <= 7200 else f"{math.ceil(seconds / 360) / 10:g}h"


def parse_size(text: str | int, name: str, *, unit_required: bool = False) -> int:
    """Converts `20GB`, `500 MiB`, `4096`, or a number of bytes to bytes. GB is 10⁹, GiB 2³⁰.

    Args:
        text: what the user gave.
        name: what it is, for the error message.
        unit_required: whether a text without a unit is an error.

    Raises:
        UsageError: it is not a size.
    """
    size = text if isinstance(text, int) and not isinstance(text, bool) else _bytes(str(text), unit_required)
    if not 0 <= size < _LARGEST_SIZE:
        raise UsageError(f"{name} is a size with its unit, for example 500MB or 20GB; given: '{text}'.")
    return size


def _bytes(text: str, unit_required: bool) -> int:  # noqa: FBT001 (passed on)
    """The size in bytes, or −1. pydantic also knows bits, which nobody means here."""
    if "bit" in text.lower() or (unit_required and not text.strip()[-1:].isalpha()):
        return -1
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except (ValidationError, OverflowError):
        return -1


def format_size(size: float) -> str:
    """Formats a number of bytes for a reader: `999 bytes`, `1.5 kB`, `812 MB`, `3.2 GB`."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.9995 * scale:
            digits = 1 if size < 99.95 * scale else 0
            return f"{size / scale:.{digits}f}".removesuffix(".0") + f" {unit}"
    return f"{size:.0f} bytes"
