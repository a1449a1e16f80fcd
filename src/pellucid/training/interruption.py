"""Ctrl-C during a training: the current step is finished, and the training ends in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """A context in which the first Ctrl-C or SIGTERM only sets `requested`; a second interrupts at once.

    Launchers send SIGTERM before they kill. A nested context returns the outer one, so that a search of settings also
    sees the request that stopped one of its trainings.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

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
