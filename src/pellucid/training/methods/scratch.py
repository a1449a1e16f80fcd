"""The method `scratch`: ordinary training by gradient steps (or by the network's own rule), of all weights."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.inference.building import load_weights, weights_of
from pellucid.inference.device import choose, exact, inexact_notes
from pellucid.inference.device import notes as device_notes
from pellucid.inference.forward import forward
from pellucid.inference.probabilities import probabilities
from pellucid.networks import custom
from pellucid.networks.network import count_parameters
from pellucid.records import Dataset, Model
from pellucid.statistics.abstention import Threshold, choose_threshold
from pellucid.statistics.calibration import choose_temperature
from pellucid.training import processes
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.loop import Learner, Outcome, fit
from pellucid.training.plan import ResolvedPlan
from pellucid.training.preparation import Prepared, prepare
from pellucid.training.result import Training


def learn(data: Dataset, plan: ResolvedPlan, callbacks: Callbacks, checkpoints: Checkpoints | None = None) -> Training:
    """Trains all weights of the network, and gives the model of the epoch that the recipe keeps.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    group = processes.current_group()
    device = choose(plan.record.device) if group.size == 1 else torch.device(group.device)
    # All random numbers come from the seed of the plan. The caller's generator stays unchanged.
    on_card = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_card), exact(device, wanted=plan.recipe.deterministic) as inexact:
        with group.local_main_first():
            prepared = prepare(data, plan, device)
        group.require_same(prepared.specification.canonical(), weights_of(prepared.module))
        snapshots = _Snapshots(prepared)
        if checkpoints is not None:
            checkpoints.bind_to(prepared.specification)
        outcome = _fit(prepared, snapshots, callbacks, checkpoints)
        model, abstention = _calibrated(snapshots.chosen(outcome), prepared)
    return Training(
        model=model,
        history=outcome.history,
        seconds=outcome.seconds,
        chosen_epoch=outcome.chosen_epoch,
        interrupted=outcome.interrupted,
        data=prepared.data,
        recipe=prepared.recipe,
        notes=(
            *prepared.notes,
            *device_notes(device),
            *inexact_notes(inexact),
            *outcome.notes,
            *processes.notes(prepared.module, prepared.recipe.hard_fraction),
            *([outcome.stop_reason] if outcome.stop_reason else []),
            *([] if abstention is None else [abstention.sentence("validation picture")]),
        ),
        parameters=count_parameters(prepared.module),
        stop_reason=outcome.stop_reason,
        stop_requested=outcome.stop_requested,
    )


_OWN_NETWORK = "your own network may decide in Python what a step does"


class _Snapshots:
    """Makes models of a training while it runs."""

    def __init__(self, prepared: Prepared) -> None:
        self.specification = prepared.specification
        self.validation_pictures = len(prepared.validation)
        is_custom = self.specification.network.name == "custom"
        self.untrained: nn.Module | None = copy.deepcopy(prepared.module).cpu() if is_custom else None

    def chosen(self, outcome: Outcome) -> Model:
        """The model of the epoch that is kept."""
        return self.at(outcome, outcome.chosen_epoch, outcome.weights)

    def at(self, outcome: Outcome, epoch: int, weights: dict[str, np.ndarray]) -> Model:
        """The model of an epoch; 0 is before the first."""
        metrics = {}
        if epoch:
            row = outcome.history.rows[epoch - 1]
            metrics = {
                name: {"value": row[name], "n": self.validation_pictures}
                for name in ("validation_accuracy", "validation_loss")
            }
        if self.untrained is not None:
            custom.remember(weights, self.untrained)
        training = self.specification.training | {"chosen_epoch": epoch}
        specification = self.specification.model_copy(update={"metrics": metrics, "training": training})
        return Model(specification, weights)


class _ModelEvents:
    """Turns the loop's events `chosen` and `weights` into `best` and `model`, which callbacks handle."""

    def __init__(self, callbacks: Callbacks, snapshots: _Snapshots) -> None:
        self.callbacks = callbacks
        self.snapshots = snapshots

    def on_chosen(self, outcome: Outcome) -> None:
        self.callbacks.notify("best", self.snapshots.chosen(outcome))

    def on_weights(self, outcome: Outcome, weights: dict[str, np.ndarray]) -> None:
        if self.callbacks.has_handler("model"):
            epoch = len(outcome.history)
            self.callbacks.notify("model", epoch, self.snapshots.at(outcome, epoch, weights))


def _fit(prepared: Prepared, snapshots: _Snapshots, callbacks: Callbacks, checkpoints: Checkpoints | None) -> Outcome:
    """Trains, and notifies the callbacks; of the end also after an error."""
    if callbacks.has_handler("best") or callbacks.has_handler("model"):
        callbacks = Callbacks([*callbacks.callbacks, _ModelEvents(callbacks, snapshots)])
    started = time.perf_counter()
    summary: dict[str, Any] = {"chosen_epoch": 0, "interrupted": True}
    try:
        callbacks.notify("start", prepared.overview())
        learner = Learner(
            network=prepared.module,
            rule=prepared.rule,
            train=prepared.train,
            validation=prepared.validation,
            preprocessing=prepared.specification.preprocessing,
            recipe=prepared.recipe,
            loss=prepared.loss,
            seed=prepared.plan.record.seed,
            not_captured=_OWN_NETWORK if prepared.specification.network.name == "custom" else "",
        )
        outcome = fit(learner, callbacks, checkpoints)
        summary = {"chosen_epoch": outcome.chosen_epoch, "interrupted": outcome.interrupted}
        return outcome
    finally:
        callbacks.notify("end", summary | {"seconds": time.perf_counter() - started})


def _calibrated(model: Model, prepared: Prepared) -> tuple[Model, Threshold | None]:
    """The model with a temperature chosen on validation, and with the threshold for the error that was asked for.

    Margin losses say nothing about probabilities, label smoothing makes a network less sure than it could be, and long
    training or fine-tuning makes it too sure. The validation pictures also chose the epoch, which matters little for
    one number.
    """
    specification, max_error = model.specification, prepared.recipe.max_error
    if specification.probabilities != "softmax" and max_error is None:
        return model, None
    load_weights(prepared.module, model.weights)
    labels = prepared.validation.labels.cpu().numpy()
    outputs = forward(prepared.module, prepared.validation.pictures, specification.preprocessing).numpy()
    temperature = choose_temperature(outputs, labels) if specification.probabilities == "softmax" else 1.0
    threshold = None
    if max_error is not None:
        shares = probabilities(specification.probabilities, outputs, temperature)
        threshold = choose_threshold(shares.max(axis=1), shares.argmax(axis=1) == labels, max_error)
    changes = {"temperature": temperature, "abstain_below": None if threshold is None else threshold.below}
    return replace(model, specification=specification.model_copy(update=changes)), threshold
