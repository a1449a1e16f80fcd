"""The recipe `features`: a backbone describes every picture once, and a last layer learns from that.

Nothing is chosen by looking at validation or test pictures: the last layer's penalty and the temperature of its
probabilities come from cross-validation within the training pictures, all of which then teach the final one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.data.splitting import GROUPS
from pellucid.errors import DataError
from pellucid.inference.features import backbone_features
from pellucid.networks import backbones
from pellucid.networks.backbones import Backbone
from pellucid.records import Dataset, Model, NetworkSpecification, Preprocessing, Specification, Split
from pellucid.statistics.calibration import fit_temperature
from pellucid.training.callbacks import Callbacks
from pellucid.training.history import History
from pellucid.training.methods import head
from pellucid.training.preparation import provenance
from pellucid.training.recipes import Recipe
from pellucid.training.shape import height_and_width
from pellucid.training.training import Training

FOLDS = 5
MOST_TO_CHOOSE_BY = 5000
"""Of more training pictures than this, so many are drawn to choose the penalty by; all teach the final layer."""


@dataclass(frozen=True)
class Learned:
    """A last layer with what is known of it.

    Attributes:
        head: the layer.
        penalty: the one that was chosen.
        temperature: what its logits are divided by.
        tried: (penalty, loss, accuracy) of each that was tried, on held-out pictures; empty with too few.
        accuracy, loss: of the chosen one on held-out pictures, the loss after the temperature; NaN with too few.
        held_out: on how many.
        balanced: whether each class counts alike.
    """

    head: head.Head
    penalty: float
    temperature: float
    tried: tuple[tuple[float, float, float], ...]
    accuracy: float
    loss: float
    held_out: int
    balanced: bool


def learn(
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Callbacks,
    size: int | tuple[int, int] | None = None,
) -> Training:
    """Trains the last layer of the recipe's backbone on the training split.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    started = time.perf_counter()
    assert recipe.backbone is not None
    backbone = resized(backbones.load(recipe.backbone), size)
    callbacks.notify("planned", f"{backbone.name} describes the {len(data.train):,} training pictures of {data.name}")
    described, reasons = backbone_features(data.train.pictures, backbone)
    kept = np.array([place for place in range(len(described)) if place not in reasons], dtype=np.int64)
    train = data.train.take(kept) if reasons else data.train
    _require_classes(train, data.name)
    learned = last_layer(described[kept], train, recipe, seed)
    used = replace(data, splits={**data.splits, "train": train})
    notes = (*data.notes, *_left_out(reasons), *said(learned, train))
    training = provenance(used, recipe, seed, None, names=("train",))
    training |= {"backbone": backbone.provenance, "penalty": learned.penalty}
    return Training(
        model=model_of(backbone, learned, data.classes, training),
        history=History(),
        seconds=[time.perf_counter() - started],
        chosen_epoch=0,
        interrupted=False,
        data=used,
        recipe=recipe,
        notes=notes,
        parameters=learned.head.weights.size + learned.head.bias.size,
    )


def resized(backbone: Backbone, size: int | tuple[int, int] | None) -> Backbone:
    """The backbone, looking at pictures of another size."""
    if size is None:
        return backbone
    height, width = height_and_width(size)
    said = backbone.preprocessing.model_dump() | {"height": height, "width": width}
    return replace(backbone, preprocessing=Preprocessing.model_validate(said))


def last_layer(described: np.ndarray, train: Split, recipe: Recipe, seed: int) -> Learned:
    """Chooses, calibrates and learns a last layer, from features (N, D) of labelled pictures."""
    labels, classes = train.known_labels(), len(train.classes)
    weights = _weights(labels, classes, recipe)
    some = _some(len(labels), seed)
    groups = train.columns.get(GROUPS)
    where = folds(labels[some], None if groups is None else groups[some], FOLDS, recipe.split_seed)
    chosen = head.choose(described[some], labels[some], classes, where, None if weights is None else weights[some])
    held = where >= 0
    logits, given = chosen.logits[held], labels[some][held]
    smoothing = 1 / (len(given) / classes + 2)
    temperature = fit_temperature(logits, given, smoothing=smoothing) if len(given) else 1.0
    loss = float(head.losses(logits / temperature, given).mean()) if len(given) else float("nan")
    accuracy = float((logits.argmax(axis=1) == given).mean()) if len(given) else float("nan")
    return Learned(
        head=head.fit(described, labels, classes, chosen.penalty, weights),
        penalty=chosen.penalty,
        temperature=temperature,
        tried=chosen.tried,
        accuracy=accuracy,
        loss=loss,
        held_out=len(given),
        balanced=weights is not None,
    )


def model_of(backbone: Backbone, learned: Learned, classes: tuple[str, ...], training: dict[str, Any]) -> Model:
    """The backbone with its new last layer, as a model that needs nothing else."""
    last = {
        f"{backbone.classifier}.weight": learned.head.weights.astype(np.float32),
        f"{backbone.classifier}.bias": learned.head.bias.astype(np.float32),
    }
    measured = {"cross_validation_accuracy": learned.accuracy, "cross_validation_loss": learned.loss}
    specification = Specification(
        network=NetworkSpecification(name=backbone.name, settings=dict(backbone.settings)),
        classes=classes,
        preprocessing=backbone.preprocessing,
        temperature=learned.temperature,
        training=training,
        metrics={name: {"value": value, "n": learned.held_out} for name, value in measured.items() if learned.held_out},
    )
    return Model(specification, {**backbone.weights, **last})


def said(learned: Learned, train: Split) -> tuple[str, ...]:
    """What a person should know of a last layer."""
    notes = []
    if learned.held_out:
        notes.append(
            f"cross-validation on {learned.held_out:,} training pictures, each told by a last layer that had not seen "
            f"it: accuracy {100 * learned.accuracy:.1f} %. It chose the penalty {learned.penalty:g}, and nothing else "
            f"did."
        )
    else:
        notes.append(
            f"there are too few training pictures for cross-validation, so that the penalty is the usual one, "
            f"{learned.penalty:g}, and the probabilities are not calibrated"
        )
    if learned.balanced:
        counts = {name: n for name, n in train.counts().items() if n}
        most, fewest = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
        notes.append(
            f"'{most}' has {counts[most]:,} training pictures and '{fewest}' {counts[fewest]:,}: each class counts "
            f"alike, so that the rare one is not overlooked. Look at the balanced accuracy; --recipe-set "
            f"balance_above_ratio=none turns it off."
        )
    return tuple(notes)


def _weights(labels: np.ndarray, classes: int, recipe: Recipe) -> np.ndarray | None:
    """N / (K nₖ) for a picture of class k, of which there are nₖ; None where all count alike."""
    counts = np.bincount(labels, minlength=classes)
    there = counts[counts > 0]
    beyond = recipe.balance_above_ratio is not None and there.max() >= recipe.balance_above_ratio * there.min()
    if recipe.class_weights != "balanced" and not beyond:
        return None
    return len(labels) / (len(there) * counts[labels])


def _some(n: int, seed: int) -> np.ndarray:
    if n <= MOST_TO_CHOOSE_BY:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:MOST_TO_CHOOSE_BY])


def _require_classes(train: Split, name: str) -> None:
    there = [label for label, n in train.counts().items() if n]
    if len(there) < 2:
        raise DataError(
            f"'{name}' has readable training pictures of {len(there)} class{'es' * (len(there) != 1)}; a classifier "
            f"needs two or more."
        )


def _left_out(reasons: dict[int, str]) -> tuple[str, ...]:
    if not reasons:
        return ()
    n = len(reasons)
    count = f"{n:,} training picture{'s' * (n > 1)} could not be read and left out, each named below"
    return (count, *(f"left out: {reason}" for reason in reasons.values()))


def folds(labels: np.ndarray, groups: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Which fold each picture is held out in: int64 (N,), 0 to `count` − 1.

    −1, never held out, are pictures of classes that have one picture (or one group) alone: without it there would be
    nothing to learn the class from.

    Args:
        labels: int (N,).
        groups: what belongs together (N,), for example copies of one photo; None where nothing does.
        count: how many folds.
        seed: which ones.
    """
    names, members = (
        (np.arange(len(labels)), np.arange(len(labels))) if groups is None else np.unique(groups, return_inverse=True)
    )
    classes = int(labels.max(initial=-1)) + 1
    held = np.zeros((len(names), classes), dtype=np.int64)
    np.add.at(held, (members, labels), 1)
    lonely = (held > 0).sum(axis=0) == 1
    placed = np.full(len(names), -1, dtype=np.int64)
    filled = np.zeros((count, classes), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(names))
    # Large groups first, while every fold still has room; among equals as the seed says.
    for group in order[np.argsort(-held[order].sum(axis=1), kind="stable")].tolist():
        mine = held[group]
        if lonely[mine > 0].any():
            continue
        # Where its own classes are rarest; among equals where there are the fewest pictures.
        placed[group] = min(range(count), key=lambda one: (int(filled[one][mine > 0].sum()), int(filled[one].sum())))
        filled[placed[group]] += mine
    return placed[members]
