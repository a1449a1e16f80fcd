"""Initialisations of dense and convolutional layers, by name. Biases start at zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from pellucid.errors import UnknownNameError

INITIALISATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    # Var(w) = 2 / (fan in + fan out): keeps the variance through tanh layers (Glorot and Bengio 2010).
    "xavier-normal": nn.init.xavier_normal_,
    "xavier-uniform": nn.init.xavier_uniform_,
    # Var(w) = 2 / fan in: the same for ReLU layers (He et al. 2015).
    "kaiming-normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "kaiming-uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    # Var(w) = 1 / fan in (LeCun et al. 1998).
    "lecun-normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    # Keeps norms, forwards and backwards (Saxe, McClelland and Ganguli 2014).
    "orthogonal": nn.init.orthogonal_,
    # Shows why it does not work: every unit of a layer then learns the same weights.
    "zeros": nn.init.zeros_,
}


def initialise(network: nn.Module, name: str) -> None:
    """Draws the weights of all dense and convolutional layers from torch's generator; biases become zero.

    Raises:
        UnknownNameError: the name is unknown.
    """
    draw = find_initialisation(name)
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def find_initialisation(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The initialisation of that name.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in INITIALISATIONS:
        raise UnknownNameError("initialisation", name, INITIALISATIONS)
    return INITIALISATIONS[name]
