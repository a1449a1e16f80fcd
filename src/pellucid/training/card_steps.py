"""The steps of a training on a graphics card: recorded once as a CUDA graph, and then repeated.

A small network's step is a few hundred operations of some microseconds each. Launching them one by one takes longer
than computing them; a recorded step is launched as a whole. What changes from step to step lies in fixed places on the
card that the recorded operations read: the indices of the pictures, their random numbers, the learning rate and the
generator's seed. So a repeated step computes what an ordinary step does, with the same operations.

The batches of an epoch have at most two sizes, and each has its own graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from pellucid.errors import TrainingError
from pellucid.inference.device import watching
from pellucid.training.batches import Batches

WARM_UP = 3
"""Ordinary steps of a batch size before its step is recorded: they allocate the optimiser's state, and are checked."""

Result = tuple[torch.Tensor, torch.Tensor]
"""The mean loss and the number correct of a batch, scalars on the device."""
Step = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Result]
"""(inputs, labels, learning rate) → result: learns from a batch."""
Replay = Callable[[], None]


@dataclass
class _Size:
    """What belongs to the batches of one size: the place of their indices, and the recorded step."""

    indices: torch.Tensor
    done: int = 0
    replay: Replay | None = None
    result: Result | None = field(default=None, repr=False)


class CardSteps:
    """Takes the steps of a training on a graphics card.

    Attributes:
        not_captured: why steps are launched operation by operation, as part of a sentence; empty if they are recorded.

    Args:
        batches: the batches, whose pictures lie on the card.
        step: learns from a batch; it must do the same operations for every batch of a size.
        not_captured: why steps must not be recorded, if so.
        recorder: records operations; the tests have one for the CPU.
    """

    def __init__(self, batches: Batches, step: Step, *, not_captured: str = "", recorder: Any = None) -> None:
        self.batches = batches
        self.step = step
        self.not_captured = not_captured
        device = batches.examples.labels.device
        self.rate = torch.zeros((), device=device)
        self._recorder = recorder or CudaRecorder(device)
        self._sizes: dict[int, _Size] = {}

    def take(self, number: int, indices: torch.Tensor, rate: float) -> Result:
        """Learns from the pictures `indices` at that learning rate, in the step of that number, counted from 1.

        Raises:
            TrainingError: the network fails.
        """
        size = self._sizes.setdefault(len(indices), _Size(torch.empty_like(indices)))
        size.indices.copy_(indices)
        self.rate.fill_(rate)
        self.batches.seed_dropout(number)
        if size.replay is None and size.done >= WARM_UP and not self.not_captured:
            self._record(size)
        if size.replay is not None and size.result is not None:
            size.replay()
            loss, correct = size.result
            return loss.clone(), correct.clone()  # the next step writes into the same places
        size.done += 1
        with self._recorder.ordinary(check=size.done == WARM_UP) as reasons:
            result = self._run(size)
        self.not_captured = self.not_captured or next(iter(reasons), "")
        return result

    def _run(self, size: _Size) -> Result:
        inputs, labels = self.batches.load(size.indices)
        return self.step(inputs, labels, self.rate)

    def _record(self, size: _Size) -> None:
        """Records the step of a batch size. It is not carried out: the first repetition does that."""
        try:
            size.replay, size.result = self._recorder.record(lambda: self._run(size))
        except (RuntimeError, TrainingError) as error:
            cause = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
            size.replay = size.result = None
            self.not_captured = f"recording one failed ({cause[0].rstrip('.')})"


class CudaRecorder:
    """Records operations on an NVIDIA card as CUDA graphs (torch.cuda.graph).

    Ordinary steps before a recording run on the stream that it uses, so that all that is allocated once is there.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    @contextmanager
    def ordinary(self, *, check: bool) -> Iterator[list[str]]:
        """A block for one ordinary step. With `check`, the list then says why such a step cannot be recorded, if so."""
        reasons: list[str] = []
        messages: list[str] = []
        self.stream.wait_stream(torch.cuda.current_stream())
        with watching(_ABOUT_WAITING, messages), torch.cuda.stream(self.stream):
            mode = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("warn" if check else mode)
            try:
                yield reasons
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        torch.cuda.current_stream().wait_stream(self.stream)
        if any(_WAITS in message for message in messages):
            reasons.append("it has an operation that waits for the card")

    def record(self, operations: Callable[[], Result]) -> tuple[Replay, Result]:
        """Records operations: (function that repeats them, the places where each repetition puts the result)."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                result = operations()
        except BaseException:
            # A failed recording leaves the random generator waiting for its end, and dropout would fail ever after.
            fresh = torch.Generator(device=self.device)
            torch.cuda.default_generators[self.device.index or 0].graphsafe_set_state(fresh.graphsafe_get_state())
            raise
        return graph.replay, result


_WAITS = "called a synchronizing CUDA operation"
_ABOUT_WAITING = f"{_WAITS}|Synchronization debug mode is a prototype"
