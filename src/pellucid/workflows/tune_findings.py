"""What a search for settings found: the best settings, what mattered, every trial, and the command that trains so."""

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
"""Finished trials from which on it can be believed what mattered."""

_OPTIONS = ("epochs", "batch_size", "learning_rate", "optimizer", "loss", "schedule", "scaling")


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest validation accuracy, of those that were not ended early; the first among equals."""
    there = [trial for trial in trials if trial.state == FINISHED and trial.accuracy is not None]
    return max(there, key=lambda trial: (trial.accuracy or 0, -trial.number), default=None)


def findings(
    plan: TunePlan, trials: Sequence[Trial], space: Space, importance: Mapping[str, float], pictures: int, data: str
) -> Findings:
    """The findings of a search: `validation_accuracy`, `as_planned`, `best_settings`, `importance`, `trials`.

    Args:
        plan: what was searched.
        trials: all that have ended.
        space: the dimensions of the search.
        importance: which share of the differences each setting explains; empty where that cannot be said.
        pictures: how many there are in validation.
        data: what the data are called.
    """
    found: list[Metric | Table] = []
    winner = best(trials)
    if winner is not None:
        note = (
            f"trial {winner.number} of {len(trials)}; chosen on these very pictures, so rather too good: only the test "
            f"split, which was not looked at, can tell"
        )
        found.append(_accuracy("validation_accuracy", winner, pictures, note))
        first = trials[0]
        own = {name: _plain(space[name].setting(value)) for name, value in first.chosen.items()}  # type: ignore[arg-type]
        planned = all(value == _before(plan, name) for name, value in own.items())
        if planned and first.accuracy is not None and first.state == FINISHED:
            found.append(_accuracy("as_planned", first, pictures, "trial 1: the plan as it was before"))
        rows = tuple((name, _shown(space, name, winner), as_text(_before(plan, name))) for name in winner.chosen)
        found.append(Table("best_settings", ("setting", "value", "before"), rows))
        found.append(Table("command", ("command",), ((command(plan, winner, space),),)))
    if importance:
        finished = sum(trial.state == FINISHED for trial in trials)
        note = "Which share of the differences in accuracy each explains (fANOVA over finished trials)."
        if finished < TRUSTED:
            note += f" With {finished} trials this is a hint at most."
        ordered = sorted(importance.items(), key=lambda item: -item[1])
        found.append(Table("importance", ("setting", "share %"), tuple(ordered), note))
    found.append(_table(trials, space))
    return Findings(tuple(found), title=f"{data}, validation split: search of {', '.join(space)}")


def _accuracy(name: str, trial: Trial, pictures: int, note: str) -> Metric:
    value = trial.accuracy or 0.0
    low, high = wilson(round(value * pictures), pictures)
    return Metric(name, value, pictures, low, high, unit="fraction", note=note)


def _table(trials: Sequence[Trial], space: Space) -> Table:
    names = list(space)
    rows = tuple(
        (
            *(trial.number, trial.accuracy, trial.epoch or None, len(trial.accuracies), trial.state),
            *(round(trial.seconds, 1), *(_shown(space, name, trial) for name in names)),
        )
        for trial in trials
    )
    counts = {state: sum(trial.state == state for trial in trials) for state in (FINISHED, PRUNED, DIVERGED)}
    note = f"{counts[FINISHED]} finished"
    note += f", {counts[PRUNED]} ended early since they fell behind" if counts[PRUNED] else ""
    note += f", {counts[DIVERGED]} whose loss became no number" if counts[DIVERGED] else ""
    columns = ("trial", "accuracy %", "best epoch", "epochs", "state", "seconds", *names)
    return Table("trials", columns, rows, note + ".")


def _shown(space: Space, name: str, trial: Trial) -> str:
    return as_text(space[name].setting(trial.chosen[name])) if name in trial.chosen else ""  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _before(plan: TunePlan, name: str) -> Any:
    return plan.changes.get(name, plan.recipe.get(name))


def command(plan: TunePlan, trial: Trial, space: Space) -> str:
    """The command that trains with the settings of a trial."""
    words = ["pellucid", "train", plan.source or "DATA"]
    if plan.network is not None:
        words += ["--network", plan.network]
    if plan.start:
        words += ["--from", plan.start]
    for key, value in (plan.settings or {}).items():
        words += ["--set", f"{key}={_typed(value)}"]
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
        return [word for one in value for word in ("--augment", one)] or ["--recipe-set", "augmentation=none"]
    if name in _OPTIONS and value is not None:
        return [f"--{name.replace('_', '-')}", _typed(value)]
    return ["--recipe-set", f"{name}={_typed(value)}"]


def _typed(value: Any) -> str:
    """A value as the command line takes it: every digit of it."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, separators=(",", ":"))
