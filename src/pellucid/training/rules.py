"""Learning rules, by name: how a network changes after a batch.

A network declares its rule. Most learn by gradient descent; a rule of another kind is one more class here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pellucid.errors import UnknownNameError, UsageError
from pellucid.inference.device import computing
from pellucid.networks.perceptron import Perceptron
from pellucid.training.ema import WeightAverage
from pellucid.training.losses import LossFunction, batch_weight
from pellucid.training.optimizers import make_optimizer
from pellucid.training.processes import current_group
from pellucid.training.recipes import Recipe


class Rule(Protocol):
    """How a network changes after a batch. `weights` (K,) are those that the loss gives the classes, where it does.

    Attributes:
        unused_settings: settings of a recipe that it ignores, each with the value that describes what it does.
    """

    unused_settings: ClassVar[Mapping[str, Any]]

    def __init__(
        self, network: nn.Module, recipe: Recipe, loss: LossFunction, weights: torch.Tensor | None = None
    ) -> None: ...

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Learns from one batch, preprocessed (N, C, H, W), and gives (the mean loss, how many were right) before it.

        Where several processes share the batch, each is given its part, and both numbers are of the whole.
        """
        ...

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Within it, the network has the weights that are measured and kept: an average, for some rules."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """A copy of what it remembers between batches, beside the network."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes up what `state` gave. The network has its weights of that moment already."""
        ...


class GradientDescent:
    """Gradient descent: backpropagation and an optimiser."""

    unused_settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self, network: nn.Module, recipe: Recipe, loss: LossFunction, weights: torch.Tensor | None = None
    ) -> None:
        self.network = network
        self.loss = loss
        self.weights = weights
        self.clip = recipe.gradient_clip
        self.hard_fraction = recipe.hard_fraction
        self.precision = recipe.precision
        self.optimizer = make_optimizer(network, recipe)
        self.average = None if recipe.ema_decay is None else WeightAverage(network, recipe.ema_decay)

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        everything = None
        if self.hard_fraction < 1:
            inputs, labels, everything = self._hardest(inputs, labels)
        with computing(self.precision, inputs.device):
            outputs = self.network(inputs)
        outputs = outputs.float()
        loss = self.loss(outputs, labels)
        for parameter in self.network.parameters():
            parameter.grad = None
        loss.backward()
        shown = everything or (loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum())
        found = current_group().average_gradients(self.network, shown[0], batch_weight(labels, self.weights), shown[1])
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step(learning_rate)
        if self.average is not None:
            self.average.update()
        return found

    @torch.no_grad()
    def _hardest(
        self, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The pictures of a batch with the largest losses, and of the whole batch the mean loss and how many are right.

        After Jiang et al. 2019, "Accelerating deep learning by focusing on the biggest losers" (arXiv:1910.00762). A
        look at all costs a forward pass; going back, which is left out for the others, costs twice as much. Of several
        processes, each takes the hardest of its own part.
        """
        modes = [(part, part.training) for part in self.network.modules()]
        self.network.eval()  # a look leaves running statistics alone, and drops nothing out
        with computing(self.precision, inputs.device):
            outputs = self.network(inputs).float()
        for part, mode in modes:
            part.training = mode
        losses = self.loss.per_sample(outputs, labels)
        # Two at least, since batch normalisation takes averages; in the order in which they stood.
        kept = losses.topk(min(len(labels), max(2, math.ceil(self.hard_fraction * len(labels))))).indices.sort().values
        whole = (self.loss(outputs, labels), (outputs.argmax(dim=1) == labels).sum())
        return inputs[kept], labels[kept], whole

    def evaluation_weights(self) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.applied()

    def state(self) -> dict[str, np.ndarray]:
        found = {
            f"{number}/{key}": value
            for number, parameter in enumerate(self.optimizer.parameters)
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }
        if self.average is not None:
            found |= {f"average/{name}": value for name, value in self.average.weights.items()}
        return {name: value.detach().cpu().numpy().copy() for name, value in found.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        parameters = self.optimizer.parameters
        for name, array in state.items():
            number, _, key = name.partition("/")
            value = torch.from_numpy(np.array(array))
            if number == "average":
                assert self.average is not None
                self.average.weights[key].copy_(value)
                continue
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # In the memory order of the parameter, which fused steps rely on.
                value = torch.empty_like(parameter, requires_grad=False, dtype=value.dtype).copy_(value)
            self.optimizer.state.setdefault(parameter, {})[key] = value.to(parameter.device)


class PerceptronRule:
    """Rosenblatt's rule, for `pellucid.networks.perceptron`: w ← w + η t x for each unit that is on the wrong side.

    A batch's mends are added up. Where the network is averaged, its weights are the mean of those after every step so
    far, and learning goes on from the last ones.
    """

    unused_settings: ClassVar[Mapping[str, Any]] = {
        "optimizer": "sgd",
        "bias_lr_scale": 1.0,
        "head_lr_scale": 1.0,
        "momentum": 0.0,
        "normalise_kernels": False,
        "weight_decay": 0.0,
        "gradient_clip": None,
        "label_smoothing": 0.0,
        "class_weights": None,
        "hard_fraction": 1.0,
        "ema_decay": None,
    }

    _NAMES = ("weight", "bias", "total_weight", "total_bias", "steps")

    def __init__(
        self, network: nn.Module, recipe: Recipe, loss: LossFunction, weights: torch.Tensor | None = None
    ) -> None:  # the recipe and the weights are the protocol's
        del recipe, weights
        if not isinstance(network, Perceptron):
            raise UsageError(
                f"The perceptron rule belongs to the perceptron; {type(network).__name__} has no such units."
            )
        self.network = network
        self.loss = loss
        self.weight = network.units.weight.detach().clone()
        self.bias = network.units.bias.detach().clone()
        self.total_weight, self.total_bias = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.steps = 0

    @torch.no_grad()
    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = inputs.flatten(1)
        z = x @ self.weight.T + self.bias
        units = z.shape[1]
        # A single unit fires for the second of two classes.
        wanted = functional.one_hot(labels, units) if units > 1 else labels[:, None]
        signs = 2.0 * wanted - 1
        mends = torch.where(signs * z <= 0, signs, 0.0)
        outputs = z if units > 1 else torch.cat([-z, z], dim=1)
        count = batch_weight(labels, None)
        right = (outputs.argmax(dim=1) == labels).sum()
        mend, bias, loss, count, right = current_group().all_reduce(
            [mends.T @ x, mends.sum(dim=0), self.loss(outputs, labels) * count, count, right.float()]
        )
        self.weight += learning_rate * mend
        self.bias += learning_rate * bias
        self.steps += 1
        self.total_weight += self.weight
        self.total_bias += self.bias
        averaged = self.network.averaged
        self.network.units.weight.copy_(self.total_weight / self.steps if averaged else self.weight)
        self.network.units.bias.copy_(self.total_bias / self.steps if averaged else self.bias)
        return loss / count, right.long()

    def evaluation_weights(self) -> AbstractContextManager[None]:
        return nullcontext()  # the network's weights are the average already

    def state(self) -> dict[str, np.ndarray]:
        tensors = (self.weight, self.bias, self.total_weight, self.total_bias, torch.tensor(self.steps))
        return {name: tensor.cpu().numpy().copy() for name, tensor in zip(self._NAMES, tensors, strict=True)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        device = self.weight.device
        self.weight, self.bias, self.total_weight, self.total_bias, steps = (
            torch.from_numpy(np.array(state[name])).to(device) for name in self._NAMES
        )
        self.steps = int(steps)


RULES: dict[str, type[Rule]] = {"gradient": GradientDescent, "perceptron": PerceptronRule}


def find_rule(name: str) -> type[Rule]:
    """The learning rule of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RULES:
        raise UnknownNameError("learning rule", name, RULES)
    return RULES[name]
