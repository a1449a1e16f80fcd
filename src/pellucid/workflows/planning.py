"""What is measured and settled before a training begins: a batch that memory holds, epochs that fit into a time.

Importing this imports no torch: what makes no sense is refused before torch takes its seconds to load.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.records.quantities import parse_time
from pellucid.training import batch_size, budget, memory, processes

if TYPE_CHECKING:
    from pellucid.records import Dataset, Model, RunFolder
    from pellucid.training.choice import NetworkLike
    from pellucid.training.recipes import Recipe


@dataclass(frozen=True)
class Wish:
    """What a user leaves to be measured.

    Attributes:
        budget: how many seconds all of it may take; None for as long as its epochs take.
        fill_memory: whether the batch size is to be found.
        memory_limit: how many bytes may be filled; None for what is free.
        since: the moment from which the time counts, as `time.perf_counter` has it.
    """

    budget: float | None = None
    fill_memory: bool = False
    memory_limit: int | None = None
    since: float = field(default_factory=time.perf_counter)


def wish(
    changes: Mapping[str, Any],
    time_budget: str | float | None,
    memory_limit: str | int | None,
    since: float | None = None,
) -> tuple[Wish, dict[str, Any]]:
    """What is to be measured, and the other changes of the recipe.

    Raises:
        UsageError: what makes no sense, alone or together.
    """
    changes = dict(changes)
    fill = batch_size.is_auto(changes.get("batch_size"))
    if fill:
        del changes["batch_size"]
    if memory_limit is not None and not fill:
        raise UsageError("A memory limit is for the batch size 'auto', which was not given. Try --batch-size auto.")
    if time_budget is not None and "epochs" in changes:
        raise UsageError("A budget settles how many epochs there are; give the one or the other (--budget, --epochs).")
    if time_budget is not None and changes.get("best_within") is not None:
        raise UsageError("A budget and what is tried within a time are two plans; give one (--budget, --best-within).")
    if (fill or time_budget is not None) and processes.world_size() > 1:
        raise UsageError(
            "A time budget and the batch size 'auto' are measured in one process, and hold for that one. Give --epochs "
            "and --batch-size as numbers where several processes train."
        )
    return Wish(
        budget=None if time_budget is None else parse_time(time_budget),
        fill_memory=fill,
        memory_limit=None if memory_limit is None else memory.parse_limit(memory_limit),
        since=time.perf_counter() if since is None else since,
    ), changes


def settle(
    wished: Wish,
    data: Dataset,
    network: NetworkLike | None,
    recipe: Recipe,
    *,
    folder: RunFolder,
    seed: int,
    settings: Mapping[str, Any] | None,
    start: Model | None,
    size: int | tuple[int, int] | None,
    device: str,
    report: bool,
    scored: int,
) -> tuple[Recipe, dict[str, str]]:
    """The recipe with all that was to be measured, and a sentence for each setting that was.

    Raises:
        UsageError: not one picture fits into memory, or not one epoch into the time.
    """
    said: dict[str, str] = {}
    if wished.fill_memory:
        found = batch_size.find_batch_size(
            data, network, recipe=recipe, settings=settings, start=start, size=size, device=device,
            memory_limit=wished.memory_limit,
        )  # fmt: skip
        before, recipe = recipe.batch_size, recipe.but(batch_size=found.chosen)
        said["batch_size"] = f"batch size {found.chosen:,}: {found.reason}" + _of_the_rate(before, recipe)
    if wished.budget is not None:
        from pellucid.training.dry_run import rehearsal

        began = time.perf_counter()
        with rehearsal(
            data, network, recipe=recipe, seed=seed, settings=settings, start=start, size=size, device=device
        ) as training:
            ready = time.perf_counter()
            cost = budget.measure_cost(
                training, wished.budget, spent=ready - wished.since, preparation=ready - began,
                folder=folder.checkpoint, scored=scored, report=report,
            )  # fmt: skip
        epochs, plan = budget.epochs_within(wished.budget, cost)
        recipe, said["epochs"] = recipe.but(epochs=epochs), plan
    return recipe, said


def _of_the_rate(before: int, recipe: Recipe) -> str:
    """That the learning rate was chosen for another batch size, where this one is very different."""
    times = recipe.batch_size / before
    if 0.5 < times < 2:
        return ""
    usual = recipe.learning_rate * times**0.5
    return (
        f". The learning rate {recipe.learning_rate:g} was meant for batches of {before:,}, and may want to change: "
        f"--find-lr tells, or try {usual:.2g} (as the square root of the batch size)"
    )
