"""Proposes trials and ranks settings by importance, with optuna. The only module that imports optuna.

optuna (https://optuna.org) is an extra: `pip install "pellucid[tune]"`. A proposal is a function of the plan, its
number and the earlier trials only: optuna keeps no state between proposals.
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

STARTUP = 6
"""Number of random trials at the start, before the sampler models them."""


def propose(plan: TunePlan, space: Space, done: Sequence[Trial]) -> Any:
    """The next trial, as an optuna trial: `params`, `report(accuracy, epoch)`, `should_prune()`."""
    with _quiet():
        return _study(plan, space, done).ask(_distributions(space))


def importance(plan: TunePlan, space: Space, done: Sequence[Trial]) -> dict[str, float]:
    """The share of the variance between finished trials that each setting explains; empty with too few trials."""
    accuracies = {trial.accuracy for trial in done if trial.state == "finished"}
    finished = sum(trial.state == "finished" for trial in done)
    if finished < 4 or len(accuracies) < 2 or len(space) < 2:
        return {}
    optuna = import_optuna()
    with _quiet():
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=plan.seed)
        shares = optuna.importance.get_param_importances(_study(plan, space, done), evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def import_optuna() -> ModuleType:
    """Imports optuna.

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
    """A block without optuna's log lines and its warnings about experimental features."""
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
    optuna = import_optuna()
    distributions: dict[str, Any] = {}
    for name, dimension in space.items():
        if isinstance(dimension, Choices):
            distributions[name] = optuna.distributions.CategoricalDistribution(tuple(dimension.values))
        elif dimension.integer:
            distributions[name] = optuna.distributions.IntDistribution(
                int(dimension.low), int(dimension.high), log=dimension.log
            )
        else:
            distributions[name] = optuna.distributions.FloatDistribution(
                dimension.low, dimension.high, log=dimension.log
            )
    return distributions


def _study(plan: TunePlan, space: Space, done: Sequence[Trial]) -> Any:
    """A study with the trials so far. Its next proposal depends only on them and on the plan."""
    optuna = import_optuna()
    # The first epochs are not comparable: most schedules begin with a rate near zero.
    warmup = max(2, plan.recipe["epochs"] // 3)
    pruners = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warmup),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(
            min_resource=warmup, max_resource=max(plan.recipe["epochs"], warmup)
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
        study.enqueue_trial(_first_trial(plan, space))
    return study


def _first_trial(plan: TunePlan, space: Space) -> dict[str, Any]:
    """The settings of the plan itself, as far as they are in the search space."""
    recipe = Recipe.model_validate(plan.recipe)
    values = {name: dimension.find(getattr(recipe, name)) for name, dimension in space.items()}
    return {name: value for name, value in values.items() if value is not None}
