"""A dry run: real steps of a training, whose network is thrown away.

A dry run measures what a training needs (learning rate, batch size, time per epoch) by its own steps, with the same
pictures, augmentation, network, loss and optimiser.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from pellucid.inference.building import weights_of
from pellucid.inference.device import choose
from pellucid.inference.forward import gather
from pellucid.records import Dataset
from pellucid.training.batches import Batches
from pellucid.training.checkpoint import Position, State
from pellucid.training.loop import measure, set_train_mode, train_step
from pellucid.training.methods import finetune
from pellucid.training.plan import ResolvedPlan
from pellucid.training.preparation import Prepared, prepare


class DryRun:
    """Any number of steps of a prepared training."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        seed = prepared.plan.record.seed
        self.batches = Batches(prepared.train, prepared.specification.preprocessing, prepared.recipe, seed)
        self._stream = self._endless()

    def _endless(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch = 1
        while True:
            for _, inputs, labels, _ in self.batches.epoch(epoch):
                yield inputs, labels
            epoch += 1

    def step(self, learning_rate: float) -> float:
        """Learns from the next batch, and gives its mean loss before the step. Waits for the device.

        Raises:
            TrainingError: the network fails.
        """
        set_train_mode(self.prepared.module, self.prepared.recipe)
        inputs, labels = next(self._stream)
        return train_step(self.prepared.rule, inputs, labels, learning_rate)[0].item()

    def state(self) -> State:
        """What a checkpoint at the end of an epoch holds, if an earlier epoch is the best."""
        weights = weights_of(self.prepared.module)
        return State(1, Position(), weights, weights_of(self.prepared.module), self.prepared.rule.state())

    def validate(self, at_most: int | None = None) -> int:
        """Measures loss and accuracy on at most so many validation pictures, as the end of an epoch does.

        Returns:
            The number of pictures.
        """
        examples = self.prepared.validation
        if at_most is not None and at_most < len(examples):
            examples = type(examples)(gather(examples.pictures, slice(at_most)), examples.labels[:at_most])
        prepared = self.prepared
        with prepared.rule.evaluation_weights():
            measure(
                prepared.module,
                examples,
                prepared.specification.preprocessing,
                prepared.loss,
                precision=prepared.recipe.precision,
            )
        return len(examples)


@contextlib.contextmanager
def dry_run(data: Dataset, plan: ResolvedPlan) -> Iterator[DryRun]:
    """Prepares a training, for steps within the block. Torch's generator is unchanged afterwards.

    Args:
        data: labelled pictures; only train and validation are used.
        plan: the plan of the training.

    Raises:
        UsageError: the plan has no gradient steps.
        PellucidError: the input is wrong; the text says what to change.
    """
    plan.require_steps()
    if plan.recipe.backbone is not None:
        data, start = finetune.initial_model(data, plan)
        plan = plan.starting_from(start)
    with torch.random.fork_rng(devices=[]):
        yield DryRun(prepare(data, plan, choose(plan.record.device)))
