"""Learning rules, by name: how a network changes after a batch.

A network declares its rule. Most learn by gradient descent; a rule of another kind is one more class here.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from pellucid.errors import UnknownNameError
from pellucid.training.losses import LossFunction
from pellucid.training.optimizers import make_optimizer
from pellucid.training.recipes import Recipe


class Rule(Protocol):
    """How a network changes after a batch."""

    def __init__(self, network: nn.Module, recipe: Recipe, loss: LossFunction) -> None: ...

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Learns from one batch, preprocessed (N, C, H, W), and gives (the mean loss, the outputs (N, K)) before it."""
        ...


class Gradient:
    """Gradient descent: backpropagation and an optimiser."""

    def __init__(self, network: nn.Module, recipe: Recipe, loss: LossFunction) -> None:
        self.network = network
        self.loss = loss
        self.clip = recipe.gradient_clip
        self.optimizer = make_optimizer(network, recipe)

    def step(
        self, inputs: torch.Tensor, labels: torch.Tensor, learning_rate: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        outputs = self.network(inputs)
        loss = self.loss(outputs, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()
        return loss.detach(), outputs.detach()


RULES: dict[str, type[Rule]] = {"gradient": Gradient}


def find_rule(name: str) -> type[Rule]:
    """The learning rule of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RULES:
        raise UnknownNameError("learning rule", name, RULES)
    return RULES[name]
