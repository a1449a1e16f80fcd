"""Several processes that train one network together, as `torchrun` starts them. Importing this imports no torch.

The processes share each batch of the one global order: rank r of P takes its contiguous part. After the backward pass
the gradients of all parts are averaged, weighted by their batch weights, and every process makes the same step. So P
processes learn what one process learns from the whole batch, up to rounding. One all-reduce a step carries everything:
gradients, loss, number of correct answers, running statistics, and whether a process was asked to stop.

The processes find each other by torch.distributed through accelerate
(https://github.com/huggingface/accelerate), an extra: `pip install "pellucid[processes]"`. The backend is gloo on CPUs
and NCCL on NVIDIA GPUs; the latter has not been run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pellucid.errors import TrainingError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn
    from torch.distributed import Store

_TIMEOUT = timedelta(hours=12)
"""How long a collective waits for the others, which may be decoding photos. It notices at once when one has ended."""
_LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that a launcher sets. Some clusters set one or two of them for every program."""


@dataclass
class ProcessGroup:
    """The processes that train together. A single process by default; collectives are then no-ops.

    Attributes:
        rank: rank of this process, from 0.
        size: number of processes (the world size).
        device: device of the tensors that collectives exchange.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    _stop_requested: bool = field(default=False, repr=False)
    _stop_received: bool = field(default=False, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which prints and writes files for all."""
        return self.rank == 0

    def shard(self, start: int, stop: int) -> tuple[int, int]:
        """Start and stop of this process's share of start ... stop − 1. The shares are disjoint and cover it all."""
        n = stop - start
        return start + self.rank * n // self.size, start + (self.rank + 1) * n // self.size

    def all_reduce(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Sums float tensors over all processes, in one message; their shapes are the same in each process.

        Every process gets the same sums, to the last bit. The message also says whether a process was asked to stop.
        """
        if self.size == 1:
            return list(tensors)
        import torch

        dtype = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
        flat = torch.cat([tensor.detach().reshape(-1).to(self.device, dtype) for tensor in tensors])
        message = torch.cat([flat, flat.new_full((1,), float(self._stop_requested))])
        self._all_reduce(message)
        self._stop_received = bool(message[-1] > 0) or self._stop_received
        sums = message[:-1].split([tensor.numel() for tensor in tensors])
        return [total.view(own.shape).to(own.device, own.dtype) for total, own in zip(sums, tensors, strict=True)]

    def average_gradients(
        self, network: nn.Module, loss: torch.Tensor, weight: torch.Tensor, correct: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Replaces every gradient of a network, and its running statistics, by the mean over all processes.

        Args:
            network: its gradients are in `grad`. A parameter without a gradient in every process keeps none.
            loss: mean loss over this process's part of the batch.
            weight: weight of this part in the mean over the batch: its number of pictures, or the sum of their class
                weights.
            correct: number of correct answers in this part.

        Returns:
            The mean loss over the whole batch, and its number of correct answers.
        """
        if self.size == 1:
            return loss, correct
        import torch

        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # Layers in evaluation mode keep their statistics, to the last bit.
        statistics = running_statistics(module for module in network.modules() if module.training)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        has_gradient = torch.tensor([float(p.grad is not None) for p in parameters])
        numbers = torch.stack([weight.double(), weight.double() * loss.double(), correct.double()]).float()
        with torch.no_grad():
            *sums, has_gradient, numbers = self.all_reduce(
                [*(tensor * weight for tensor in (*gradients, *statistics)), has_gradient, numbers.to(weight.device)]
            )
            total = numbers[0]
            for parameter, gradient, present in zip(parameters, sums, has_gradient.tolist(), strict=False):
                # In the memory order of the parameter, which fused optimiser steps rely on.
                parameter.grad = torch.empty_like(parameter).copy_(gradient / total) if present else None
            for statistic, mean in zip(statistics, sums[len(parameters) :], strict=True):
                statistic.copy_(mean / total)
        return (numbers[1] / total).to(loss.dtype), numbers[2].round().long()

    def should_stop(self, *, requested: bool) -> bool:
        """Whether all processes stop here, between two steps. It sends no message of its own.

        A request travels with the next step's all-reduce, so that every process stops after the same step.

        Args:
            requested: whether this process was asked to stop.
        """
        if self.size == 1:
            return requested
        received = self._stop_received
        self._stop_requested, self._stop_received = requested and not received, False
        return received

    def any_requested(self, *, requested: bool) -> bool:
        """Whether any process was asked to stop. It waits for all of them, and all get the same answer."""
        if self.size == 1:
            return requested
        import torch

        message = torch.tensor([float(requested or self._stop_received)], device=self.device)
        self._all_reduce(message)
        self._stop_requested, self._stop_received = False, False
        return bool(message.item() > 0)

    def gather_rows(self, part: torch.Tensor, start: int, n: int) -> torch.Tensor:
        """Gathers rows (n, ...) from the parts of all processes; this process's part begins at row `start`."""
        if self.size == 1:
            return part
        whole = part.new_zeros((n, *part.shape[1:]))
        whole[start : start + len(part)] = part
        return self.all_reduce([whole])[0]

    def broadcast(self, content: bytes | None) -> bytes:
        """Sends the bytes of rank 0 to all processes; the others' argument is ignored."""
        if self.size == 1:
            assert content is not None
            return content
        import torch

        length = torch.tensor([len(content or b"") if self.is_main else 0], dtype=torch.int64, device=self.device)
        self._broadcast(length)
        if self.is_main and content:
            message = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
        else:
            message = torch.empty(int(length.item()), dtype=torch.uint8, device=self.device)
        if len(message):
            self._broadcast(message)
        return message.cpu().numpy().tobytes()

    def require_same(self, specification: str, weights: Mapping[str, np.ndarray]) -> None:
        """Checks that all processes begin with the same specification and weights.

        Raises:
            TrainingError: a process has other data, another plan or other weights than rank 0.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256(specification.encode())
        for name in sorted(weights):
            digest.update(f"\n{name}\n".encode() + weights[name].tobytes())
        own = digest.digest()
        differs = self.broadcast(own) != own
        import torch

        different = torch.tensor([float(differs)], device=self.device)
        self._all_reduce(different)
        if different.item():
            raise TrainingError(
                f"{int(different.item())} of {self.size} processes have other data, another plan or other weights than "
                f"process 0. Start all of them with the same command, the same data and the same versions."
            )

    @contextlib.contextmanager
    def local_main_first(self) -> Iterator[None]:
        """A block that one process of each machine runs before the others, which then find what it has cached."""
        is_local_main = os.environ.get("LOCAL_RANK", "0") == "0"
        if not is_local_main:
            self.any_requested(requested=False)  # a barrier
        yield
        if is_local_main:
            self.any_requested(requested=False)

    def _all_reduce(self, message: torch.Tensor) -> None:
        from torch import distributed

        with _connection_errors():
            distributed.all_reduce(message)

    def _broadcast(self, message: torch.Tensor) -> None:
        from torch import distributed

        with _connection_errors():
            distributed.broadcast(message, src=0)


_current_group = ProcessGroup()
_connected = False
_connection_lost = False


def current_group() -> ProcessGroup:
    """The processes that train together now."""
    return _current_group


def world_size() -> int:
    """Number of processes that a launcher started together; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if all(os.environ.get(name) for name in _LAUNCHER_VARIABLES) else 1


def is_main() -> bool:
    """Whether this process has rank 0, or was started alone."""
    return world_size() == 1 or os.environ["RANK"] == "0"


def error_prefix() -> str:
    """Beginning of this process's error messages: nothing for rank 0, `Process 1: ` for rank 1."""
    return "" if is_main() else f"Process {os.environ['RANK']}: "


def another_process_reports() -> bool:
    """Whether another process reports the error that this process has.

    Before the processes are connected, all processes of a machine fail alike, and the first reports it. If a process is
    lost, the launcher names it.
    """
    return not is_main() and (_connection_lost or (not _connected and os.environ["LOCAL_RANK"] != "0"))


def running_statistics(modules: Iterable[nn.Module]) -> list[torch.Tensor]:
    """The running means and variances of those modules that keep them, such as batch normalisation."""
    return [
        statistic
        for module in modules
        for statistic in (getattr(module, "running_mean", None), getattr(module, "running_var", None))
        if statistic is not None
    ]


def notes(network: nn.Module, hard_fraction: float = 1.0) -> Iterator[str]:
    """Remarks for the user on a training that several processes shared; none for a single process."""
    size = _current_group.size
    if size == 1:
        return
    yield (
        f"{size} processes shared each batch. Another number of processes gives the same model up to rounding, but not "
        f"the same bytes."
    )
    if running_statistics(network.modules()):
        yield (
            "Batch normalisation used the statistics of each process's own part of a batch; the running statistics in "
            "the model are the means over the processes."
        )
    if hard_fraction < 1:
        yield (
            "Each process learned from the hardest pictures of its own part of a batch; another number of processes "
            "selects other pictures."
        )


def set_threads(threads: int | None) -> None:
    """Sets the number of torch's threads; None uses all cores, or this process's share of them."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    elif _current_group.size > 1 and os.environ.get("OMP_NUM_THREADS", "1") == "1":  # torchrun's default is 1
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", _current_group.size))
        torch.set_num_threads(max(1, _cores() // local_size))


@contextlib.contextmanager
def process_group(device: str = "auto") -> Iterator[ProcessGroup]:
    """Connects the processes that were started together; without a launcher, a group of this process alone.

    Within the block `current_group()` returns the same group. The environment variables are those of torchrun.

    Args:
        device: as for a training: auto, cpu or cuda.

    Raises:
        UsageError: accelerate is not installed, or the device does not support several processes.
        TrainingError: another process cannot be reached, or ends.
    """
    global _current_group, _connected  # noqa: PLW0603 (a process is in one group)
    if world_size() == 1 or _current_group.size > 1:
        yield _current_group
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UsageError(
            f"A launcher started {world_size()} processes, which needs accelerate, and accelerate is not installed. "
            f'Install it with: pip install "pellucid[processes]".'
        ) from error
    import torch

    if device == "mps":
        raise UsageError("Several processes train on CPUs or on NVIDIA GPUs, not on mps. Give --device cpu.")
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else accelerate sets the threads, which `set_threads` does
    with _connection_errors():
        store, rank, size = _rendezvous()
        state = PartialState(cpu=on_cpu, timeout=_TIMEOUT, store=store, rank=rank, world_size=size)
    group_device = "cpu" if on_cpu else f"cuda:{state.local_process_index}"
    _current_group, _connected = ProcessGroup(state.process_index, state.num_processes, group_device), True
    try:
        yield _current_group
    finally:
        _current_group = ProcessGroup()
        with contextlib.suppress(RuntimeError, ValueError):  # another process may be gone
            state.destroy_process_group()
        PartialState._reset_state()  # noqa: SLF001 (accelerate keeps one state for good, and has no other way)


def _rendezvous() -> tuple[Store, int, int]:
    """The store in which the processes exchange their addresses, the rank of this process, and the world size.

    torchrun keeps one store for all its restarts, which still holds the addresses of killed processes. So each attempt
    uses a prefix of its own.
    """
    from torch.distributed import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
    return PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store), rank, size


@contextlib.contextmanager
def _connection_errors() -> Iterator[None]:
    """Turns the exceptions of a lost connection into a TrainingError."""
    global _connection_lost  # noqa: PLW0603 (a process loses its group once)
    try:
        yield
    except (RuntimeError, OSError) as error:
        _connection_lost = True
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = re.sub(r"^\[[^\]]*\] *", "", reason).split(". ")[0].rstrip(".")  # without the line of C++
        raise TrainingError(
            f"Another process of this training has ended, or cannot be reached ({reason}). The last checkpoint is "
            f"kept: go on with `pellucid train --resume RUN`, or start with --max-restarts, and torchrun resumes it."
        ) from error


def _cores() -> int:
    """Number of cores that this process may use."""
    affinity: Iterable[int] | None = getattr(os, "sched_getaffinity", lambda _process: None)(0)
    return len(set(affinity)) if affinity is not None else os.cpu_count() or 1
