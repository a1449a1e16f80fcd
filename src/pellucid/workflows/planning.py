"""Settings that are measured before a training begins: the largest batch that fits, the epochs that fit into a time.

Importing this imports no torch: wrong arguments are refused before torch takes its seconds to load.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.inference.device_names import require_possible
from pellucid.networks.catalogue import check_backbone, check_name, file_of, is_file_reference
from pellucid.records.model import model_file
from pellucid.records.quantities import parse_time
from pellucid.records.run import require_new
from pellucid.training import batch_size, budget, memory, processes
from pellucid.training.recipes import named_recipe
from pellucid.training.setting_names import require_known

if TYPE_CHECKING:
    from pathlib import Path

    from pellucid.records import Dataset
    from pellucid.training.plan import ResolvedPlan
    from pellucid.training.recipes import Recipe


def split_limits(
    changes: Mapping[str, Any], time_budget: str | float | None, memory_limit: str | int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(limits, changes): the fields `budget`, `fill_memory` and `memory_limit` of a plan, and the rest of the changes.

    Args:
        changes: settings of the recipe; the batch size may be `auto`.
        time_budget: time that the whole training may take, `5m` or seconds; None for any.
        memory_limit: memory that the batch size `auto` may fill, `2GB` or bytes; None for what is free.

    Raises:
        UsageError: a value is wrong, or the arguments exclude each other.
    """
    changes = dict(changes)
    fill_memory = batch_size.is_auto(changes.get("batch_size"))
    if fill_memory:
        del changes["batch_size"]
    if memory_limit is not None and not fill_memory:
        raise UsageError("A memory limit is for the batch size 'auto', which was not given. Try --batch-size auto.")
    if time_budget is not None and "epochs" in changes:
        raise UsageError("A budget determines the number of epochs; give one of the two (--budget, --epochs).")
    if time_budget is not None and changes.get("best_within") is not None:
        raise UsageError("A budget and best-within exclude each other; give one of the two (--budget, --best-within).")
    if (fill_memory or time_budget is not None) and processes.world_size() > 1:
        raise UsageError(
            "A time budget and the batch size 'auto' are measured in a single process. With several processes, give "
            "--epochs and --batch-size as numbers."
        )
    limits = {
        "budget": None if time_budget is None else parse_time(time_budget),
        "fill_memory": fill_memory,
        "memory_limit": None if memory_limit is None else memory.parse_limit(memory_limit),
    }
    return limits, changes


def require_sound(
    network: str | None,
    recipe: str,
    changes: Mapping[str, Any],
    *,
    device: str,
    out: Path | None,
    within: str,
    start: Path | None,
) -> None:
    """Checks the arguments of a training that need neither pictures nor torch.

    Args:
        network: name of the network, or `file.py:Class`.
        recipe: name of the recipe.
        changes: settings of the recipe.
        device: name of the device.
        out: the new folder.
        within: the kind of new folder, `runs` or `tunes`.
        start: file of the model to start from.

    Raises:
        PellucidError: an argument is wrong; the text says what to change.
    """
    if network is not None:
        check_name(network)
        if is_file_reference(network):
            file_of(network)
    if changes.get("backbone") is not None:
        check_backbone(changes["backbone"])
    require_known(named_recipe(recipe).but(**changes))
    require_possible(device)
    require_new(within, out)
    if start is not None:
        model_file(start)


def measure_settings(
    data: Dataset, plan: ResolvedPlan, *, since: float, folder: Path, scored: int, report: bool
) -> tuple[ResolvedPlan, dict[str, str]]:
    """The plan with its measured settings, and a sentence for each of them.

    Args:
        data: the dataset.
        plan: the plan, with its limits.
        since: when the budget began, of `time.perf_counter`.
        folder: where a checkpoint may be written for a moment.
        scored: number of pictures that are scored at the end; 0 for those of validation.
        report: whether a report is drawn.

    Raises:
        UsageError: not one picture fits into memory, or not one epoch into the time.
    """
    sentences: dict[str, str] = {}
    if plan.record.fill_memory:
        result = batch_size.find_batch_size(data, plan)
        previous, plan = plan.recipe.batch_size, plan.with_recipe(batch_size=result.chosen)
        advice = _learning_rate_advice(previous, plan.recipe)
        sentences["batch_size"] = f"batch size {result.chosen:,}: {result.reason}{advice}"
    if plan.record.budget is not None:
        from pellucid.training.dry_run import dry_run

        began = time.perf_counter()
        with dry_run(data, plan) as training:
            ready = time.perf_counter()
            cost = budget.measure_cost(
                training, plan.record.budget, spent=ready - since, preparation=ready - began, folder=folder,
                scored=scored, report=report,
            )  # fmt: skip
        epochs, sentences["epochs"] = budget.epochs_within(plan.record.budget, cost)
        plan = plan.with_recipe(epochs=epochs)
    return plan, sentences


def _learning_rate_advice(previous: int, recipe: Recipe) -> str:
    """Advice on the learning rate if the batch size has changed much; else empty."""
    factor = recipe.batch_size / previous
    if 0.5 < factor < 2:
        return ""
    scaled = recipe.learning_rate * factor**0.5
    return (
        f". The learning rate {recipe.learning_rate:g} was meant for batches of {previous:,}, and may want to change: "
        f"measure it with --find-lr, or try {scaled:.2g} (as the square root of the batch size)"
    )
