"""How long work on many pictures still takes: told to whoever asked, or else shown in a terminal after two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["Progress", "watched"]

Progress = Callable[[int, int], None]
"""Told after each picture: (how many are done, of how many)."""
T = TypeVar("T")

_PATIENCE = 2.0
_OFTEN = 0.1


def watched(work: Iterable[T], total: int, title: str, progress: Progress | None = None) -> Iterator[T]:
    """Passes the work through, and counts it.

    Args:
        work: what is done, in turn.
        total: how much it is; 0 where that is not known.
        title: what is being done, for the terminal: "Decoding pictures".
        progress: is told; where it is None, and errors go to a terminal, a bar with the time left appears there.
    """
    show = _Bar(title, total) if progress is None and sys.stderr is not None and sys.stderr.isatty() else None
    try:
        for count, one in enumerate(work, start=1):
            if progress is not None:
                progress(count, total)
            elif show is not None:
                show.at(count)
            yield one
    finally:
        if show is not None:
            show.end()


class _Bar:
    """A bar on standard error that appears when the work turns out to be long, and goes when it is done."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.shown = time.perf_counter()
        self.bar = None

    def at(self, count: int) -> None:
        now = time.perf_counter()
        if now - self.shown < _OFTEN or now - self.started < _PATIENCE:
            return
        self.shown = now
        if self.bar is None:
            self._begin()
        assert self.bar is not None
        self.bar.update(self.task, completed=count)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
        )
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=self.total or None)

    def end(self) -> None:
        if self.bar is not None:
            self.bar.stop()
