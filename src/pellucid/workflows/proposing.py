"""What optuna proposes next, from the trials so far, and what it says mattered. The only module that imports it.

optuna (https://optuna.org) is an extra: `pip install "pellucid[tune]"`. A proposal is a function of the plan, of its
number and of the trials before it, and of nothing else: optuna keeps no state of its own between two of them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from pellucid.errors import UsageError
from pellucid.records.tune import Trial, TunePlan
from pellucid.training.randomness import named_seed
from pellucid.training.recipes import Recipe
from pellucid.workflows.search_space import Choices, Space

PRUNERS = ("median", "hyperband", "none")
STARTUP = 6
"""Trials that are drawn at random, before there is enough to learn from."""


def propose(plan: TunePlan, space: Space, done: Sequence[Trial]) -> Any:
    """The next trial, as optuna has it: `params`, `report(accuracy, epoch)`, `should_prune()`."""
    with _quiet():
        return _study(plan, space, done).ask(_distributions(space))


def importance(plan: TunePlan, space: Space, done: Sequence[Trial]) -> dict[str, float]:
    """Which share of the differences between finished trials each setting explains; empty where that cannot be said."""
    accuracies = {trial.accuracy for trial in done if trial.state == "finished"}
    finished = sum(trial.state == "finished" for trial in done)
    if finished < 4 or len(accuracies) < 2 or len(space) < 2:
        return {}
    optuna = import_optuna()
    with _quiet():
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=plan.seed)
        found = optuna.importance.get_param_importances(_study(plan, space, done), evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def import_optuna() -> ModuleType:
    """The library.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            'A search for settings needs optuna, which is not installed. Install it with: pip install "pellucid[tune]".'
        ) from error
    return optuna


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without optuna's own lines, and its words on what is experimental in it."""
    optuna = import_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _distributions(space: Space) -> dict[str, Any]:
    found = import_optuna().distributions
    made: dict[str, Any] = {}
    for name, dimension in space.items():
        if isinstance(dimension, Choices):
            made[name] = found.CategoricalDistribution(tuple(dimension.values))
        elif dimension.whole:
            made[name] = found.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            made[name] = found.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return made


def _study(plan: TunePlan, space: Space, done: Sequence[Trial]) -> Any:
    """A study with the trials so far, whose next proposal depends on nothing but them, the plan and their number."""
    optuna = import_optuna()
    # The first epochs say little: most schedules begin with rates near nothing.
    warm = max(2, plan.recipe["epochs"] // 3)
    pruners = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warm),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(
            min_resource=warm, max_resource=max(plan.recipe["epochs"], warm)
        ),
        "none": optuna.pruners.NopPruner,
    }
    seed = named_seed(plan.seed, "trial", len(done)) % 2**32
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruners[plan.pruner](), study_name="tune")
    states = optuna.trial.TrialState
    for trial in done:
        study.add_trial(
            optuna.trial.create_trial(
                state=states.COMPLETE if trial.state == "finished" else states.PRUNED,
                value=trial.accuracy if trial.state == "finished" else None,
                params=trial.chosen,
                distributions=_distributions(space),
                intermediate_values=dict(enumerate(trial.accuracies, start=1)),
            )
        )
    if not done:
        study.enqueue_trial(_as_planned(plan, space))
    return study


def _as_planned(plan: TunePlan, space: Space) -> dict[str, Any]:
    """The plan itself, as far as it lies within what is searched."""
    recipe = Recipe.model_validate(plan.recipe)
    nearest = {name: dimension.nearest(getattr(recipe, name)) for name, dimension in space.items()}
    return {name: value for name, value in nearest.items() if value is not None}
