"""The training loop: steps, epochs, validation, and the weights that it keeps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import DivergenceError, FormatError, ModelFileError, TrainingError
from pellucid.inference.building import load_weights, weights_of
from pellucid.inference.forward import forward
from pellucid.records import MappedPictures, Preprocessing
from pellucid.records.names import counted
from pellucid.training.batches import Batches, Examples
from pellucid.training.callbacks import Callbacks
from pellucid.training.card_steps import CardSteps
from pellucid.training.checkpoint import Checkpoints, Position, State
from pellucid.training.history import History
from pellucid.training.interruption import Interruption
from pellucid.training.losses import LossFunction
from pellucid.training.optimizers import Rate
from pellucid.training.processes import current_group
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Rule

_MAX_PIXELS = 4_000_000
"""Upper bound on the number of pixel values in a batch of `measure`."""
_LOSS_CHECK_STEPS = 50
"""Number of steps between two checks whether the loss is finite. An epoch may take hours."""
_NOT_IN_MEMORY = "the pictures do not fit into memory"
_MAX_SUGGESTED_RATE = 0.1
"""Upper bound on the learning rate suggested after divergence."""


@dataclass(frozen=True)
class Learner:
    """Everything that the loop trains with.

    Attributes:
        network: on its device; it is trained in place.
        rule: updates the network after each batch.
        train: examples that the network learns from.
        validation: examples that the epochs are compared on.
        preprocessing: turns pictures into inputs.
        recipe: number of epochs, schedule, and so on.
        loss: the validation loss.
        seed: seed of the order, the augmentation and dropout.
        not_captured: why a graphics card must not record a step once and repeat it, as part of a sentence; else empty.
    """

    network: nn.Module
    rule: Rule
    train: Examples
    validation: Examples
    preprocessing: Preprocessing
    recipe: Recipe
    loss: LossFunction
    seed: int
    not_captured: str = ""


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        weights: weights of the chosen epoch.
        chosen_epoch: the epoch of these weights, counted from 1; 0 if no epoch was finished.
        history: one row per epoch.
        seconds: duration of each epoch.
        interrupted: whether the user or the system stopped it.
        stop_requested: whether they asked it to stop; after the last step, there was nothing left to interrupt.
        stop_reason: a sentence if it ended early because its loss was not finite; else empty.
        notes: sentences for the user.
    """

    weights: dict[str, np.ndarray]
    chosen_epoch: int = 0
    history: History = field(default_factory=History)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    stop_requested: bool = False
    stop_reason: str = ""
    notes: tuple[str, ...] = ()


def fit(learner: Learner, callbacks: Callbacks, checkpoints: Checkpoints | None = None) -> Outcome:
    """Trains the learner's network in place, and returns the weights of the epoch that the recipe chooses.

    Args:
        learner: network, data and recipe.
        callbacks: notified of every step and epoch.
        checkpoints: where the state is saved, and resumed from; None saves nothing.

    Raises:
        DivergenceError: the loss is infinite or NaN before the first epoch is finished.
        TrainingError: a step fails.
    """
    return _Loop(learner, callbacks, checkpoints).run()


class _Loop:
    """A training that is running: its learner, its position, and its outcome so far."""

    def __init__(self, learner: Learner, callbacks: Callbacks, checkpoints: Checkpoints | None) -> None:
        self.learner = learner
        self.callbacks = callbacks
        self.checkpoints = checkpoints
        self.group = current_group()
        self.batches = Batches(learner.train, learner.preprocessing, learner.recipe, learner.seed)
        self.outcome, self.position = self._start()
        device = learner.train.labels.device
        self.card = None
        if device.type == "cuda" and self.group.size == 1:
            in_memory = isinstance(learner.train.pictures, torch.Tensor)
            reason = learner.not_captured or learner.rule.not_captured or ("" if in_memory else _NOT_IN_MEMORY)
            self.card = CardSteps(self.batches, partial(train_step, learner.rule), not_captured=reason)
        self.check_steps = _LOSS_CHECK_STEPS * (1 if device.type == "cpu" else 10)  # reading a card's loss waits for it

    def _start(self) -> tuple[Outcome, Position]:
        """The outcome and the position to start from: those of the last checkpoint, if there is one to resume."""
        network = self.learner.network
        state = None if self.checkpoints is None else self.checkpoints.latest()
        if state is None:
            return Outcome(weights_of(network)), Position()
        try:
            load_weights(network, state.network)
            self.learner.rule.restore(state.rule)
        except (ModelFileError, KeyError, IndexError, ValueError, RuntimeError) as error:
            raise FormatError(f"The last checkpoint does not fit this network ({error}). Start a new run.") from error
        history = History([dict(row) for row in state.history])
        self.callbacks.notify("resumed", state.step, history)
        return Outcome(dict(state.chosen), state.chosen_epoch, history, list(state.seconds)), state.position

    def run(self) -> Outcome:
        outcome, recipe = self.outcome, self.learner.recipe
        if self.position == Position():
            self.callbacks.notify("weights", outcome, outcome.weights)
        with Interruption() as interruption:
            while self.position.epoch <= recipe.epochs and not _is_out_of_patience(outcome.history, recipe):
                epoch = _Epoch(self.position, self.learner.train.labels.device)
                row = self._train_epoch(epoch, interruption)
                if row is None:
                    outcome.interrupted = outcome.stop_requested = True
                    break
                weights = self._validate(row) if math.isfinite(row["train_loss"]) else None
                if weights is None or not math.isfinite(row["validation_loss"]):
                    outcome.stop_reason = _divergence_message(outcome, epoch.number, recipe)
                    break
                self._finish_epoch(epoch, row, weights)
                if self.group.any_requested(requested=interruption.requested):
                    outcome.interrupted = epoch.number < recipe.epochs
                    outcome.stop_requested = True
                    break
        if outcome.chosen_epoch == 0:
            with self.learner.rule.evaluation_weights():
                outcome.weights = weights_of(self.learner.network)
        if self.card is not None and self.card.not_captured:
            outcome.notes += (f"The card ran each step operation by operation, since {self.card.not_captured}.",)
        return outcome

    def _train_epoch(self, epoch: _Epoch, interruption: Interruption) -> dict[str, Any] | None:
        """Learns from the remaining batches of an epoch, and returns its row of the history, without validation.

        Returns None if the training was asked to stop before the last batch.
        """
        batches = self.batches
        set_train_mode(self.learner.network, self.learner.recipe)
        n = len(batches.examples)
        step, rate = 0, 0.0
        for step, loss, correct, rate in self._steps(epoch):  # noqa: B007 (the row of the history has the last)
            size = batches.size(epoch.batches)
            epoch.total_loss += loss * size
            epoch.correct += correct
            epoch.batches += 1
            self.callbacks.notify("step", step, loss, correct / size)
            if epoch.batches % self.check_steps == 0 and epoch.has_diverged():
                break
            if epoch.batches < batches.per_epoch and self._pause(epoch, interruption):
                return None
        return {
            "epoch": epoch.number,
            "step": step,
            "learning_rate": rate,
            "train_loss": epoch.total_loss.item() / n,
            "train_accuracy": epoch.correct.item() / n,
        }

    def _steps(self, epoch: _Epoch) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, float]]:
        """Learns from the remaining batches of an epoch; yields (step, mean loss, number correct, learning rate)."""
        if self.card is not None:
            for step, indices, rate in self.batches.order(epoch.number, epoch.batches):
                loss, correct = self.card.take(step, indices, rate)
                yield step, loss, correct, rate
            return
        for step, inputs, labels, rate in self.batches.epoch(epoch.number, epoch.batches):
            loss, correct = train_step(self.learner.rule, inputs, labels, rate)
            yield step, loss, correct, rate

    def _pause(self, epoch: _Epoch, interruption: Interruption) -> bool:
        """Between two batches: saves a checkpoint if one is due, and returns whether to stop here."""
        stop = self.group.should_stop(requested=interruption.requested)
        is_due = stop or (self.checkpoints is not None and self.checkpoints.is_due())
        if is_due and not epoch.has_diverged():  # else the last finite state remains
            self._save(epoch.position())
        return stop

    def _validate(self, row: dict[str, Any]) -> dict[str, np.ndarray]:
        """Adds the validation loss and accuracy to the row of an epoch, and returns the weights that were validated."""
        learner = self.learner
        with learner.rule.evaluation_weights():
            row["validation_loss"], row["validation_accuracy"] = measure(
                learner.network,
                learner.validation,
                learner.preprocessing,
                learner.loss,
                precision=learner.recipe.precision,
            )
            return weights_of(learner.network)

    def _finish_epoch(self, epoch: _Epoch, row: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        outcome = self.outcome
        outcome.history.rows.append(row)
        outcome.seconds.append(epoch.seconds)
        if self.learner.recipe.keep == "last" or outcome.history.best() is row:
            outcome.weights, outcome.chosen_epoch = weights, epoch.number
            self.callbacks.notify("chosen", outcome)
        self.callbacks.notify("weights", outcome, weights)
        # If the run is killed here, callbacks above this line run again on resume; those below are lost.
        self.position = Position(epoch.number + 1)
        self._save(self.position)
        self.callbacks.notify("epoch", row)

    def _save(self, position: Position) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(lambda: self._state(position))

    def _state(self, position: Position) -> State:
        outcome = self.outcome
        return State(
            step=(position.epoch - 1) * self.batches.per_epoch + position.batches,
            position=position,
            network=weights_of(self.learner.network),
            chosen=outcome.weights if outcome.chosen_epoch else {},
            rule=self.learner.rule.state(),
            chosen_epoch=outcome.chosen_epoch,
            history=outcome.history.rows,
            seconds=outcome.seconds,
        )


class _Epoch:
    """An epoch that is running: its number, its finished batches, and the sums over them."""

    def __init__(self, position: Position, device: torch.device) -> None:
        self.number = position.epoch
        self.batches = position.batches
        # The sums stay on the device: reading them would wait for it.
        self.total_loss = torch.tensor(position.total_loss, dtype=torch.float64, device=device)
        self.correct = torch.tensor(position.correct, dtype=torch.int64, device=device)
        self.started = time.perf_counter() - position.seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def has_diverged(self) -> bool:
        """Whether a loss was infinite or NaN, and so the sum is. Waits for the device."""
        return not math.isfinite(self.total_loss.item())

    def position(self) -> Position:
        return Position(self.number, self.batches, self.total_loss.item(), int(self.correct.item()), self.seconds)


def set_train_mode(network: nn.Module, recipe: Recipe) -> None:
    """Puts a network into training mode, except batch normalisation layers if the recipe freezes them."""
    network.train()
    if recipe.freeze_batchnorm:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 (the base class of all its kinds)
                module.eval()


def train_step(rule: Rule, inputs: torch.Tensor, labels: torch.Tensor, rate: Rate) -> tuple[torch.Tensor, torch.Tensor]:
    """Learns from one batch at that learning rate. Returns its mean loss before the step, and its number correct.

    Raises:
        TrainingError: the network fails; its cause is torch's error.
    """
    try:
        return rule.step(inputs, labels, rate)
    except (RuntimeError, ValueError) as error:
        n = len(labels)
        if n == 1 and "more than 1 value per channel" in str(error):
            raise TrainingError(
                "Batch normalisation needs more than one picture in a batch, and this batch has one. Give a larger "
                "batch size (--batch-size), or more pictures."
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TrainingError(
            f"The network failed on a training batch of {counted(n, 'picture')}: {reason}. "
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
    """Mean loss and accuracy of a network on some examples, in evaluation mode. Several processes share the work."""
    # Large pictures need small batches: a thousand photos of 224×224 would take gigabytes.
    batch_size = max(1, min(1000, _MAX_PIXELS // math.prod(examples.pictures.shape[1:])))
    group = current_group()
    n = len(examples)
    is_shared = n >= group.size
    start, stop = group.shard(0, n) if is_shared else (0, n)
    pictures = _slice(examples.pictures, start, stop)
    outputs = forward(network, pictures, preprocessing, batch_size=batch_size, precision=precision)
    labels = examples.labels.cpu()
    outputs = group.gather_rows(outputs, start, n) if is_shared else outputs
    results = np.array([loss(outputs, labels).item(), (outputs.argmax(dim=1) == labels).double().mean().item()])
    # Another kind of CPU may round differently, and all processes must choose the same epoch.
    mean, accuracy = np.frombuffer(group.broadcast(results.tobytes())).tolist()
    return mean, accuracy


def _slice(pictures: torch.Tensor | MappedPictures, start: int, stop: int) -> torch.Tensor | MappedPictures:
    """Pictures start ... stop − 1, without copying them."""
    if (start, stop) == (0, len(pictures)):
        return pictures
    return pictures[start:stop] if isinstance(pictures, torch.Tensor) else pictures.take(np.arange(start, stop))


def _is_out_of_patience(history: History, recipe: Recipe) -> bool:
    if recipe.early_stopping is None or not history.rows:
        return False
    return history.rows[-1]["epoch"] - history.best()["epoch"] >= recipe.early_stopping


def _divergence_message(outcome: Outcome, epoch: int, recipe: Recipe) -> str:
    """The sentence for a loss that is not finite. The training ends, and an earlier chosen epoch is kept.

    Raises:
        DivergenceError: no epoch was finished before.
    """
    advice = (
        f"Try a lower learning rate, for example {min(recipe.learning_rate / 10, _MAX_SUGGESTED_RATE):g}, or a "
        f"gradient clip of 1; the range test (--find-lr) shows which rates work."
    )
    if outcome.chosen_epoch == 0:
        raise DivergenceError(f"The loss became infinite or NaN in epoch {epoch}, before one was finished. {advice}")
    return (
        f"The loss became infinite or NaN in epoch {epoch}, so the training ended; the model is that of epoch "
        f"{outcome.chosen_epoch}. {advice}"
    )
