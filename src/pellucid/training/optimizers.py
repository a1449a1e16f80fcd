"""Optimisers, by name: torch's own, in their fused form where there is one, with weight decay on weights alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from pellucid.errors import NetworkError, UnknownNameError
from pellucid.training.recipes import Recipe

Groups = list[dict[str, Any]]


def sgd(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov's momentum, where there is momentum."""
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True
    )


def adagrad(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """Adagrad (Duchi, Hazan and Singer 2011)."""
    return torch.optim.Adagrad(groups, lr=recipe.learning_rate, fused=True)


def rmsprop(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """RMSProp (Hinton 2012), here without momentum."""
    return torch.optim.RMSprop(groups, lr=recipe.learning_rate, foreach=True)


def adam(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015); its weight decay is part of the gradient."""
    return torch.optim.Adam(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=True)


def adamw(groups: Groups, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019): Adam with the weight decay apart from the gradient."""
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=True)


OPTIMIZERS: dict[str, Callable[[Groups, Recipe], torch.optim.Optimizer]] = {
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "sgd": sgd,
}


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe for all parameters of a network that may be changed.

    Raises:
        NetworkError: the network has no such parameter.
        UnknownNameError: there is no such optimiser.
    """
    groups = parameter_groups(network.parameters(), recipe.weight_decay)
    if not groups:
        raise NetworkError(
            f"The network {type(network).__name__} has nothing to learn: none of its parameters may be changed. "
            f"Give it a layer with weights, or set requires_grad."
        )
    return find_optimizer(recipe.optimizer)(groups, recipe)


def find_optimizer(name: str) -> Callable[[Groups, Recipe], torch.optim.Optimizer]:
    """What makes the optimiser of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> Groups:
    """Two groups: weights and kernels, which decay; biases and normalisation (one dimension or none), which do not."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    groups: Groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
