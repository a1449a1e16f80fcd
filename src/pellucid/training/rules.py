"""Learning rules, by name: how a network is updated after a batch.

A network declares its rule. Most use gradient descent; another rule is one more class in this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pellucid.errors import UnknownNameError, UsageError
from pellucid.inference.device import computing
from pellucid.networks.perceptron import Perceptron
from pellucid.training.losses import LossFunction, batch_weight
from pellucid.training.optimizers import Rate, make_optimizer
from pellucid.training.processes import current_group
from pellucid.training.recipes import Recipe


class Rule(Protocol):
    """Updates a network after a batch. `weights` are the class weights (K,) of the loss, if it has any.

    Attributes:
        unused_settings: settings of a recipe that it ignores, each with the value that describes what it does.
        not_captured: why a graphics card cannot record a step once and repeat it, as part of a sentence; else empty.
    """

    unused_settings: ClassVar[Mapping[str, Any]]

    @property
    def not_captured(self) -> str: ...

    def __init__(
        self, network: nn.Module, recipe: Recipe, loss: LossFunction, weights: torch.Tensor | None = None
    ) -> None: ...

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: Rate
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Learns from one preprocessed batch (N, C, H, W). Returns its mean loss and number correct before the step.

        If several processes share the batch, each passes its part, and gets both numbers for the whole batch.
        """
        ...

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """A block in which the network has the weights to validate and save, which may be an average."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """A copy of the state that it keeps between batches, besides the network."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores what `state` returned. The network already has its weights of that moment."""
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

    @property
    def not_captured(self) -> str:
        return "" if self.optimizer.CAPTURABLE else f"the optimiser {self.optimizer.recipe.optimizer} reads values back"

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: Rate
    ) -> tuple[torch.Tensor, torch.Tensor]:
        whole_batch = None
        if self.hard_fraction < 1:
            inputs, labels, whole_batch = self._select_hardest(inputs, labels)
        with computing(self.precision, inputs.device):
            outputs = self.network(inputs)
        outputs = outputs.float()
        loss = self.loss(outputs, labels)
        for parameter in self.network.parameters():
            parameter.grad = None
        loss.backward()
        mean, correct = whole_batch or (loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum())
        result = current_group().average_gradients(self.network, mean, batch_weight(labels, self.weights), correct)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step(learning_rate)
        if self.average is not None:
            self.average.update(on_device=isinstance(learning_rate, torch.Tensor))
        return result

    @torch.no_grad()
    def _select_hardest(
        self, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The pictures of a batch with the largest losses, and the mean loss and number correct of the whole batch.

        After Jiang et al. 2019, "Accelerating deep learning by focusing on the biggest losers" (arXiv:1910.00762). The
        selection costs a forward pass and saves the backward pass of the other pictures, which costs twice as much.
        With several processes, each selects from its own part.
        """
        modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()  # without updating running statistics, and without dropout
        with computing(self.precision, inputs.device):
            outputs = self.network(inputs).float()
        for module, mode in modes:
            module.training = mode
        losses = self.loss.per_sample(outputs, labels)
        # At least two, since batch normalisation takes averages; in their original order.
        count = min(len(labels), max(2, math.ceil(self.hard_fraction * len(labels))))
        indices = losses.topk(count).indices.sort().values
        whole_batch = (self.loss(outputs, labels), (outputs.argmax(dim=1) == labels).sum())
        return inputs[indices], labels[indices], whole_batch

    def evaluation_weights(self) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.applied()

    def state(self) -> dict[str, np.ndarray]:
        tensors = {
            f"{number}/{key}": value
            for number, parameter in enumerate(self.optimizer.parameters)
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.weights.items()}
        return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}

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
                # In the memory order of the parameter, which fused optimiser steps rely on.
                value = torch.empty_like(parameter, requires_grad=False, dtype=value.dtype).copy_(value)
            self.optimizer.state.setdefault(parameter, {})[key] = value.to(parameter.device)


class PerceptronRule:
    """Rosenblatt's rule, for `pellucid.networks.perceptron`: w ← w + η t x for each unit that is on the wrong side.

    The updates of a batch are summed. An averaged perceptron has the mean of its weights after every step so far, and
    goes on learning from the last ones.
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

    not_captured = "the perceptron rule counts its steps"
    _NAMES = ("weight", "bias", "total_weight", "total_bias", "steps")

    def __init__(
        self, network: nn.Module, recipe: Recipe, loss: LossFunction, weights: torch.Tensor | None = None
    ) -> None:  # the protocol has a recipe and weights, which this rule does not use
        del recipe, weights
        if not isinstance(network, Perceptron):
            raise UsageError(f"The perceptron rule trains the network perceptron only, not {type(network).__name__}.")
        self.network = network
        self.loss = loss
        self.weight = network.units.weight.detach().clone()
        self.bias = network.units.bias.detach().clone()
        self.total_weight, self.total_bias = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.steps = 0

    @torch.no_grad()
    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: Rate
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = inputs.flatten(1)
        z = x @ self.weight.T + self.bias
        units = z.shape[1]
        # A single unit fires for the second of two classes.
        targets = functional.one_hot(labels, units) if units > 1 else labels[:, None]
        signs = 2.0 * targets - 1
        updates = torch.where(signs * z <= 0, signs, 0.0)
        outputs = z if units > 1 else torch.cat([-z, z], dim=1)
        weight = batch_weight(labels, None)
        correct = (outputs.argmax(dim=1) == labels).sum()
        weight_update, bias_update, loss, weight, correct = current_group().all_reduce(
            [updates.T @ x, updates.sum(dim=0), self.loss(outputs, labels) * weight, weight, correct.float()]
        )
        self.weight += learning_rate * weight_update
        self.bias += learning_rate * bias_update
        self.steps += 1
        self.total_weight += self.weight
        self.total_bias += self.bias
        averaged = self.network.averaged
        self.network.units.weight.copy_(self.total_weight / self.steps if averaged else self.weight)
        self.network.units.bias.copy_(self.total_bias / self.steps if averaged else self.bias)
        return loss / weight, correct.long()

    def evaluation_weights(self) -> AbstractContextManager[None]:
        return nullcontext()  # the network already has the average

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
        UnknownNameError: the name is unknown.
    """
    if name not in RULES:
        raise UnknownNameError("learning rule", name, RULES)
    return RULES[name]


class WeightAverage:
    """The exponential moving average of all parameters and buffers (Polyak and Juditsky 1992): a ← d a + (1 − d) w.

    The decay of step t is at most (1 + t) / (10 + t), so that the random initial weights soon have no influence.

    Args:
        network: the network that is averaged.
        decay: the decay d, between 0 and 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        device = next((value.device for value in self.weights.values()), None)
        self.weights["steps"] = torch.zeros((), dtype=torch.int64, device=device)

    @torch.no_grad()
    def update(self, *, on_device: bool = False) -> None:
        """Adds the current weights to the average; `on_device` without reading the number of steps back."""
        steps: Any = self.weights["steps"].add_(1)
        current = self.network.state_dict()
        floats = [name for name, value in current.items() if value.is_floating_point()]
        averages, values = [self.weights[name] for name in floats], [current[name] for name in floats]
        if on_device:
            changes = [value - average for value, average in zip(values, averages, strict=True)]
            torch._foreach_mul_(changes, 1 - ((1 + steps) / (10 + steps)).clamp(max=self.decay))
            torch._foreach_add_(averages, changes)
        else:
            steps = steps.item()
            torch._foreach_lerp_(averages, values, 1 - min(self.decay, (1 + steps) / (10 + steps)))
        for name in current.keys() - set(floats):
            self.weights[name].copy_(current[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the network has the averaged weights; afterwards it has its own again."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict({name: self.weights[name] for name in own})
        try:
            yield
        finally:
            self.network.load_state_dict(own)
