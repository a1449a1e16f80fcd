"""Ctrl-C during a training: the step that runs is finished, and the training ends in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """A context in which the first Ctrl-C only sets `requested`; a second one interrupts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None
        # Only the main thread may have signal handlers; elsewhere Ctrl-C reaches whoever started the thread.
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        # Whoever started this in the background said that Ctrl-C is not meant for it.
        self._active = self._active and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            # None stands for a handler that was not set from Python, and cannot be put back.
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._previous is None else self._previous)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
