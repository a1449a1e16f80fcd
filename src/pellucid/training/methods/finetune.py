"""The recipe `finetune`: first a last layer on frozen features, then the whole network from there, at low rates.

A validation part is held out from both, and chooses the epoch; the last layer alone, before the first epoch, is among
what it chooses from. So fine-tuning that helps is kept, and fine-tuning that does harm is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.splitting import with_validation
from pellucid.errors import DataError
from pellucid.inference.features import backbone_features, describe
from pellucid.networks import backbones
from pellucid.records import Dataset, Model
from pellucid.statistics.metrics import log_loss
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.methods import features
from pellucid.training.preparation import provenance
from pellucid.training.recipes import Recipe


def learn(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Sequence[Any],
    progress: bool,
    size: int | tuple[int, int] | None,
    device: str,
    checkpoints: Checkpoints | None,
) -> features.Training:
    """Trains the last layer, then everything, and keeps what validation prefers.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    from pellucid.training import training as engine  # which calls this one

    data, start = begun(data, recipe, seed, size, checkpoints)
    accuracy, loss = _on_validation(start, data)
    n = len(data.validation)
    Callbacks(callbacks).notify(
        "planned",
        f"the last layer alone has an accuracy of {100 * accuracy:.1f} % on {n:,} validation pictures; now everything "
        "learns, from there",
    )
    done = engine.learn(
        data,
        recipe=recipe.but(backbone=None),
        seed=seed,
        start=start,
        callbacks=callbacks,
        progress=progress,
        device=device,
        checkpoints=checkpoints,
    )
    best = done.history.best() if done.history.rows else None
    worse = best is not None and (best["validation_accuracy"], -best["validation_loss"]) < (accuracy, -loss)
    share = f"{100 * accuracy:.1f} %"
    note = f"before fine-tuning, the last layer alone had an accuracy of {share} on {n:,} validation pictures"
    if worse and not done.interrupted:
        measured = {"validation_accuracy": {"value": accuracy, "n": n}, "validation_loss": {"value": loss, "n": n}}
        model = _with(start, recipe, metrics=measured)
        note += ". No epoch was better, so that model is kept"
        return replace(done, model=model, chosen_epoch=0, recipe=recipe, notes=(*done.notes, note))
    return replace(done, model=_with(done.model, recipe), recipe=recipe, notes=(*done.notes, note))


def begun(
    data: Dataset,
    recipe: Recipe,
    seed: int,
    size: int | tuple[int, int] | None,
    checkpoints: Checkpoints | None = None,
) -> tuple[Dataset, Model]:
    """What all of the network learns from, and where it starts: the data with their validation part, and `begin`."""
    data = with_validation(data, recipe.validation_fraction, recipe.split_seed)

    def make() -> Model:
        return begin(data, recipe, seed, size)

    return data, make() if checkpoints is None else checkpoints.initial_model(make)


def begin(data: Dataset, recipe: Recipe, seed: int, size: int | tuple[int, int] | None) -> Model:
    """The backbone with a last layer that has learned from the training split alone, of a set with validation.

    Raises:
        DataError: a picture cannot be read.
    """
    assert recipe.backbone is not None
    backbone = features.resized(backbones.load(recipe.backbone), size)
    described, reasons = backbone_features(data.train.pictures, backbone)
    if reasons:
        raise DataError(next(iter(reasons.values())))
    learned = features.last_layer(described, data.train, recipe, seed)
    # Calibrated by the weights themselves: the loss that learns from here on knows of no temperature.
    head = replace(
        learned.head, weights=learned.head.weights / learned.temperature, bias=learned.head.bias / learned.temperature
    )
    training = provenance(data, recipe, seed, None, names=("train",))
    training |= {"backbone": backbone.provenance, "penalty": learned.penalty}
    return features.model_of(backbone, replace(learned, head=head, temperature=1.0), data.classes, training)


def _with(model: Model, recipe: Recipe, metrics: dict[str, Any] | None = None) -> Model:
    """The model, saying that it was fine-tuned."""
    said = model.specification
    changes: dict[str, Any] = {"training": said.training | {"recipe": recipe.model_dump(mode="json")}}
    if metrics is not None:
        changes["metrics"] = metrics
    return replace(model, specification=said.model_copy(update=changes))


def _on_validation(model: Model, data: Dataset) -> tuple[float, float]:
    """(accuracy, loss in nats)."""
    found = describe(model, data.validation).predictions
    labels = data.validation.known_labels()
    if found.unreadable:
        raise DataError(next(iter(found.unreadable.values())))
    return float((found.predicted == labels).mean()), log_loss(found.probabilities.astype(np.float64), labels)
