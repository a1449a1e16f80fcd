"""The largest batch that memory holds, found by real steps: `--batch-size auto`. Imports no torch by itself.

It is doubled until memory is full, and then refined downwards. On a CPU each is tried in a process of its own, whose
memory is read afterwards: a CPU has no clean way to run out of memory, and a process that is killed for it takes nobody
with it. On a graphics card it is tried here, where torch says how much it took, and how much was too much.
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
    from pellucid.records import Dataset, Model
    from pellucid.training.choice import NetworkLike
    from pellucid.training.recipes import Recipe

AUTO = "auto"
FIRST = 16
REFINEMENTS = 3
"""How often the gap between what fits and what does not is halved."""
FEWEST_STEPS = 32
"""An epoch of fewer steps than this learns too little from its pictures, however much memory there is."""
WASTE = 0.05
"""What is said not to be worth another trial: this share of the batch."""


@dataclass(frozen=True)
class BatchSize:
    """The batch size that was chosen.

    Attributes:
        chosen: how many pictures.
        reason: why, in a sentence.
        tried: what each size that was tried takes in bytes; None where it could not even be tried to its end.
        limit: how many bytes it was to stay below.
    """

    chosen: int
    reason: str
    tried: Mapping[int, int | None]
    limit: int


def is_auto(value: object) -> bool:
    """Whether a batch size is to be found."""
    return isinstance(value, str) and value.strip().lower() == AUTO


def find_batch_size(
    data: Dataset,
    network: NetworkLike | None = None,
    *,
    recipe: str | Recipe = "default",
    settings: Mapping[str, Any] | None = None,
    start: Model | None = None,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    memory_limit: str | int | None = None,
    **changes: Any,
) -> BatchSize:
    """The largest batch size of a training that memory holds, and that still leaves an epoch some steps.

    Args:
        data: labelled pictures.
        network: as for `pellucid.train`, like recipe, settings, start, size, device and changes. To be tried in a
            process of its own, as it is on a CPU, it has to be a name or file.py:Class.
        recipe: the plan, or its name.
        settings: of the network.
        start: a model to start from.
        size: height and width to bring the pictures to.
        device: auto, cpu, cuda or mps.
        memory_limit: how much the training may take in all: bytes, or `2GB`; None takes what is free, less a tenth.
        **changes: settings of the recipe that are to differ.

    Raises:
        UsageError: the limit is no size, or not even one picture stays below it.
        TrainingError: the network fails for another reason.
    """
    limit = None if memory_limit is None else memory.parse_limit(memory_limit)
    from pellucid.data.splitting import with_validation
    from pellucid.inference.device import choose
    from pellucid.training.choice import choose_network, plan_for
    from pellucid.training.methods.choice import settle as settle_network

    network, recipe, changes = settle_network(data, network, recipe, started=start is not None, changes=changes)
    choice = choose_network(network, settings, start, recipe)
    plan = plan_for(choice, recipe, changes)
    pictures = len(with_validation(data, plan.validation_fraction, plan.split_seed).train)
    place = choose(device)
    bound = max(pictures // FEWEST_STEPS, min(plan.batch_size, pictures))
    if place.type == "cuda":
        from pellucid.training import memory_trial

        trials: Any = memory_trial.OnCard(
            data, network, recipe=plan, settings=settings, start=start, size=size, device=device
        )
    elif place.type == "cpu":
        trials = Child(_request(data, choice.given, network, plan, choice.settings, start, size, pictures))
    else:
        raise UsageError(
            f"How much memory a batch takes cannot be told on {place.type}. Give the batch size as a number, for "
            f"example {plan.batch_size}."
        )
    with trials:
        limit = limit if limit is not None else trials.available()
        return settle(trials.takes, limit, bound, pictures)


def settle(takes: Callable[[int], int | None], limit: int, bound: int, pictures: int) -> BatchSize:
    """Searches, and says what was chosen and why.

    Args:
        takes: how many bytes a training with that batch size takes; None where it does not run for want of memory.
        limit: how many bytes there are.
        bound: the largest batch that makes sense.
        pictures: how many there are to learn from.
    """
    tried: dict[int, int | None] = {}

    def fits(batch: int) -> bool:
        if batch not in tried:
            tried[batch] = takes(batch)
        found = tried[batch]
        return found is not None and found <= limit

    chosen = search(fits, min(FIRST, bound), bound)
    if chosen == 0:
        least = tried.get(1)
        said = "more than there is" if least is None else format_size(least)
        raise UsageError(
            f"A batch of one picture takes {said}, and the limit is {format_size(limit)}. Give a higher memory limit "
            f"(--memory-limit), smaller pictures or a smaller network."
        )
    full = f"it takes {format_size(tried[chosen] or 0)} of {format_size(limit)}"
    if chosen == bound:
        why = f"{full}, and a larger one would leave an epoch of {pictures:,} pictures too few steps"
    else:
        above = min(batch for batch in tried if batch > chosen)
        more = tried[above]
        why = f"{full}, and {above:,} would take {'more than there is' if more is None else format_size(more)}"
    return BatchSize(chosen, why, tried, limit)


def search(fits: Callable[[int], bool], first: int, bound: int) -> int:
    """The largest number up to `bound` that fits, nearly: doubled from `first`, then refined; 0 where not even 1 fits.

    Only numbers that did fit are given, never one that merely should.
    """
    low, high = 0, bound + 1
    batch = first
    while low == 0 and batch >= 1:  # downwards, where even the first one is too large
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


class Child:
    """Tries batch sizes in a process of its own, one after the other; a new one where the peak has to go down again.

    Args:
        request: the training, as JSON can say it.
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
        """What a training may take in all: what is free, and what this process has already, less a tenth."""
        return round((memory.free() + memory.used()) * (1 - memory.RESERVE))

    def takes(self, batch: int) -> int | None:
        """How many bytes a training with that batch size takes here: this process as it is, pictures, and its steps."""
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
        """What the process answers; None where it has ended instead."""
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


def _request(
    data: Dataset, given: Any, network: NetworkLike | None, plan: Recipe, settings: Mapping[str, Any] | None,
    start: Model | None, size: int | tuple[int, int] | None, pictures: int,
) -> dict[str, Any]:  # fmt: skip
    """The training as JSON."""
    import torch

    from pellucid.data.preprocessing import bytes_held
    from pellucid.networks.custom import full_reference
    from pellucid.training.shape import input_shape

    if isinstance(network, str):
        name: str = full_reference(network)
    elif isinstance(given, str):
        name = given
    else:
        raise UsageError(
            "On a CPU a batch size is found in a process of its own, which needs the network by name or as "
            "file.py:Class. Give it so, or give the batch size as a number."
        )
    if plan.backbone is not None:
        from pellucid.networks import backbones
        from pellucid.training.methods import features

        # What its weights say takes the same memory as any others, so that the trial needs no pictures to begin with.
        backbone = features.resized(backbones.load(plan.backbone), size)
        shape, settings, plan = backbone.preprocessing.shape, backbone.settings, plan.but(backbone=None)
    elif start is not None:
        shape = start.specification.preprocessing.shape
        settings = settings if settings is not None else start.specification.network.settings
    else:
        shape = input_shape(data.train, size)
    validation = len(data.validation) if "validation" in data.splits else len(data.train) - pictures
    return {
        "network": name,
        "settings": dict(settings or {}),
        "recipe": plan.model_dump(mode="json"),
        "shape": list(shape),
        "classes": len(data.classes),
        "pictures": pictures,
        "validation": validation,
        "pictures_bytes": sum(bytes_held(data.train.pictures, n, shape) for n in (pictures, validation)),
        "threads": torch.get_num_threads(),
    }
