"""The findings of a search for settings: the best settings, their importance, all trials, and a command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.records import Findings, Metric, Table
from pellucid.records.paths import command_line
from pellucid.records.tune import DIVERGED, FINISHED, PRUNED, Trial, TunePlan
from pellucid.statistics.intervals import wilson
from pellucid.workflows.search_space import Space, as_text

TRUSTED = 20
"""Number of finished trials from which the importance is reliable."""

_OPTIONS = ("epochs", "batch_size", "learning_rate", "optimizer", "loss", "schedule", "scaling")


def best(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the highest validation accuracy; ties go to the first."""
    finished = [trial for trial in trials if trial.state == FINISHED and trial.accuracy is not None]
    return max(finished, key=lambda trial: (trial.accuracy or 0, -trial.number), default=None)


def findings(
    plan: TunePlan, trials: Sequence[Trial], space: Space, importance: Mapping[str, float], pictures: int, data: str
) -> Findings:
    """The findings of a search: `validation_accuracy`, `as_planned`, `best_settings`, `importance`, `trials`.

    Args:
        plan: the plan of the search.
        trials: all trials so far.
        space: the search space.
        importance: share of the variance that each setting explains; may be empty.
        pictures: number of validation pictures.
        data: name of the data.
    """
    items: list[Metric | Table] = []
    winner = best(trials)
    if winner is not None:
        note = (
            f"trial {winner.number} of {len(trials)}; optimistic, because it was chosen on these pictures; the test "
            f"split was not used"
        )
        items.append(_accuracy("validation_accuracy", winner, pictures, note))
        first = trials[0]
        first_values = {name: _json_value(space[name].setting(value)) for name, value in first.chosen.items()}  # type: ignore[arg-type]
        is_plan = all(value == _before(plan, name) for name, value in first_values.items())
        if is_plan and first.accuracy is not None and first.state == FINISHED:
            items.append(_accuracy("as_planned", first, pictures, "trial 1: the plan before the search"))
        rows = tuple((name, _format(space, name, winner), as_text(_before(plan, name))) for name in winner.chosen)
        items.append(Table("best_settings", ("setting", "value", "before"), rows))
        items.append(Table("command", ("command",), ((command(plan, winner, space),),)))
    if importance:
        finished = sum(trial.state == FINISHED for trial in trials)
        note = "Share of the variance in accuracy that each setting explains (fANOVA over finished trials)."
        if finished < TRUSTED:
            note += f" With {finished} trials this is only a hint."
        ordered = sorted(importance.items(), key=lambda item: -item[1])
        items.append(Table("importance", ("setting", "share %"), tuple(ordered), note))
    items.append(_table(trials, space))
    return Findings(tuple(items), title=f"{data}, validation split: search of {', '.join(space)}")


def _accuracy(name: str, trial: Trial, pictures: int, note: str) -> Metric:
    value = trial.accuracy or 0.0
    low, high = wilson(round(value * pictures), pictures)
    return Metric(name, value, pictures, low, high, unit="fraction", note=note)


def _table(trials: Sequence[Trial], space: Space) -> Table:
    names = list(space)
    rows = tuple(
        (
            *(trial.number, trial.accuracy, trial.epoch or None, len(trial.accuracies), trial.state),
            *(round(trial.seconds, 1), *(_format(space, name, trial) for name in names)),
        )
        for trial in trials
    )
    counts = {state: sum(trial.state == state for trial in trials) for state in (FINISHED, PRUNED, DIVERGED)}
    note = f"{counts[FINISHED]} finished"
    note += f", {counts[PRUNED]} stopped early because they fell behind" if counts[PRUNED] else ""
    note += f", {counts[DIVERGED]} diverged (infinite or NaN loss)" if counts[DIVERGED] else ""
    columns = ("trial", "accuracy %", "best epoch", "epochs", "state", "seconds", *names)
    return Table("trials", columns, rows, note + ".")


def _format(space: Space, name: str, trial: Trial) -> str:
    return as_text(space[name].setting(trial.chosen[name])) if name in trial.chosen else ""  # type: ignore[arg-type]


def _json_value(value: Any) -> Any:
    """A value as JSON reads it back."""
    return list(value) if isinstance(value, tuple) else value


def _before(plan: TunePlan, name: str) -> Any:
    return plan.changes.get(name, plan.recipe.get(name))


def command(plan: TunePlan, trial: Trial, space: Space) -> str:
    """The command line that trains with the settings of a trial."""
    words = ["pellucid", "train", plan.source or "DATA"]
    if plan.network is not None:
        words += ["--network", plan.network]
    if plan.start:
        words += ["--from", plan.start]
    for key, value in (plan.settings or {}).items():
        words += ["--set", f"{key}={_argument(value)}"]
    if plan.recipe_name != "default":
        words += ["--recipe", plan.recipe_name]
    chosen = {name: space[name].setting(value) for name, value in trial.chosen.items()}  # type: ignore[arg-type]
    for name, value in (plan.changes | chosen).items():
        words += _option(name, value)
    if isinstance(plan.size, int):
        words += ["--size", str(plan.size)]
    words += ["--seed", str(plan.seed)] if plan.seed else []
    return command_line(*words)


def _option(name: str, value: Any) -> list[str]:
    if name == "augmentation":
        return [word for name in value for word in ("--augment", name)] or ["--recipe-set", "augmentation=none"]
    if name in _OPTIONS and value is not None:
        return [f"--{name.replace('_', '-')}", _argument(value)]
    return ["--recipe-set", f"{name}={_argument(value)}"]


def _argument(value: Any) -> str:
    """A value as a command-line argument, with all digits."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, separators=(",", ":"))
