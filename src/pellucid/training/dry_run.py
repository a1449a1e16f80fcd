"""A training that is only tried: real steps of the very recipe, on a network that nobody keeps.

What is measured before a training begins (which learning rates it bears, how large a batch memory holds, how long an
epoch takes) is measured by its own steps: the same pictures, augmentation, network, loss and optimiser.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from pellucid.errors import UsageError
from pellucid.inference.building import weights_of
from pellucid.inference.device import choose
from pellucid.inference.forward import gather
from pellucid.records import Dataset, Model
from pellucid.training.batches import Batches
from pellucid.training.checkpoint import Position, State
from pellucid.training.choice import NetworkLike, choose_network, plan_for
from pellucid.training.loop import measure, set_train_mode, train_step
from pellucid.training.methods.choice import settle
from pellucid.training.preparation import Prepared, prepare
from pellucid.training.recipes import Recipe


class Rehearsal:
    """Steps of a training that has been prepared, for as long as they are wanted."""

    def __init__(self, prepared: Prepared, seed: int) -> None:
        self.prepared = prepared
        self.batches = Batches(prepared.train, prepared.specification.preprocessing, prepared.recipe, seed)
        self._supply = self._endless()

    def _endless(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch = 1
        while True:
            for _, inputs, labels, _ in self.batches.epoch(epoch):
                yield inputs, labels
            epoch += 1

    def step(self, learning_rate: float) -> float:
        """Learns from the next batch at that rate, and gives its mean loss before the step. Waits for the device.

        Raises:
            TrainingError: the network fails.
        """
        set_train_mode(self.prepared.module, self.prepared.recipe)
        inputs, labels = next(self._supply)
        return train_step(self.prepared.rule, inputs, labels, learning_rate)[0].item()

    def state(self) -> State:
        """What the checkpoint at the end of an epoch holds, where one before it is kept."""
        weights = weights_of(self.prepared.module)
        return State(1, Position(), weights, weights_of(self.prepared.module), self.prepared.rule.state())

    def validate(self, at_most: int | None = None) -> int:
        """Measures validation as the end of an epoch does, on all its pictures or the first ones; how many these are.

        The same preprocessing and batches as in training; the network stays as it is.
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
def rehearsal(
    data: Dataset,
    network: NetworkLike | None,
    *,
    recipe: str | Recipe = "default",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    start: Model | None = None,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Rehearsal]:
    """Prepares a training, to be tried within the block. Torch's generator is afterwards as it was.

    Args:
        data: labelled pictures; of these only train and validation are looked at.
        network: as for `pellucid.train`, like recipe, seed, settings, start, size and device.
        recipe: the plan, or its name.
        seed: what weights, order, augmentation and dropout are drawn from.
        settings: of the network.
        start: a model to start from.
        size: height and width to bring the pictures to.
        device: auto, cpu, cuda or mps.
        changes: settings of the recipe that are to differ.

    Raises:
        PellucidError: something that the user can mend; its text says how.
    """
    network, recipe, changed = settle(data, network, recipe, started=start is not None, changes=changes or {})
    choice = choose_network(network, settings, start, recipe)
    plan = plan_for(choice, recipe, changed)
    if plan.freeze_backbone:
        raise UsageError(
            "This plan solves for the last layer at once: it has no steps, so there is no learning rate, batch size or "
            "number of epochs to find. Train it as it is, or the whole network with the recipe finetune."
        )
    if plan.backbone is not None:
        from pellucid.training.methods import finetune

        data, start = finetune.begun(data, plan, seed, size)
        choice, plan, size = choose_network(None, start=start), plan.but(backbone=None), None
    with torch.random.fork_rng(devices=[]):
        prepared = prepare(data, choice, plan, seed=seed, start=start, size=size, device=choose(device))
        yield Rehearsal(prepared, seed)
