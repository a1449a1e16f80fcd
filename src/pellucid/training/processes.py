"""Several processes that train one network together, as `torchrun` starts them. Importing this imports no torch.

Each batch of the one global order is shared out: process r of P takes its contiguous part. After the backward pass the
gradients of all parts are averaged, weighted by what the parts count for, and every process makes the same step: P
processes learn what one process learns from the whole batch, within rounding. One message a step carries everything:
gradients, loss, right answers, running statistics, and whether somebody was asked to stop.

The processes find each other by torch.distributed through accelerate
(https://github.com/huggingface/accelerate), an extra: `pip install "pellucid[processes]"`. They speak by gloo on
processors and by NCCL on NVIDIA's cards; the latter has not been run.
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

_PATIENCE = timedelta(hours=12)
"""How long a process waits for the others, which may be decoding photos; one that has ended is noticed at once."""
_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells each process. Some clusters set one or two of these for everything that they start."""


@dataclass
class Processes:
    """The processes that train together; by default this one alone, for whom all that is said here costs nothing.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are.
        device: where what they tell each other has to lie.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    _wishing: bool = field(default=False, repr=False)
    _heard: bool = field(default=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this one speaks and writes for all."""
        return self.rank == 0

    def part(self, first: int, last: int) -> tuple[int, int]:
        """This process's part of first ... last − 1; together the parts are all of it, and none overlap."""
        n = last - first
        return first + self.rank * n // self.size, first + (self.rank + 1) * n // self.size

    def added_up(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The sums over all processes, in one message, of float tensors of the same shapes in each.

        They are the same numbers everywhere, to the last bit. The message also says who was asked to stop.
        """
        if self.size == 1:
            return list(tensors)
        import torch

        dtype = torch.float64 if any(one.dtype == torch.float64 for one in tensors) else torch.float32
        flat = torch.cat([one.detach().reshape(-1).to(self.device, dtype) for one in tensors])
        message = torch.cat([flat, flat.new_full((1,), float(self._wishing))])
        self._all_reduce(message)
        self._heard = bool(message[-1] > 0) or self._heard
        sums = message[:-1].split([one.numel() for one in tensors])
        return [one.view(given.shape).to(given.device, given.dtype) for one, given in zip(sums, tensors, strict=True)]

    def averaged(
        self, network: nn.Module, loss: torch.Tensor, counts: torch.Tensor, right: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Makes every gradient of a network the mean over all processes, and its running statistics too.

        Args:
            network: whose gradients stand in `grad`. A parameter that has none in any process keeps none.
            loss: the mean over this process's part.
            counts: what the part counts for in the mean over the batch: its pictures, or the sum of their weights.
            right: how many of its answers were right.

        Returns:
            The mean loss over the whole batch, and how many of its answers were right.
        """
        if self.size == 1:
            return loss, right
        import torch

        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # In evaluation mode a layer's statistics stay what they are, to the last bit.
        statistics = running_statistics(one for one in network.modules() if one.training)
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        there = torch.tensor([float(one.grad is not None) for one in parameters])
        numbers = torch.stack([counts.double(), counts.double() * loss.double(), right.double()]).float()
        with torch.no_grad():
            *sums, there, numbers = self.added_up(
                [*(one * counts for one in (*gradients, *statistics)), there, numbers.to(counts.device)]
            )
            total = numbers[0]
            for parameter, gradient, found in zip(parameters, sums, there.tolist(), strict=False):
                # In the memory order of the parameter, which fused steps rely on.
                parameter.grad = torch.empty_like(parameter).copy_(gradient / total) if found else None
            for statistic, mean in zip(statistics, sums[len(parameters) :], strict=True):
                statistic.copy_(mean / total)
        return (numbers[1] / total).to(loss.dtype), numbers[2].round().long()

    def stopping(self, *, asked: bool) -> bool:
        """Whether all are to stop here, between two steps: somebody was asked to, and all have heard of it.

        It costs nothing: what is asked travels with the next step.
        """
        if self.size == 1:
            return asked
        heard = self._heard
        self._wishing, self._heard = asked and not heard, False
        return heard

    def agree(self, *, asked: bool) -> bool:
        """Whether any was asked to stop, the same in all. It waits for all of them."""
        if self.size == 1:
            return asked
        import torch

        word = torch.tensor([float(asked or self._heard)], device=self.device)
        self._all_reduce(word)
        self._wishing, self._heard = False, False
        return bool(word.item() > 0)

    def gathered(self, part: torch.Tensor, first: int, n: int) -> torch.Tensor:
        """Rows (n, ...) of which each process has its own part, that begins at `first`."""
        if self.size == 1:
            return part
        whole = part.new_zeros((n, *part.shape[1:]))
        whole[first : first + len(part)] = part
        return self.added_up([whole])[0]

    def from_first(self, content: bytes | None) -> bytes:
        """What process 0 gives, in all of them; what the others give is ignored."""
        if self.size == 1:
            assert content is not None
            return content
        import torch

        length = torch.tensor([len(content or b"") if self.first else 0], dtype=torch.int64, device=self.device)
        self._broadcast(length)
        if self.first and content:
            message = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
        else:
            message = torch.empty(int(length.item()), dtype=torch.uint8, device=self.device)
        if len(message):
            self._broadcast(message)
        return message.cpu().numpy().tobytes()

    def require_same(self, specification: str, weights: Mapping[str, np.ndarray]) -> None:
        """Makes sure that all begin alike.

        Raises:
            TrainingError: another process has other data, another plan or other weights than process 0.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256(specification.encode())
        for name in sorted(weights):
            digest.update(f"\n{name}\n".encode() + weights[name].tobytes())
        mine = digest.digest()
        differs = self.from_first(mine) != mine
        import torch

        count = torch.tensor([float(differs)], device=self.device)
        self._all_reduce(count)
        if count.item():
            raise TrainingError(
                f"{int(count.item())} of {self.size} processes would begin with other data, another plan or other "
                f"weights than process 0. Start all with the same command, the same data and the same versions."
            )

    @contextlib.contextmanager
    def first_here(self) -> Iterator[None]:
        """A block that one process of each machine goes through before its others, who then find what it has cached."""
        leads = os.environ.get("LOCAL_RANK", "0") == "0"
        if not leads:
            self.agree(asked=False)
        yield
        if leads:
            self.agree(asked=False)

    def _all_reduce(self, message: torch.Tensor) -> None:
        from torch import distributed

        with _connected():
            distributed.all_reduce(message)

    def _broadcast(self, message: torch.Tensor) -> None:
        from torch import distributed

        with _connected():
            distributed.broadcast(message, src=0)


_current = Processes()
_met = False
_lost = False


def current() -> Processes:
    """Those that train together now."""
    return _current


def count() -> int:
    """How many processes a launcher started together; 1 where none did."""
    return int(os.environ["WORLD_SIZE"]) if all(os.environ.get(name) for name in _NEEDED) else 1


def is_first() -> bool:
    """Whether this process speaks for all that were started together."""
    return count() == 1 or os.environ["RANK"] == "0"


def name() -> str:
    """What errors of this process begin with: nothing in the first, `Process 1: ` in the next."""
    return "" if is_first() else f"Process {os.environ['RANK']}: "


def leaves_it_to_others() -> bool:
    """Whether an error of this process is one that another process says.

    Before they have met, all processes of a machine fail alike. Where another one is lost, the launcher names it.
    """
    return not is_first() and (_lost or (not _met and os.environ["LOCAL_RANK"] != "0"))


def running_statistics(modules: Iterable[nn.Module]) -> list[torch.Tensor]:
    """The running means and variances of those of the modules that keep some, as batch normalisation does."""
    return [
        statistic
        for module in modules
        for statistic in (getattr(module, "running_mean", None), getattr(module, "running_var", None))
        if statistic is not None
    ]


def notes(network: nn.Module, hard_fraction: float = 1.0) -> Iterator[str]:
    """What a person should know of a training that is shared."""
    size = _current.size
    if size == 1:
        return
    yield f"{size} processes shared each batch; another number of them learns the same within rounding, not to the bit."
    if running_statistics(network.modules()):
        yield (
            "Batch normalisation took its averages over each process's own part of a batch; the running statistics "
            "that the model keeps are the means over the processes."
        )
    if hard_fraction < 1:
        yield (
            "Each process learned from the hardest pictures of its own part of a batch; with another number of "
            "processes these are others."
        )


def set_threads(threads: int | None) -> None:
    """Says how many threads do the arithmetic; None takes this process's share of the cores, alone all of them."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    elif _current.size > 1 and os.environ.get("OMP_NUM_THREADS", "1") == "1":  # torchrun sets 1 where nothing was said
        here = int(os.environ.get("LOCAL_WORLD_SIZE", _current.size))
        torch.set_num_threads(max(1, _cores() // here))


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """The processes that were started together with this one; this one alone where there are none.

    Within the block `current()` is the same. The environment variables are those of torchrun.

    Args:
        device: as for a training: auto, cpu or cuda.

    Raises:
        UsageError: accelerate is not installed, or the device cannot be shared.
        TrainingError: the others cannot be reached, or one of them ends.
    """
    global _current, _met  # noqa: PLW0603 (a process has one set of fellows)
    if count() == 1 or _current.size > 1:
        yield _current
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UsageError(
            f"{count()} processes were started together, which needs accelerate, and that is not installed. Install it "
            f'with: pip install "pellucid[processes]".'
        ) from error
    import torch

    if device == "mps":
        raise UsageError("Several processes train on processors or on NVIDIA's cards, not on mps. Give --device cpu.")
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else accelerate sets threads itself; `set_threads` does
    with _connected():
        store, rank, size = _meeting_place()
        state = PartialState(cpu=on_cpu, timeout=_PATIENCE, store=store, rank=rank, world_size=size)
    place = "cpu" if on_cpu else f"cuda:{state.local_process_index}"
    _current, _met = Processes(state.process_index, state.num_processes, place), True
    try:
        yield _current
    finally:
        _current = Processes()
        with contextlib.suppress(RuntimeError, ValueError):  # where one is lost, there is nobody to say goodbye to
            state.destroy_process_group()
        PartialState._reset_state()  # noqa: SLF001 (accelerate keeps one state for good, and has no other way)


def _meeting_place() -> tuple[Store, int, int]:
    """Where the processes leave each other their addresses, which process this is, and how many there are.

    torchrun keeps one such place for all its restarts, where the addresses of processes that were killed still stand:
    each attempt gets names of its own.
    """
    from torch.distributed import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    return PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store), rank, size


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """Turns what a lost connection raises into a sentence."""
    global _lost  # noqa: PLW0603 (a process loses its fellows once)
    try:
        yield
    except (RuntimeError, OSError) as error:
        _lost = True
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = re.sub(r"^\[[^\]]*\] *", "", reason).split(". ")[0].rstrip(".")  # without the line of C++
        raise TrainingError(
            f"Another process of this training has ended, or cannot be reached ({reason}). What was learned until the "
            f"last checkpoint is kept: go on with `pellucid train --resume RUN`, or start with --max-restarts for "
            f"torchrun to do so by itself."
        ) from error


def _cores() -> int:
    """How many cores this process may use."""
    affinity: Iterable[int] | None = getattr(os, "sched_getaffinity", lambda _process: None)(0)
    return len(set(affinity)) if affinity is not None else os.cpu_count() or 1
