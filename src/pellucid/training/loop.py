"""The training loop: pictures in memory, whole batches, no work per sample."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data.preprocessing import normalise
from pellucid.errors import TrainingError
from pellucid.inference.building import weights_of
from pellucid.inference.predicting import forward
from pellucid.records import Preprocessing
from pellucid.training.augmentation import Augmenter
from pellucid.training.callbacks import Callbacks
from pellucid.training.history import History
from pellucid.training.interruption import Interruption
from pellucid.training.losses import LossFunction
from pellucid.training.randomness import epoch_order, named_seed
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Rule
from pellucid.training.schedules import learning_rate

_MOST_PIXELS = 4_000_000
"""How many pixel values are measured at once."""


@dataclass(frozen=True)
class Examples:
    """Pictures that are learned from, or validated on: uint8 (N, C, H, W) with labels int64 (N,), on the device."""

    pictures: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        weights: of the epoch that was kept.
        chosen_epoch: which one that is (counted from 1); 0 where not even one epoch was finished.
        history: one row per epoch.
        seconds: how long each epoch took.
        interrupted: whether it was stopped from outside.
        stopped: why it ended before its plan did, where its loss stopped being a number; else empty.
    """

    weights: dict[str, np.ndarray]
    chosen_epoch: int = 0
    history: History = field(default_factory=History)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    stopped: str = ""


def batch_bounds(n: int, batch_size: int) -> list[int]:
    """Where to cut n pictures into the fewest batches of at most `batch_size`, of sizes that differ by at most one.

    No picture is left out, and there is no small last batch, whose pictures would count for more.
    """
    steps = math.ceil(n / batch_size)
    return [i * n // steps for i in range(steps + 1)]


def fit(
    network: nn.Module,
    rule: Rule,
    train: Examples,
    validation: Examples,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    loss: LossFunction,
    seed: int,
    callbacks: Callbacks,
) -> Outcome:
    """Trains `network` in place and gives the weights of the epoch that the recipe keeps.

    Args:
        network: on its device.
        rule: how it learns from a batch.
        train: what it learns from.
        validation: what its epochs are compared on.
        preprocessing: how pictures become inputs.
        recipe: the plan.
        loss: what validation loss is measured with.
        seed: what the order, augmentation and dropout are drawn from.
        callbacks: told of everything.

    Raises:
        TrainingError: the loss became infinite or not a number before one epoch was finished, or a step fails.
    """
    batches = Batches(train, preprocessing, recipe, seed)
    outcome = Outcome(weights_of(network))
    with Interruption() as interruption:
        for epoch in range(1, recipe.epochs + 1):
            started = time.perf_counter()
            row = _learn_epoch(epoch, network, rule, batches, callbacks, interruption)
            if row is None:
                outcome.interrupted = True
                break
            row["validation_loss"], row["validation_accuracy"] = measure(network, validation, preprocessing, loss)
            if not (math.isfinite(row["train_loss"]) and math.isfinite(row["validation_loss"])):
                outcome.stopped = _divergence(outcome, epoch, recipe)
                break
            outcome.history.rows.append(row)
            outcome.seconds.append(time.perf_counter() - started)
            if recipe.keep == "last" or outcome.history.best() is row:
                outcome.weights, outcome.chosen_epoch = weights_of(network), epoch
                callbacks.tell("kept", outcome)
            callbacks.tell("epoch", row)
            if interruption.requested:
                outcome.interrupted = epoch < recipe.epochs
                break
            if _patience_is_over(outcome.history, recipe):
                break
    if outcome.chosen_epoch == 0:
        outcome.weights = weights_of(network)
    return outcome


class Batches:
    """The batches of each epoch: which pictures, in which order, changed how, at which learning rate."""

    def __init__(self, examples: Examples, preprocessing: Preprocessing, recipe: Recipe, seed: int) -> None:
        self.examples = examples
        self.preprocessing = preprocessing
        self.recipe = recipe
        self.seed = seed
        self.bounds = batch_bounds(len(examples), recipe.batch_size)
        self.augment = Augmenter(recipe.augmentation, len(examples), seed)

    def epoch(self, epoch: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, float]]:
        """Yields (step, inputs (B, C, H, W), labels (B,), learning rate) for an epoch counted from 1.

        The step is counted from 1 over the whole training. Before each batch torch's generator is set from
        (seed, step), for dropout.
        """
        device = self.examples.labels.device
        order = torch.from_numpy(epoch_order(self.seed, epoch, len(self.examples))).to(device)
        self.augment.begin_epoch(epoch)
        per_epoch = len(self.bounds) - 1
        for i, (first, last) in enumerate(pairwise(self.bounds)):
            step = (epoch - 1) * per_epoch + i
            which = order[first:last]
            inputs = normalise(self.augment(self.examples.pictures[which], which), self.preprocessing)
            torch.manual_seed(named_seed(self.seed, "dropout", step))
            yield step + 1, inputs, self.examples.labels[which], learning_rate(self.recipe, step, per_epoch)


def _learn_epoch(
    epoch: int, network: nn.Module, rule: Rule, batches: Batches, callbacks: Callbacks, interruption: Interruption
) -> dict[str, Any] | None:
    """Learns from every picture once and gives the epoch's row, without validation; None if it was stopped midway."""
    network.train()
    n = len(batches.examples)
    seen, step, rate = 0, 0, 0.0
    # Sums stay on the device: reading a number there would make it wait.
    total_loss = torch.zeros((), dtype=torch.float64, device=batches.examples.labels.device)
    correct = torch.zeros_like(total_loss, dtype=torch.int64)
    for step, inputs, labels, rate in batches.epoch(epoch):
        loss, outputs = _step(rule, inputs, labels, rate)
        hits = (outputs.argmax(dim=1) == labels).sum()
        total_loss += loss * len(labels)
        correct += hits
        seen += len(labels)
        callbacks.tell("step", step, loss, hits / len(labels))
        if interruption.requested and seen < n:
            return None
    return {
        "epoch": epoch,
        "step": step,
        "learning_rate": rate,
        "train_loss": total_loss.item() / n,
        "train_accuracy": correct.item() / n,
    }


def _step(rule: Rule, inputs: torch.Tensor, labels: torch.Tensor, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        return rule.step(inputs, labels, rate)
    except (RuntimeError, ValueError) as error:
        n = len(labels)
        if n == 1 and "more than 1 value per channel" in str(error):
            raise TrainingError(
                "This network's batch normalisation takes averages over a batch, which one picture alone has not. "
                "Give a larger --batch-size, or more pictures."
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrainingError(
            f"The network failed while it learned from a batch of {n} pictures: {reason}. "
            f"If memory is short, try a smaller --batch-size."
        ) from error


def measure(
    network: nn.Module, examples: Examples, preprocessing: Preprocessing, loss: LossFunction
) -> tuple[float, float]:
    """(mean loss, accuracy) of a network on some pictures, in evaluation mode."""
    # Large pictures go through in small batches: a thousand photos of 224×224 would take gigabytes.
    batch_size = max(1, min(1000, _MOST_PIXELS // examples.pictures[0].numel()))
    outputs = forward(network, examples.pictures, preprocessing, batch_size=batch_size)
    labels = examples.labels.cpu()
    return loss(outputs, labels).item(), (outputs.argmax(dim=1) == labels).double().mean().item()


def _patience_is_over(history: History, recipe: Recipe) -> bool:
    if recipe.early_stopping is None:
        return False
    return history.rows[-1]["epoch"] - history.best()["epoch"] >= recipe.early_stopping


def _divergence(outcome: Outcome, epoch: int, recipe: Recipe) -> str:
    """What there is to say of a loss that is no longer a number: it ends the training; what was good before is kept."""
    advice = f"Try a lower learning rate, for example {recipe.learning_rate / 10:g}, or a gradient clip of 1."
    if outcome.chosen_epoch == 0:
        raise TrainingError(f"The loss stopped being a number in epoch {epoch}, so nothing was learned. {advice}")
    return (
        f"The loss stopped being a number in epoch {epoch}, which ended the training; the model is that of epoch "
        f"{outcome.chosen_epoch}. {advice}"
    )
