"""The largest batch that fits into memory, found by real steps: `--batch-size auto`. Imports torch only when called.

The batch is doubled until memory is full, and then refined. On a CPU, another process tries it, and its memory is read
afterwards: a CPU has no clean way to run out of memory, so the system may kill that process, and no other. On a
graphics card, this process tries it, and torch reports the memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pellucid.errors import TrainingError, UsageError
from pellucid.records.quantities import format_size
from pellucid.training import memory

if TYPE_CHECKING:
    from pellucid.records import Dataset
    from pellucid.training.plan import ResolvedPlan

AUTO = "auto"
FIRST = 16
REFINEMENTS = 3
"""How often the gap between a batch that fits and one that does not is halved."""
FEWEST_STEPS = 32
"""An epoch of fewer steps learns too little from its pictures, however much memory there is."""
WASTE = 0.05
"""A gap below this share of the batch is not worth another trial."""


@dataclass(frozen=True)
class BatchSize:
    """A batch size, and the reason for it.

    Attributes:
        chosen: number of pictures.
        reason: why, in a sentence.
        tried: bytes that each size takes; None if it ran out of memory.
        limit: bytes that it may take.
    """

    chosen: int
    reason: str
    tried: Mapping[int, int | None]
    limit: int


def is_auto(value: object) -> bool:
    """Whether a batch size is `auto`."""
    return isinstance(value, str) and value.strip().lower() == AUTO


def find_batch_size(data: Dataset, plan: ResolvedPlan) -> BatchSize:
    """The largest batch size that fits into memory, and that leaves an epoch enough steps.

    Args:
        data: labelled pictures.
        plan: the plan of the training. On a CPU, which tries batches in another process, its network must have a name.

    Raises:
        UsageError: not even one picture fits below the memory limit.
        TrainingError: the network fails for another reason.
    """
    from pellucid.data.splitting import with_validation
    from pellucid.inference.device import choose

    plan.require_steps()
    pictures = len(with_validation(data, plan.recipe.validation_fraction, plan.recipe.split_seed).train)
    device = choose(plan.record.device)
    bound = max(pictures // FEWEST_STEPS, min(plan.recipe.batch_size, pictures))
    if device.type == "cuda":
        from pellucid.training import memory_trial

        trials: Any = memory_trial.CudaTrials(data, plan)
    elif device.type == "cpu":
        trials = ProcessTrials(_request(data, plan, pictures))
    else:
        raise UsageError(
            f"How much memory a batch takes cannot be measured on {device.type}. Give the batch size as a number, for "
            f"example {plan.recipe.batch_size}."
        )
    limit = plan.record.memory_limit
    with trials:
        return choose_batch_size(trials.measure, trials.available() if limit is None else limit, bound, pictures)


def choose_batch_size(measure: Callable[[int], int | None], limit: int, bound: int, pictures: int) -> BatchSize:
    """Searches the batch size, and gives the reason for it.

    Args:
        measure: bytes that a training with a batch size takes; None if it runs out of memory.
        limit: bytes that it may take.
        bound: the largest batch that makes sense.
        pictures: number of training pictures.

    Raises:
        UsageError: not even one picture fits.
    """
    tried: dict[int, int | None] = {}

    def fits(batch: int) -> bool:
        if batch not in tried:
            tried[batch] = measure(batch)
        size = tried[batch]
        return size is not None and size <= limit

    chosen = search(fits, min(FIRST, bound), bound)
    if chosen == 0:
        raise UsageError(
            f"A batch of one picture takes {_size_or_more(tried.get(1))}, and the limit is {format_size(limit)}. Give "
            f"a higher memory limit (--memory-limit), smaller pictures or a smaller network."
        )
    reason = f"it takes {format_size(tried[chosen] or 0)} of {format_size(limit)}"
    if chosen == bound and bound == pictures // FEWEST_STEPS:
        reason = (
            f"the bound of at least {FEWEST_STEPS} batches in an epoch of {pictures:,} pictures decided, and not "
            f"memory: {reason}"
        )
    elif chosen == bound:
        reason = (
            f"an epoch of {pictures:,} pictures leaves no room for a larger one, and memory did not decide: {reason}"
        )
    else:
        next_larger = min(batch for batch in tried if batch > chosen)
        reason += f", and {next_larger:,} would take {_size_or_more(tried[next_larger])}"
    return BatchSize(chosen, reason, tried, limit)


def _size_or_more(size: int | None) -> str:
    return "more than there is" if size is None else format_size(size)


def search(fits: Callable[[int], bool], first: int, bound: int) -> int:
    """Nearly the largest number up to `bound` that fits; 0 if not even 1 fits. The result itself has been tried.

    Doubles from `first`, then refines.
    """
    low, high = 0, bound + 1
    batch = first
    while low == 0 and batch >= 1:  # the first is too large
        if fits(batch):
            low = batch
        else:
            high, batch = batch, batch // 2
    if low == 0:
        return 0
    while low < bound and high > bound:
        batch = min(2 * low, bound)
        if fits(batch):
            low = batch
        else:
            high = batch
    for _ in range(REFINEMENTS):
        middle = (low + high) // 2
        middle -= middle % 8 if middle - low > 8 else 0
        if high > bound or middle <= low or high - low <= max(1, WASTE * low):
            break
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


class ProcessTrials:
    """Tries batch sizes in another process. A smaller batch needs a new process, since a peak never goes down.

    Args:
        request: the training, as JSON.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = dict(request)
        self.process: subprocess.Popen[str] | None = None
        self.largest = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def available(self) -> int:
        """Bytes that a training may take: those free and those of this process, less a tenth."""
        return round((memory.free() + memory.used()) * (1 - memory.RESERVE))

    def measure(self, batch: int) -> int | None:
        """Bytes that a training with that batch takes: this process as it is, pictures and steps; None if too many.

        Raises:
            TrainingError: the network fails.
        """
        if self.process is not None and batch < self.largest:
            self._end()
        if self.process is None:
            self._begin()
        answer = self._ask(batch)
        self.largest = max(self.largest, batch)
        if answer is None:
            self._end()
            return None
        if "error" in answer:
            raise TrainingError(answer["error"])
        return memory.used() + self.request["pictures_bytes"] + answer["bytes"]

    def _begin(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pellucid.training.memory_trial"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )  # fmt: skip
        self.largest = 0
        self._write(self.request)

    def _write(self, document: Mapping[str, Any]) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps(document) + "\n")
        self.process.stdin.flush()

    def _ask(self, batch: int) -> dict[str, Any] | None:
        """The answer of the process; None if it has ended."""
        assert self.process is not None and self.process.stdout is not None
        try:
            self._write({"batch_size": batch})
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line.endswith("\n") else None

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


def _request(data: Dataset, plan: ResolvedPlan, pictures: int) -> dict[str, Any]:
    """The training as JSON, for `pellucid.training.memory_trial`. Raises UsageError if its network has no name."""
    import torch

    from pellucid.data.preprocessing import bytes_held
    from pellucid.training.shape import input_shape

    record, recipe, settings = plan.record, plan.recipe, dict(plan.network.settings)
    name = record.network if record.network is not None else plan.network.network
    if not isinstance(name, str):
        raise UsageError(
            "On a CPU another process finds the batch size, and needs the network by name or as file.py:Class. Give it "
            "so, or give the batch size as a number."
        )
    if recipe.backbone is not None:
        from pellucid.networks import backbones
        from pellucid.training.methods import features

        # Memory does not depend on the values of weights, so the trial begins with random ones.
        backbone = features.resized(backbones.load(recipe.backbone), record.size)
        shape, settings, recipe = backbone.preprocessing.shape, dict(backbone.settings), recipe.but(backbone=None)
    elif plan.start is not None:
        shape = plan.start.specification.preprocessing.shape
    else:
        shape = input_shape(data.train, record.size)
    validation = len(data.validation) if "validation" in data.splits else len(data.train) - pictures
    trial = record.model_copy(
        update={
            "network": name,
            "settings": settings,
            "recipe": recipe.model_dump(mode="json"),
            "start": "",
            "size": None,
            "device": "cpu",
            "threads": torch.get_num_threads(),
        }
    )
    return {
        "plan": trial.model_dump(mode="json"),
        "shape": list(shape),
        "classes": len(data.classes),
        "pictures": pictures,
        "validation": validation,
        "pictures_bytes": sum(bytes_held(data.train.pictures, n, shape) for n in (pictures, validation)),
    }
