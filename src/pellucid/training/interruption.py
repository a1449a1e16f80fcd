"""Ctrl-C and SIGTERM: a training finishes its current step and ends in order; everything else ends at once.

Launchers, schedulers and `docker stop` send SIGTERM before they kill. On Windows, Ctrl-Break (SIGBREAK) is its like.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

TERMINATION = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""The signals of this platform that ask a program to end, besides Ctrl-C."""

INTERRUPTED = "Interrupted before the end. Run the same command again."
"""What the command line says where there is nothing to resume."""


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Within the block, SIGTERM raises KeyboardInterrupt, as Ctrl-C does: temporary files go, and a sentence follows.

    Has no effect outside the main thread. A signal that the starter of this process ignores stays ignored.
    """
    previous: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in TERMINATION:
            if signal.getsignal(number) == signal.SIG_DFL:
                previous[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Interruption:
    """A context in which the first Ctrl-C or SIGTERM only sets `requested`; a second interrupts at once.

    A nested context returns the outer one, so that a search of settings also sees the request that stopped one of its
    trainings.
    """

    SIGNALS = (signal.SIGINT, *TERMINATION)

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}
        # Only the main thread may have signal handlers; Ctrl-C in another thread reaches the thread that started it.
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        for number in self.SIGNALS if self._active else ():
            outer = getattr(signal.getsignal(number), "__self__", None)
            if isinstance(outer, type(self)):
                return outer
            # A shell makes a background process ignore Ctrl-C; that stays so.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            # None is a handler that was not set from Python, and cannot be restored.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
