"""How much memory is free, and how much this process takes.

Only anonymous memory counts: what a program fills itself. The system takes pages of mapped files (libraries, pictures
on the disk) back when other programs need the room.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.records.quantities import parse_size

RESERVE = 0.1
"""The share of free memory that stays free for other programs."""


def parse_limit(text: str | int) -> int:
    """Converts a memory limit (`2GB`, `500MB`, `1.5GiB`, or a number of bytes from Python) to bytes.

    Raises:
        UsageError: it is not a size with a unit, or not above 0.
    """
    limit = parse_size(text, "A memory limit", unit_required=True)
    if limit == 0:
        raise UsageError(f"A memory limit is a size above 0, for example 500MB or 2GB; given: '{text}'.")
    return limit


def free() -> int:
    """Number of bytes that a program may still fill, on this machine or in its container, whichever is less."""
    import psutil

    return min(psutil.virtual_memory().available, _container_free(Path("/sys/fs/cgroup")))


def used() -> int:
    """Number of bytes of anonymous memory that this process has now."""
    import psutil

    process = psutil.Process()
    if psutil.LINUX:
        memory = process.memory_info()
        return memory.rss - memory.shared
    return process.memory_full_info().uss


def peak() -> int:
    """The most anonymous memory that this process has had so far, in bytes."""
    import psutil

    memory = psutil.Process().memory_info()
    if psutil.WINDOWS:
        return memory.peak_pagefile  # pyrefly: ignore (Windows alone)
    if psutil.LINUX:
        # Not getrusage, as below: on Linux a child process starts with its parent's peak. psutil has no peak here.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        # The shared pages are those of libraries; their number hardly changes once these are loaded.
        return 1024 * int(kilobytes) - memory.shared
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if psutil.MACOS else 1024)


def _container_free(folder: Path) -> int:
    """Number of bytes that the container may still fill (cgroup v2); psutil sees only the machine behind it."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used_bytes = int((folder / "memory.current").read_text(encoding="ascii"))
        return sys.maxsize if limit == "max" else max(0, int(limit) - used_bytes)
    except (OSError, ValueError):
        return sys.maxsize
