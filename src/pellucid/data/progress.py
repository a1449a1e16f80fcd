"""Progress of work on many pictures: calls a callback, or else shows a bar in the terminal after two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pellucid.errors import on_one_line

__all__ = ["Progress", "watched"]

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in total) after each picture."""
T = TypeVar("T")

_PATIENCE = 2.0
_OFTEN = 0.1


def watched(work: Iterable[T], total: int, title: str, progress: Progress | None = None) -> Iterator[T]:
    """Yield the items of `work`, and report progress.

    Args:
        work: the items.
        total: number of items; 0 if unknown.
        title: title of the bar, such as "Decoding pictures".
        progress: called with (items done, items in total). None shows a bar with the time left, if standard error is a
            terminal.
    """
    bar = _Bar(title, total) if progress is None and sys.stderr is not None and sys.stderr.isatty() else None
    try:
        for count, item in enumerate(work, start=1):
            if progress is not None:
                progress(count, total)
            elif bar is not None:
                bar.update(count)
            yield item
    finally:
        if bar is not None:
            bar.close()


class _Bar:
    """A bar on standard error that appears if the work takes long, and disappears when it is done."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.shown = time.perf_counter()
        self.bar = None

    def update(self, count: int) -> None:
        now = time.perf_counter()
        if now - self.shown < _OFTEN or now - self.started < _PATIENCE:
            return
        self.shown = now
        if self.bar is None:
            self._start()
        assert self.bar is not None
        self.bar.update(self.task, completed=count)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
        )
        self.bar.start()
        self.task = self.bar.add_task(on_one_line(self.title), total=self.total or None)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
