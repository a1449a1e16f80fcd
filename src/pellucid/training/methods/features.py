"""The method `features`: a linear head on the embeddings of a frozen backbone.

Validation and test pictures are not used. Cross-validation within the training pictures chooses the penalty of the head
and its temperature; the final head is fitted on all training pictures.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.data.appearance import appearance
from pellucid.data.splitting import GROUPS
from pellucid.errors import DataError
from pellucid.inference.features import backbone_features
from pellucid.inference.probabilities import probabilities
from pellucid.networks import backbones
from pellucid.networks.backbones import Backbone
from pellucid.records import Dataset, Model, NetworkSpecification, Preprocessing, Specification, Split
from pellucid.records.names import counted
from pellucid.statistics.abstention import Threshold, choose_threshold
from pellucid.statistics.calibration import fit_temperature
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.history import History
from pellucid.training.methods import head
from pellucid.training.plan import ResolvedPlan
from pellucid.training.preparation import provenance
from pellucid.training.recipes import Recipe
from pellucid.training.result import Training
from pellucid.training.shape import height_and_width

FOLDS = 5
MOST_IN_CROSS_VALIDATION = 5000
"""Of more training pictures than this, a random sample chooses the penalty. The final head is fitted on all."""


@dataclass(frozen=True)
class LinearHead:
    """A linear head, and how it was chosen.

    Attributes:
        head: its weights.
        penalty: of its weights, chosen by cross-validation.
        temperature: divides its logits.
        tried: (penalty, loss, accuracy) of each penalty, in cross-validation; empty if there are too few pictures.
        accuracy, loss: of the chosen penalty, in cross-validation, the loss after calibration; NaN if too few.
        held_out: number of pictures in cross-validation.
        balanced: whether all classes have the same weight.
        threshold: for the largest error that was asked for, in cross-validation; None if none was.
    """

    head: head.Head
    penalty: float
    temperature: float
    tried: tuple[tuple[float, float, float], ...]
    accuracy: float
    loss: float
    held_out: int
    balanced: bool
    threshold: Threshold | None = None


def learn(data: Dataset, plan: ResolvedPlan, callbacks: Callbacks, checkpoints: Checkpoints | None = None) -> Training:
    """Trains a linear head on the frozen backbone of the plan. It takes seconds, so nothing is saved in `checkpoints`.

    Raises:
        PellucidError: the input is wrong; the text says what to change.
    """
    del checkpoints
    started = time.perf_counter()
    recipe = plan.recipe
    assert recipe.backbone is not None
    backbone = resized(backbones.load(recipe.backbone), plan.record.size)
    callbacks.notify(
        "planned",
        f"{backbone.name} computes the features of the {counted(len(data.train), 'training picture')} of {data.name}",
    )
    embeddings, errors = backbone_features(data.train.pictures, backbone)
    readable = np.array([index for index in range(len(embeddings)) if index not in errors], dtype=np.int64)
    train = data.train.take(readable) if errors else data.train
    _require_classes(train, data.name)
    linear = fit_head(embeddings[readable], train, recipe, plan.record.seed)
    data = replace(data, splits={**data.splits, "train": train})
    training = provenance(data, plan, splits=("train",))
    training |= {"backbone": backbone.provenance, "penalty": linear.penalty}
    return Training(
        model=model_of(backbone, linear, data, training),
        history=History(),
        seconds=[time.perf_counter() - started],
        chosen_epoch=0,
        interrupted=False,
        data=data,
        recipe=recipe,
        notes=(*data.notes, *_unreadable(errors), *describe(linear, train)),
        parameters=linear.head.weights.size + linear.head.bias.size,
    )


def resized(backbone: Backbone, size: int | tuple[int, int] | None) -> Backbone:
    """The backbone for pictures of another size (height and width, or one number for both); None changes nothing."""
    if size is None:
        return backbone
    height, width = height_and_width(size)
    fields = backbone.preprocessing.model_dump() | {"height": height, "width": width}
    return replace(backbone, preprocessing=Preprocessing.model_validate(fields))


def fit_head(embeddings: np.ndarray, train: Split, recipe: Recipe, seed: int) -> LinearHead:
    """Chooses the penalty of a linear head, fits it on embeddings (N, D) of labelled pictures, and calibrates it."""
    labels, classes = train.known_labels(), len(train.classes)
    weights = _weights(labels, classes, recipe)
    sample = _sample(len(labels), seed)
    groups = train.columns.get(GROUPS)
    fold_of = folds(labels[sample], None if groups is None else groups[sample], FOLDS, recipe.split_seed)
    choice = head.choose(
        embeddings[sample], labels[sample], classes, fold_of, None if weights is None else weights[sample]
    )
    held_out = fold_of >= 0
    logits, held_out_labels = choice.logits[held_out], labels[sample][held_out]
    n = len(held_out_labels)
    smoothing = 1 / (n / classes + 2)
    temperature = fit_temperature(logits, held_out_labels, smoothing=smoothing) if n else 1.0
    loss = float(head.losses(logits / temperature, held_out_labels).mean()) if n else float("nan")
    right = logits.argmax(axis=1) == held_out_labels
    accuracy = float(right.mean()) if n else float("nan")
    threshold = None
    if recipe.max_error is not None:
        confidence = probabilities("softmax", logits, temperature).max(axis=1)
        threshold = choose_threshold(confidence, right, recipe.max_error)
    return LinearHead(
        head=head.fit(embeddings, labels, classes, choice.penalty, weights),
        penalty=choice.penalty,
        temperature=temperature,
        tried=choice.tried,
        accuracy=accuracy,
        loss=loss,
        held_out=n,
        balanced=weights is not None,
        threshold=threshold,
    )


def model_of(backbone: Backbone, linear: LinearHead, data: Dataset, training: dict[str, Any]) -> Model:
    """The backbone with its new head, as a complete model."""
    head_weights = {
        f"{backbone.classifier}.weight": linear.head.weights.astype(np.float32),
        f"{backbone.classifier}.bias": linear.head.bias.astype(np.float32),
    }
    measured = {"cross_validation_accuracy": linear.accuracy, "cross_validation_loss": linear.loss}
    specification = Specification(
        network=NetworkSpecification(name=backbone.name, settings=dict(backbone.settings)),
        classes=data.classes,
        preprocessing=backbone.preprocessing,
        appearance=appearance(data.train, backbone.preprocessing),
        temperature=linear.temperature,
        abstain_below=None if linear.threshold is None else linear.threshold.below,
        training=training,
        metrics={name: {"value": value, "n": linear.held_out} for name, value in measured.items() if linear.held_out},
    )
    return Model(specification, {**backbone.weights, **head_weights})


def describe(linear: LinearHead, train: Split) -> tuple[str, ...]:
    """Sentences for the user on how a head was chosen."""
    notes = []
    if linear.held_out:
        notes.append(
            f"cross-validation on {counted(linear.held_out, 'training picture')}, each predicted by a head trained "
            f"without it: accuracy {100 * linear.accuracy:.1f} %. It was used only to choose the penalty, "
            f"{linear.penalty:g}."
        )
    else:
        notes.append(
            f"there are too few training pictures for cross-validation: the penalty is the default, "
            f"{linear.penalty:g}, and the probabilities are not calibrated"
        )
    if linear.threshold is not None:
        notes.append(linear.threshold.sentence("picture in cross-validation", "pictures in cross-validation"))
    if linear.balanced:
        counts = {name: n for name, n in train.counts().items() if n}
        most, fewest = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
        notes.append(
            f"'{most}' has {counted(int(counts[most]), 'training picture')} and '{fewest}' {counts[fewest]:,}: "
            f"all classes get the "
            f"same weight, so that the rare one is not overlooked. Look at the balanced accuracy; --recipe-set "
            f"balance_above_ratio=none turns it off."
        )
    return tuple(notes)


def _weights(labels: np.ndarray, classes: int, recipe: Recipe) -> np.ndarray | None:
    """N / (K nₖ) for each picture, where its class k has nₖ pictures: (N,); None if all have the same weight."""
    counts = np.bincount(labels, minlength=classes)
    present = counts[counts > 0]
    ratio = recipe.balance_above_ratio
    unbalanced = ratio is not None and present.max() >= ratio * present.min()
    if recipe.class_weights != "balanced" and not unbalanced:
        return None
    return len(labels) / (len(present) * counts[labels])


def _sample(n: int, seed: int) -> np.ndarray:
    """Indices of the pictures in cross-validation."""
    if n <= MOST_IN_CROSS_VALIDATION:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:MOST_IN_CROSS_VALIDATION])


def _require_classes(train: Split, name: str) -> None:
    """Raises DataError if fewer than two classes have readable pictures."""
    n = sum(count > 0 for count in train.counts().values())
    if n < 2:
        raise DataError(
            f"'{name}' has readable training pictures of {counted(n, 'class', 'classes')}; a classifier needs "
            f"two or more."
        )


def _unreadable(errors: dict[int, str]) -> tuple[str, ...]:
    """Sentences for the user on pictures that were left out."""
    if not errors:
        return ()
    n = len(errors)
    count = f"{counted(n, 'training picture')} could not be read and left out, each named below"
    return (count, *(f"left out: {error}" for error in errors.values()))


def folds(labels: np.ndarray, groups: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """The fold in which each picture is held out: int64 (N,), from 0 to `count` − 1, or −1 for never.

    A picture is never held out if its class has no other picture (or no other group): nothing would be left to learn
    the class from.

    Args:
        labels: int (N,).
        groups: group of each picture (N,), for example copies of one photo, which stay together; None for no groups.
        count: number of folds.
        seed: seed of the random assignment.
    """
    names, group_of = (
        (np.arange(len(labels)), np.arange(len(labels))) if groups is None else np.unique(groups, return_inverse=True)
    )
    classes = int(labels.max(initial=-1)) + 1
    counts = np.zeros((len(names), classes), dtype=np.int64)  # pictures of each group and class
    np.add.at(counts, (group_of, labels), 1)
    in_one_group = (counts > 0).sum(axis=0) == 1
    fold_of = np.full(len(names), -1, dtype=np.int64)
    filled = np.zeros((count, classes), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(names))
    # Large groups first, while every fold has room; equal ones in random order.
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")].tolist():
        own = counts[group]
        if in_one_group[own > 0].any():
            continue
        # The fold with the fewest pictures of its classes; among equals, the one with the fewest pictures.
        fold_of[group] = min(range(count), key=lambda fold: (int(filled[fold][own > 0].sum()), int(filled[fold].sum())))
        filled[fold_of[group]] += own
    return fold_of[group_of]
