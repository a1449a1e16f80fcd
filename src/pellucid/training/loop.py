"""The training loop: steps, epochs, validation, and what is kept of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import TrainingError
from pellucid.inference.building import load_weights, weights_of
from pellucid.inference.predicting import forward
from pellucid.records import MappedPictures, Preprocessing
from pellucid.training.batches import Batches, Examples
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints, Position, State
from pellucid.training.history import History
from pellucid.training.interruption import Interruption
from pellucid.training.losses import LossFunction
from pellucid.training.processes import current_group
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Rule

_MOST_PIXELS = 4_000_000
"""How many pixel values are measured at once."""
_LOOK = 50
"""After so many steps it is looked whether the loss is still a number: an epoch may take hours."""
_BOLD = 0.1
"""A learning rate above this is not worth a try by anybody whose loss has run away."""


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        weights: of the epoch that was kept.
        chosen_epoch: which one that is (counted from 1); 0 where not even one epoch was finished.
        history: one row per epoch.
        seconds: how long each epoch took.
        interrupted: whether it was stopped from outside.
        stop_reason: why it ended before its plan did, where its loss stopped being a number; else empty.
    """

    weights: dict[str, np.ndarray]
    chosen_epoch: int = 0
    history: History = field(default_factory=History)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    stop_reason: str = ""


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
    checkpoints: Checkpoints | None = None,
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
        checkpoints: where its state is kept, and taken up again.

    Raises:
        TrainingError: the loss became infinite or not a number before one epoch was finished, or a step fails.
    """
    processes = current_group()
    batches = Batches(train, preprocessing, recipe, seed)
    outcome, position = _begin(network, rule, checkpoints, callbacks)
    if position == Position():
        callbacks.notify("weights", outcome, outcome.weights)

    def keep(position: Position) -> None:
        """Writes down where the training is."""
        if checkpoints is not None:
            checkpoints.save(lambda: _state(batches, position, outcome, network, rule))

    with Interruption() as interruption:
        while position.epoch <= recipe.epochs and not _patience_is_over(outcome.history, recipe):
            epoch = _Epoch(position, train.labels.device)

            def stop(epoch: _Epoch = epoch) -> bool:
                """Between two batches: writes down where the training is, when it is time, and says whether to stop."""
                ending = processes.should_stop(requested=interruption.requested)
                wanted = ending or (checkpoints is not None and checkpoints.is_due())
                if wanted and not epoch.is_lost():  # where it is, the last good state stays
                    keep(epoch.position())
                return ending

            row = _learn_epoch(epoch, network, rule, batches, callbacks, stop)
            if row is None:
                outcome.interrupted = True
                break
            if not math.isfinite(row["train_loss"]):
                outcome.stop_reason = _divergence(outcome, epoch.number, recipe)
                break
            with rule.evaluation_weights():
                row["validation_loss"], row["validation_accuracy"] = measure(
                    network, validation, preprocessing, loss, precision=recipe.precision
                )
                weights = weights_of(network)
            if not math.isfinite(row["validation_loss"]):
                outcome.stop_reason = _divergence(outcome, epoch.number, recipe)
                break
            outcome.history.rows.append(row)
            outcome.seconds.append(epoch.seconds)
            if recipe.keep == "last" or outcome.history.best() is row:
                outcome.weights, outcome.chosen_epoch = weights, epoch.number
                callbacks.notify("kept", outcome)
            callbacks.notify("weights", outcome, weights)
            # What is told before this is told once more where a kill falls in between, and what is told after it never.
            position = Position(epoch.number + 1)
            keep(position)
            callbacks.notify("epoch", row)
            if processes.any_requested(requested=interruption.requested):
                outcome.interrupted = epoch.number < recipe.epochs
                break
    if outcome.chosen_epoch == 0:
        with rule.evaluation_weights():
            outcome.weights = weights_of(network)
    return outcome


def _begin(
    network: nn.Module, rule: Rule, checkpoints: Checkpoints | None, callbacks: Callbacks
) -> tuple[Outcome, Position]:
    """Where a training begins, or goes on."""
    state = None if checkpoints is None else checkpoints.latest()
    if state is None:
        return Outcome(weights_of(network)), Position()
    load_weights(network, state.network)
    rule.restore(state.rule)
    history = History([dict(row) for row in state.history])
    callbacks.notify("resumed", state.step, history)
    outcome = Outcome(dict(state.kept), state.chosen_epoch, history, list(state.seconds))
    return outcome, state.position


def _state(batches: Batches, position: Position, outcome: Outcome, network: nn.Module, rule: Rule) -> State:
    return State(
        step=(position.epoch - 1) * batches.per_epoch + position.batches,
        position=position,
        network=weights_of(network),
        kept=outcome.weights if outcome.chosen_epoch else {},
        rule=rule.state(),
        chosen_epoch=outcome.chosen_epoch,
        history=outcome.history.rows,
        seconds=outcome.seconds,
    )


class _Epoch:
    """An epoch that is being learned: which one, how many of its batches are done, and the sums over these."""

    def __init__(self, position: Position, device: torch.device) -> None:
        self.number = position.epoch
        self.batches = position.batches
        # Sums stay on the device: reading a number there would make it wait.
        self.total_loss = torch.tensor(position.total_loss, dtype=torch.float64, device=device)
        self.correct = torch.tensor(position.correct, dtype=torch.int64, device=device)
        self.started = time.perf_counter() - position.seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def is_lost(self) -> bool:
        """Whether the loss has stopped being a number; then so has the sum, for good. Waits for the device."""
        return not math.isfinite(self.total_loss.item())

    def position(self) -> Position:
        return Position(self.number, self.batches, self.total_loss.item(), int(self.correct.item()), self.seconds)


def _learn_epoch(
    epoch: _Epoch,
    network: nn.Module,
    rule: Rule,
    batches: Batches,
    callbacks: Callbacks,
    stop: Callable[[], bool],
) -> dict[str, Any] | None:
    """Learns from the rest of an epoch's pictures, each once, and gives the epoch's row, without validation.

    `stop` is asked between two batches; where it says so, the epoch ends there, and None is given.
    """
    set_train_mode(network, batches.recipe)
    n = len(batches.examples)
    step, rate = 0, 0.0
    for step, inputs, labels, rate in batches.epoch(epoch.number, epoch.batches):
        loss, hits = take_step(rule, inputs, labels, rate)
        size = batches.size(epoch.batches)
        epoch.total_loss += loss * size
        epoch.correct += hits
        epoch.batches += 1
        callbacks.notify("step", step, loss, hits / size)
        if epoch.batches % _LOOK == 0 and epoch.is_lost():
            break
        if epoch.batches < batches.per_epoch and stop():
            return None
    return {
        "epoch": epoch.number,
        "step": step,
        "learning_rate": rate,
        "train_loss": epoch.total_loss.item() / n,
        "train_accuracy": epoch.correct.item() / n,
    }


def set_train_mode(network: nn.Module, recipe: Recipe) -> None:
    """Puts a network into training mode, but for the statistics that the recipe leaves as they are."""
    network.train()
    if recipe.freeze_batchnorm:
        for part in network.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 (what all kinds of it derive from)
                part.eval()


def take_step(rule: Rule, inputs: torch.Tensor, labels: torch.Tensor, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Learns from a batch at that rate: its mean loss before the step, and how many of its pictures were right.

    Raises:
        TrainingError: the network fails; its cause is torch's error.
    """
    try:
        return rule.step(inputs, labels, rate)
    except (RuntimeError, ValueError) as error:
        n = len(labels)
        if n == 1 and "more than 1 value per channel" in str(error):
            raise TrainingError(
                "This network's batch normalisation takes averages over a batch, which one picture alone has not. "
                "Give a larger batch size (--batch-size), or more pictures."
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrainingError(
            f"The network failed while it learned from a batch of {n} pictures: {reason}. "
            f"If memory is short, try a smaller batch size (--batch-size)."
        ) from error


def measure(
    network: nn.Module,
    examples: Examples,
    preprocessing: Preprocessing,
    loss: LossFunction,
    *,
    precision: str = "full",
) -> tuple[float, float]:
    """(mean loss, accuracy) of a network on some pictures, in evaluation mode; several processes share them."""
    # Large pictures go through in small batches: a thousand photos of 224×224 would take gigabytes.
    batch_size = max(1, min(1000, _MOST_PIXELS // math.prod(examples.pictures.shape[1:])))
    processes = current_group()
    n = len(examples)
    shared = n >= processes.size
    first, last = processes.shard(0, n) if shared else (0, n)
    pictures = _between(examples.pictures, first, last)
    outputs = forward(network, pictures, preprocessing, batch_size=batch_size, precision=precision)
    labels = examples.labels.cpu()
    outputs = processes.gather_rows(outputs, first, n) if shared else outputs
    found = np.array([loss(outputs, labels).item(), (outputs.argmax(dim=1) == labels).double().mean().item()])
    # Processors of another kind may round otherwise, and all have to choose the same epoch.
    mean, accuracy = np.frombuffer(processes.broadcast(found.tobytes())).tolist()
    return mean, accuracy


def _between(pictures: torch.Tensor | MappedPictures, first: int, last: int) -> torch.Tensor | MappedPictures:
    """Those pictures, not copied."""
    if (first, last) == (0, len(pictures)):
        return pictures
    return pictures[first:last] if isinstance(pictures, torch.Tensor) else pictures.take(np.arange(first, last))


def _patience_is_over(history: History, recipe: Recipe) -> bool:
    if recipe.early_stopping is None or not history.rows:
        return False
    return history.rows[-1]["epoch"] - history.best()["epoch"] >= recipe.early_stopping


def _divergence(outcome: Outcome, epoch: int, recipe: Recipe) -> str:
    """What there is to say of a loss that is no longer a number: it ends the training; what was good before is kept."""
    advice = (
        f"Try a lower learning rate, for example {min(recipe.learning_rate / 10, _BOLD):g}, or a gradient clip of 1; "
        f"the range test (--find-lr) says which rates it bears."
    )
    if outcome.chosen_epoch == 0:
        raise TrainingError(f"The loss stopped being a number in epoch {epoch}, so nothing was learned. {advice}")
    return (
        f"The loss stopped being a number in epoch {epoch}, which ended the training; the model is that of epoch "
        f"{outcome.chosen_epoch}. {advice}"
    )
