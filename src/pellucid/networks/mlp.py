"""The multi-layer perceptron."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.networks.arithmetic import activation as make_activation
from pellucid.networks.network import Network


class MLP(Network):
    """A multi-layer perceptron: fully connected layers with activations between them.

    Formula:
        a₀ = x;   aᵢ = h(Wᵢ aᵢ₋₁ + bᵢ);   logits = W a + b.   Without h, all layers together are one linear layer.

    Shapes:
        (N, C, H, W) → flatten (N, D) → widths … → (N, K).   784-500-10 on MNIST: 784·500 + 500 + 500·10 + 10 = 397,510.

    Args:
        shape: (C, H, W) of the pictures.
        classes: K.
        widths: number of units of each hidden layer: `500` or `[500, 100]`.
        activation: relu, leaky-relu, sigmoid, tanh, gelu or silu.
        dropout: the dropout rate of the hidden units, from 0 to below 1.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986; ReLU after Nair
        and Hinton 2010.
    Good for: small pictures, when training must be quick. It ignores that neighbouring pixels belong together.
    """

    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 100,
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "weight_decay": 0.0,
    }

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: int | Sequence[int] = (500,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [widths] if isinstance(widths, int) else list(widths)
        if not all(isinstance(width, int) and width >= 1 for width in widths):
            raise UsageError(
                f"The widths of an MLP must be integers of at least 1, as in 500,100; given: {str(widths)[:100]}."
            )
        if not 0 <= dropout < 1:
            raise UsageError(f"The dropout rate must be from 0 to below 1; given: {dropout}.")
        layers: list[nn.Module] = [nn.Flatten()]
        size = math.prod(shape)
        for width in widths:
            layers += [nn.Linear(size, width), make_activation(activation)]
            if dropout:
                layers.append(nn.Dropout(dropout))
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
