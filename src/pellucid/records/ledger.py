"""The ledger: how often each test split was scored on this machine.

Whoever looks at a test split again and again, and keeps what scored best, learns from it. So each scoring is noted,
one line of JSON in `scores.jsonl` in the cache, and the count stands beside the number. Lines are only ever added.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.records import atomic

__all__ = ["Count", "count", "path", "record_scoring"]

_PATIENCE = 10.0
"""Seconds that another process is waited for."""


@dataclass(frozen=True)
class Count:
    """How often a test split was scored, this time included; 0 where that could not be noted.

    Attributes:
        times: how often in all.
        models: by how many different models.
        trouble: why it could not be noted; else empty.
    """

    times: int
    models: int
    trouble: str = ""

    def __str__(self) -> str:
        """As it stands beside a number: "the 3rd time that this test split was scored"."""
        if not self.times:
            return f"how often this test split was scored is not known: {self.trouble}"
        by = f", by {self.models:,} different models" if self.models > 1 else ""
        return f"the {_ordinal(self.times)} time that this test split was scored{by}"


def path() -> Path:
    """The file, in `$PELLUCID_CACHE` or the platform's user cache folder."""
    given = os.environ.get("PELLUCID_CACHE")
    if given:
        return Path(given).expanduser() / "ledger" / "scores.jsonl"
    import platformdirs

    return Path(platformdirs.user_cache_dir("pellucid", appauthor=False)) / "ledger" / "scores.jsonl"


def record_scoring(split: str, *, data: str, model: str) -> Count:
    """Notes that a test split was scored, and gives how often that was. It never fails: what goes wrong is said.

    Args:
        split: its fingerprint.
        data: the name of its dataset, for people.
        model: the SHA-256 of the model.
    """
    import filelock

    file = path()
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    line = json.dumps({"split": split, "data": data, "model": model, "time": now}, ensure_ascii=False)
    try:
        atomic.make_folder(file.parent)
        with (
            atomic.storage_errors(file),
            filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=_PATIENCE),
            file.open("ab+") as stream,
        ):
            # A process that was killed in mid-line leaves an end without a line end: ours begins on a line of its own.
            stream.seek(0, os.SEEK_END)
            whole = stream.tell() == 0
            if not whole:
                stream.seek(-1, os.SEEK_END)
                whole = stream.read(1) == b"\n"
            stream.write((b"" if whole else b"\n") + line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return count(split)
    except (PellucidError, OSError, filelock.Timeout) as error:
        return Count(0, 0, str(error))


def count(split: str) -> Count:
    """How often a test split was scored so far; lines that are damaged are passed over."""
    models: list[str] = []
    with contextlib.suppress(FileNotFoundError), path().open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("split") == split:
                    models.append(str(entry.get("model")))
    return Count(len(models), len(set(models)))


def _ordinal(n: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"
