"""Ctrl-C during a training: the step that runs is finished, and the training ends in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """A context in which the first Ctrl-C, or the word to end, only sets `requested`; a second interrupts at once.

    The word to end is SIGTERM, which launchers send before they kill. A context within another is that other: a search
    hears what its trainings hear, however they end.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}
        # Only the main thread may have signal handlers; elsewhere Ctrl-C reaches whoever started the thread.
        self._active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        for number in self.SIGNALS if self._active else ():
            around = getattr(signal.getsignal(number), "__self__", None)
            if isinstance(around, type(self)):
                return around
            # Whoever started this in the background may have said that Ctrl-C is not meant for it.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            # None stands for a handler that was not set from Python, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
