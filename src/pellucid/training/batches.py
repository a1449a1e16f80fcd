"""The batches of a training: pictures in memory or mapped, cut into batches as a whole, no work per sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch

from pellucid.data.preprocessing import normalise
from pellucid.errors import UsageError
from pellucid.inference.forward import gather
from pellucid.records import MappedPictures, Preprocessing
from pellucid.training.augmentation import Augmenter
from pellucid.training.processes import current_group
from pellucid.training.randomness import epoch_order, named_seed
from pellucid.training.recipes import Recipe
from pellucid.training.schedules import learning_rate


@dataclass(frozen=True)
class Examples:
    """Pictures that are learned from, or validated on: uint8 (N, C, H, W) with labels int64 (N,), on the device.

    Those that are larger than memory stay mapped; their batches are brought to the device when they are needed.
    """

    pictures: torch.Tensor | MappedPictures
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def batch_bounds(n: int, batch_size: int) -> list[int]:
    """Where to cut n pictures into the fewest batches of at most `batch_size`, of sizes that differ by at most one.

    No picture is left out, and there is no small last batch, whose pictures would count for more.
    """
    steps = math.ceil(n / batch_size)
    return [i * n // steps for i in range(steps + 1)]


class Batches:
    """The batches of each epoch: which pictures, in which order, changed how, at which learning rate."""

    def __init__(self, examples: Examples, preprocessing: Preprocessing, recipe: Recipe, seed: int) -> None:
        self.examples = examples
        self.preprocessing = preprocessing
        self.recipe = recipe
        self.seed = seed
        self.bounds = batch_bounds(len(examples), recipe.batch_size)
        self.augment = Augmenter(recipe.augmentation, len(examples), seed)
        self.processes = current_group()
        least = min(last - first for first, last in pairwise(self.bounds))
        if least < self.processes.size:
            raise UsageError(
                f"A batch of {least} pictures cannot be shared by {self.processes.size} processes. Give a larger batch "
                f"size (--batch-size), or start fewer processes."
            )

    @property
    def per_epoch(self) -> int:
        """How many batches an epoch has."""
        return len(self.bounds) - 1

    def size(self, number: int) -> int:
        """How many pictures the batch of that number has (from 0, within an epoch), in all processes together."""
        return self.bounds[number + 1] - self.bounds[number]

    def epoch(self, epoch: int, done: int = 0) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, float]]:
        """Yields (step, inputs (B, C, H, W), labels (B,), learning rate) for an epoch counted from 1.

        The first `done` batches are passed over, without any work for them.

        The step is counted from 1 over the whole training. Before each batch torch's generator is set from
        (seed, step), for dropout. Of several processes, each is given its own part of each batch, and drops out what
        is drawn from (seed, step, process).
        """
        rank = self.processes.rank
        device = self.examples.labels.device
        order = torch.from_numpy(epoch_order(self.seed, epoch, len(self.examples))).to(device)
        self.augment.begin_epoch(epoch)
        for i, (first, last) in list(enumerate(pairwise(self.bounds)))[done:]:
            step = (epoch - 1) * self.per_epoch + i
            which = order[slice(*self.processes.shard(first, last))]
            pictures = gather(self.examples.pictures, which).to(device)
            inputs = normalise(self.augment(pictures, which), self.preprocessing)
            _seed(named_seed(self.seed, "dropout", step, *([rank] if rank else [])), device)
            yield step + 1, inputs, self.examples.labels[which], learning_rate(self.recipe, step, self.per_epoch)


def _seed(seed: int, device: torch.device) -> None:
    """Sets the generators that dropout draws from, on the processor and on the device.

    `torch.manual_seed` sets those of all kinds of devices, and where there is none notes down the stack for each, at
    every call: a seventh of a small network's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":  # not run on a graphics card
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":  # nor on one of Apple's
        torch.mps.manual_seed(seed)
