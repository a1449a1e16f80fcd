"""The method `finetune`: a linear head on a frozen backbone, then the whole network from there, at low rates.

Both leave out the validation pictures, which choose the epoch. The head alone, before the first epoch, competes with
the epochs: fine-tuning is kept only if it helps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.splitting import with_validation
from pellucid.errors import DataError
from pellucid.inference.features import backbone_features, describe
from pellucid.networks import backbones
from pellucid.records import Dataset, Model
from pellucid.records.names import counted
from pellucid.statistics.metrics import log_loss
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.methods import features, scratch
from pellucid.training.plan import ResolvedPlan
from pellucid.training.preparation import provenance
from pellucid.training.result import Training


def learn(data: Dataset, plan: ResolvedPlan, callbacks: Callbacks, checkpoints: Checkpoints | None = None) -> Training:
    """Trains the head, then all weights, and gives the model that is best on validation.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    data, start = initial_model(data, plan, checkpoints)
    accuracy, loss = _on_validation(start, data)
    n = len(data.validation)
    callbacks.notify(
        "planned",
        f"the last layer alone has an accuracy of {100 * accuracy:.1f} % on {counted(n, 'validation picture')}; "
        f"the whole "
        "network is trained from there",
    )
    training = scratch.learn(data, plan.starting_from(start), callbacks, checkpoints)
    best = training.history.best() if training.history.rows else None
    is_worse = best is not None and (best["validation_accuracy"], -best["validation_loss"]) < (accuracy, -loss)
    note = (
        f"before fine-tuning, the last layer alone had an accuracy of {100 * accuracy:.1f} % on {n:,} validation "
        f"pictures"
    )
    if is_worse and not training.interrupted:
        metrics = {"validation_accuracy": {"value": accuracy, "n": n}, "validation_loss": {"value": loss, "n": n}}
        model = _fine_tuned(start, plan, metrics)
        note += ". No epoch was better, so that model is kept"
        return replace(training, model=model, chosen_epoch=0, recipe=plan.recipe, notes=(*training.notes, note))
    model = _fine_tuned(training.model, plan)
    return replace(training, model=model, recipe=plan.recipe, notes=(*training.notes, note))


def initial_model(data: Dataset, plan: ResolvedPlan, checkpoints: Checkpoints | None = None) -> tuple[Dataset, Model]:
    """The data with a validation split, and the model that fine-tuning starts from.

    Raises:
        DataError: a picture cannot be read.
    """
    data = with_validation(data, plan.recipe.validation_fraction, plan.recipe.split_seed)
    if checkpoints is None:
        return data, with_new_head(data, plan)
    return data, checkpoints.initial_model(lambda: with_new_head(data, plan))


def with_new_head(data: Dataset, plan: ResolvedPlan) -> Model:
    """The backbone with a head that was fitted on the training split, for data with a validation split.

    Raises:
        DataError: a picture cannot be read.
    """
    assert plan.recipe.backbone is not None
    backbone = features.resized(backbones.load(plan.recipe.backbone), plan.record.size)
    embeddings, errors = backbone_features(data.train.pictures, backbone)
    if errors:
        raise DataError(next(iter(errors.values())))
    linear = features.fit_head(embeddings, data.train, plan.recipe, plan.record.seed)
    # Fine-tuning knows no temperature, so it goes into the weights.
    head = replace(
        linear.head, weights=linear.head.weights / linear.temperature, bias=linear.head.bias / linear.temperature
    )
    training = provenance(data, plan, splits=("train",))
    training |= {"backbone": backbone.provenance, "penalty": linear.penalty}
    return features.model_of(backbone, replace(linear, head=head, temperature=1.0), data, training)


def _fine_tuned(model: Model, plan: ResolvedPlan, metrics: dict[str, Any] | None = None) -> Model:
    """The model, with the recipe of fine-tuning, and perhaps other metrics, in its specification."""
    specification = model.specification
    changes: dict[str, Any] = {"training": specification.training | {"recipe": plan.record.recipe}}
    if metrics is not None:
        changes["metrics"] = metrics
    return replace(model, specification=specification.model_copy(update=changes))


def _on_validation(model: Model, data: Dataset) -> tuple[float, float]:
    """(accuracy, loss in nats) on the validation split."""
    predictions = describe(model, data.validation).predictions
    labels = data.validation.known_labels()
    if predictions.unreadable:
        raise DataError(next(iter(predictions.unreadable.values())))
    accuracy = float((predictions.predicted == labels).mean())
    return accuracy, log_loss(predictions.probabilities.astype(np.float64), labels)
