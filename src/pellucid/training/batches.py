"""The batches of a training: whole batches of pictures in memory or mapped, without work per sample."""

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
    """Training or validation pictures: uint8 (N, C, H, W) with labels int64 (N,), on the device.

    Pictures that are larger than memory stay mapped; each batch goes to the device when it is needed.
    """

    pictures: torch.Tensor | MappedPictures
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def batch_bounds(n: int, batch_size: int) -> list[int]:
    """Bounds of the fewest batches of at most `batch_size` that n pictures fit into; sizes differ by at most one.

    No picture is left out, and there is no small last batch, whose pictures would weigh more.
    """
    steps = math.ceil(n / batch_size)
    return [i * n // steps for i in range(steps + 1)]


class Batches:
    """The batches of each epoch: pictures in random order, augmented and normalised, with their learning rate."""

    def __init__(self, examples: Examples, preprocessing: Preprocessing, recipe: Recipe, seed: int) -> None:
        self.examples = examples
        self.preprocessing = preprocessing
        self.recipe = recipe
        self.seed = seed
        self.bounds = batch_bounds(len(examples), recipe.batch_size)
        self.augment = Augmenter(recipe.augmentation, len(examples), seed, examples.labels.device)
        self.group = current_group()
        smallest = min(last - first for first, last in pairwise(self.bounds))
        if smallest < self.group.size:
            raise UsageError(
                f"A batch of {smallest} pictures cannot be shared by {self.group.size} processes. Give a larger batch "
                f"size (--batch-size), or start fewer processes."
            )

    @property
    def per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return len(self.bounds) - 1

    def size(self, index: int) -> int:
        """Number of pictures in a batch, in all processes together; `index` counts from 0 within an epoch."""
        return self.bounds[index + 1] - self.bounds[index]

    def epoch(self, epoch: int, done: int = 0) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, float]]:
        """Yields (step, inputs (B, C, H, W), labels (B,), learning rate) for an epoch counted from 1.

        The first `done` batches are skipped without any work. The step is counted from 1 over the whole training. With
        several processes, each gets its own part of each batch.
        """
        for step, indices, rate in self.order(epoch, done):
            inputs, labels = self.load(indices)
            self.seed_dropout(step)
            yield step, inputs, labels, rate

    def order(self, epoch: int, done: int = 0) -> Iterator[tuple[int, torch.Tensor, float]]:
        """Yields (step, indices of the pictures (B,), learning rate), as `epoch` does, without loading any picture."""
        device = self.examples.labels.device
        order = torch.from_numpy(epoch_order(self.seed, epoch, len(self.examples))).to(device)
        self.augment.begin_epoch(epoch)
        for i, (first, last) in list(enumerate(pairwise(self.bounds)))[done:]:
            step = (epoch - 1) * self.per_epoch + i
            yield (
                step + 1,
                order[slice(*self.group.shard(first, last))],
                learning_rate(self.recipe, step, self.per_epoch),
            )

    def load(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (B, C, H, W), augmented for the epoch that began last, and labels (B,) of the pictures `indices`."""
        pictures = gather(self.examples.pictures, indices).to(self.examples.labels.device)
        return normalise(self.augment(pictures, indices), self.preprocessing), self.examples.labels[indices]

    def seed_dropout(self, step: int) -> None:
        """Seeds torch's generator, for the dropout of a step counted from 1, from (seed, step).

        With several processes it is (seed, step, rank).
        """
        rank = self.group.rank
        _seed(named_seed(self.seed, "dropout", step - 1, *([rank] if rank else [])), self.examples.labels.device)


def _seed(seed: int, device: torch.device) -> None:
    """Seeds the generators that dropout draws from, on the CPU and on the device.

    `torch.manual_seed` seeds the generators of all kinds of devices, and for each kind that is missing it records the
    stack at every call, which costs a seventh of a small network's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":  # not tested on an Apple GPU
        torch.mps.manual_seed(seed)
