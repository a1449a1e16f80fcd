"""The ledger: how often each test split was scored on this machine.

Choosing the model with the best test score out of many overfits the test split. So each scoring adds a line of JSON to
`scores.jsonl` in the cache, and the report shows the count beside the score. Lines are never removed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.records import atomic, json_text

__all__ = ["ScoringCount", "count", "path", "record_scoring"]

_PATIENCE = 10.0
"""Seconds to wait for another process."""


@dataclass(frozen=True)
class ScoringCount:
    """How often a test split was scored, including this time; 0 if the ledger cannot be written.

    Attributes:
        times: number of scorings.
        models: number of different models.
        error: why the ledger cannot be written; else empty.
    """

    times: int
    models: int
    error: str = ""

    def __str__(self) -> str:
        """For example "the 3rd time that this test split was scored"."""
        if not self.times:
            return f"the number of times that this test split was scored is unknown: {self.error}"
        by = f", by {self.models:,} different models" if self.models > 1 else ""
        return f"the {_ordinal(self.times)} time that this test split was scored{by}"


def path() -> Path:
    """The ledger's file, in `$PELLUCID_CACHE` or the platform's user cache folder."""
    cache = os.environ.get("PELLUCID_CACHE")
    if cache:
        return Path(cache).expanduser() / "ledger" / "scores.jsonl"
    import platformdirs

    return Path(platformdirs.user_cache_dir("pellucid", appauthor=False)) / "ledger" / "scores.jsonl"


def record_scoring(split: str, *, data: str, model: str) -> ScoringCount:
    """Records that a test split was scored, and counts its scorings. It never raises: see `ScoringCount.error`.

    Args:
        split: fingerprint of the split.
        data: name of its dataset, for readers of the file.
        model: SHA-256 of the model.
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
            # A process that was killed while it wrote leaves an unfinished line: start a new one.
            stream.seek(0, os.SEEK_END)
            is_line_start = stream.tell() == 0
            if not is_line_start:
                stream.seek(-1, os.SEEK_END)
                is_line_start = stream.read(1) == b"\n"
            stream.write((b"" if is_line_start else b"\n") + line.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return count(split)
    except (PellucidError, OSError, filelock.Timeout) as error:
        return ScoringCount(0, 0, str(error))


def count(split: str) -> ScoringCount:
    """How often a test split was scored so far; damaged lines are skipped."""
    models: list[str] = []
    with contextlib.suppress(FileNotFoundError), path().open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with contextlib.suppress(ValueError, AttributeError):
                entry = json_text.parse(line)
                if entry.get("split") == split:
                    models.append(str(entry.get("model")))
    return ScoringCount(len(models), len(set(models)))


def _ordinal(n: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"
