"""How much memory there is, and how much this process has taken; without any library, on Linux, macOS and Windows.

What counts is anonymous memory: what a program fills itself. Pages of files that are mapped (libraries, pictures on the
disk) are given back by the system when somebody else needs the room.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from pellucid.errors import UsageError

RESERVE = 0.1
"""The share of free memory that is left to everybody else."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?")


def parse_size(text: str | int) -> int:
    """`2GB`, `500MB`, `1.5GiB`, or a number of bytes from Python → bytes. GB is 10⁹, GiB 2³⁰.

    Raises:
        UsageError: it is no size, or not above 0.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        size = text
    else:
        match = _SIZE.fullmatch(str(text).strip().lower())
        if not match or (not match[2] and "b" not in str(text).lower()):
            raise UsageError(f"A memory limit is a size with its unit, for example 500MB or 2GB; given: '{text}'.")
        units = _BINARY if match[3] and match[2] else _UNITS
        size = round(float(match[1]) * units[match[2]])
    if size <= 0:
        raise UsageError(f"A memory limit is a size above 0, for example 500MB or 2GB; given: '{text}'.")
    return size


def size(count: float) -> str:
    """Bytes for a reader: `812 MB`, `1.9 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 0.9995e9 else f"{count / 1e6:.0f} MB"


def free() -> int:
    """How many bytes of memory a program may still fill, of this machine or of its container, whichever is less."""
    if sys.platform == "linux":
        there = _kilobytes(Path("/proc/meminfo"))["MemAvailable"]
        return min(there, _left_in_container(Path("/sys/fs/cgroup")))
    if os.name == "nt":
        return _windows_free()
    # macOS gives its free pages away to caches, so that half of all memory is a fairer guess than what is empty.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def taken() -> int:
    """How many bytes of anonymous memory this process has now; where the system does not say, its peak."""
    if sys.platform == "linux":
        return _kilobytes(Path("/proc/self/status"))["RssAnon"]
    return peak()


def peak() -> int:
    """The most anonymous memory that this process has had at any moment, in bytes."""
    if sys.platform == "linux":
        status = _kilobytes(Path("/proc/self/status"))
        # The highest of all resident pages, without those of files, which hardly change once libraries are loaded.
        return status["VmHWM"] - status["RssFile"] - status["RssShmem"]
    if os.name == "nt":
        return _windows_peak()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kilobytes(path: Path) -> dict[str, int]:
    """The lines `Name:  123 kB` of a file of the Linux kernel, in bytes."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", path.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    return {name: 1024 * int(number) for name, number in found}


def _left_in_container(folder: Path) -> int:
    """What the container may still fill; more than there is where it has no limit."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        return sys.maxsize if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return sys.maxsize


def _windows_free() -> int:  # pragma: no cover (Windows alone)
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("available", ctypes.c_ulonglong),
            ("rest", ctypes.c_ulonglong * 5),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # pyrefly: ignore
    return int(status.available)


def _windows_peak() -> int:  # pragma: no cover (Windows alone)
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("faults", ctypes.c_ulong),
            ("sizes", ctypes.c_size_t * 8),
        )

    counters = Counters()
    counters.length = ctypes.sizeof(Counters)
    kernel = ctypes.windll.kernel32  # pyrefly: ignore
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong)
    kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.length)
    return int(counters.sizes[7])  # PeakPagefileUsage: the most that it had for itself
