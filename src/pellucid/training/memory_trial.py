"""A process that tries batch sizes, and says how much memory each took: `python -m pellucid.training.memory_trial`.

It reads lines of JSON from standard input: first the training, then `{"batch_size": 64}` and so on, rising; and
answers each with a line: `{"bytes": ...}`, or `{"error": ...}`. Its steps are those of the training, on pictures drawn
at random: memory does not depend on what they show.
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
from pellucid.training import memory
from pellucid.training.checkpoint import pack
from pellucid.training.dry_run import rehearsal
from pellucid.training.recipes import Recipe

STEPS = 2
"""The optimiser makes its averages in the first step, so the second is what every later one takes."""
_VALIDATED = 1000


def serve(lines: TextIO, answers: TextIO) -> None:
    """Answers until there is nothing more to read."""
    request = json.loads(lines.readline())
    torch.set_num_threads(request["threads"])
    _offer_to_be_killed()
    torch.zeros(1).sum()  # what torch sets up once belongs to every program that uses it
    before = memory.used()
    for line in lines:
        batch = json.loads(line)["batch_size"]
        try:
            _train(request, batch)
            answer: dict[str, Any] = {"bytes": max(0, memory.peak() - before)}
        except MemoryError:
            return
        except (PellucidError, RuntimeError) as error:
            if "allocate memory" in str(error):  # as torch says that the system gave it none
                return
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _train(request: dict[str, Any], batch: int) -> None:
    """Some steps with that batch size, and validation and a checkpoint as the end of an epoch has them."""
    data = _random_pictures(
        request["shape"], request["classes"], min(STEPS * batch, request["pictures"]), request["validation"]
    )
    recipe = Recipe.model_validate(request["recipe"]).but(batch_size=batch)
    with rehearsal(
        data, request["network"], recipe=recipe, settings=request["settings"] or None, device="cpu"
    ) as training:
        for _ in range(STEPS):
            training.step(recipe.learning_rate / 1000)
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


def _offer_to_be_killed() -> None:
    """Where memory runs out after all, Linux is to end this process and no other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class OnCard:
    """Tries batch sizes in this process, on a graphics card."""

    def __init__(self, data: Dataset, network: Any, **arguments: Any) -> None:
        self.data, self.network, self.arguments = data, network, arguments

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.cuda.empty_cache()

    def available(self) -> int:
        """What is free on the card, less a tenth."""
        return round(torch.cuda.mem_get_info()[0] * (1 - memory.RESERVE))

    def takes(self, batch: int) -> int | None:
        """How many bytes of the card a training with that batch size takes, at most at once."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            with rehearsal(self.data, self.network, **self.arguments, changes={"batch_size": batch}) as training:
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
