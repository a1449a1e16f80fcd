"""A process that tries batch sizes, and measures the memory of each: `python -m pellucid.training.memory_trial`.

It reads lines of JSON from standard input: first the training, then `{"batch_size": 64}` and so on, rising. It answers
each with a line: `{"bytes": ...}`, or `{"error": ...}`. It takes the steps of the training on random pictures: memory
does not depend on their content.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
import torch

from pellucid.errors import PellucidError, TrainingError
from pellucid.records import Dataset, Split
from pellucid.records.plan import TrainingPlan
from pellucid.training import memory
from pellucid.training.checkpoint import pack
from pellucid.training.dry_run import dry_run
from pellucid.training.plan import ResolvedPlan, restore_plan

STEPS = 2
"""The optimiser allocates its averages in the first step; the second takes as much memory as all later ones."""
_VALIDATED = 1000


def serve(lines: TextIO, answers: TextIO) -> None:
    """Answers line by line until the input ends, or memory runs out."""
    request = json.loads(lines.readline())
    torch.set_num_threads(request["plan"]["threads"])
    _let_be_killed_first()
    torch.zeros(1).sum()  # torch's own memory, which every program that uses it has
    before = memory.used()
    for line in lines:
        batch = json.loads(line)["batch_size"]
        try:
            _train(request, batch)
            answer: dict[str, Any] = {"bytes": max(0, memory.peak() - before)}
        except MemoryError:
            return
        except (PellucidError, RuntimeError) as error:
            if "allocate memory" in str(error):  # torch's message if the system gives it none
                return
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _train(request: dict[str, Any], batch: int) -> None:
    """Takes steps with that batch size, and then validates and packs a checkpoint, as the end of an epoch does."""
    data = _random_pictures(
        request["shape"], request["classes"], min(STEPS * batch, request["pictures"]), request["validation"]
    )
    record = TrainingPlan.model_validate(request["plan"])
    # Named, since this is the plan of the process that started this one.
    plan = restore_plan(record, record.network).with_recipe(batch_size=batch)
    with dry_run(data, plan) as training:
        for _ in range(STEPS):
            training.step(plan.recipe.learning_rate / 1000)
        training.validate(_VALIDATED)
        pack(training.state(), "")  # a checkpoint holds the weights several times over, for a moment


def _random_pictures(shape: list[int], classes: int, pictures: int, validation: int) -> Dataset:
    random = np.random.default_rng(0)
    names = tuple(map(str, range(classes)))
    splits = {}
    for split, n in (("train", max(pictures, 2)), ("validation", max(1, min(validation, _VALIDATED)))):
        drawn = random.integers(0, 256, (n, *shape), dtype=np.uint8)
        splits[split] = Split(split, drawn, np.arange(n) % classes, names)
    return Dataset("trial", splits)


def _let_be_killed_first() -> None:
    """If memory runs out, Linux kills this process first."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class CudaTrials:
    """Tries batch sizes in this process, on a graphics card."""

    def __init__(self, data: Dataset, plan: ResolvedPlan) -> None:
        self.data, self.plan = data, plan

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.cuda.empty_cache()

    def available(self) -> int:
        """Free bytes of the card, less a tenth."""
        return round(torch.cuda.mem_get_info()[0] * (1 - memory.RESERVE))

    def measure(self, batch: int) -> int | None:
        """Bytes of the card that a training with that batch size takes, at most at once; None if it runs out of them.

        Raises:
            TrainingError: the network fails for another reason.
        """
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            with dry_run(self.data, self.plan.with_recipe(batch_size=batch)) as training:
                for _ in range(STEPS):
                    training.step(training.prepared.recipe.learning_rate / 1000)
                training.validate(_VALIDATED)
            return torch.cuda.max_memory_allocated()
        except (torch.OutOfMemoryError, TrainingError) as error:
            if isinstance(error, torch.OutOfMemoryError) or isinstance(error.__cause__, torch.OutOfMemoryError):
                return None
            raise


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
