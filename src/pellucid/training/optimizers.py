"""Optimisers, by name: torch's own arithmetic in its fused form, with weight decay on weights alone.

The steps are those of `torch.optim`, to the last bit, by its functional interface: making one of its classes imports
`torch._dynamo`, which takes longer than a small training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from pellucid.errors import NetworkError, UnknownNameError
from pellucid.training.recipes import Recipe

Tensors = list[torch.Tensor]


@dataclass(frozen=True)
class Group:
    """Parameters that are treated alike.

    Attributes:
        parameters: which.
        weight_decay: how strongly they are drawn to zero.
        rate: what the learning rate is multiplied by for them.
        hidden: whether they are weights or kernels of two or more dimensions, before the output layer.
    """

    parameters: list[nn.Parameter]
    weight_decay: float
    rate: float
    hidden: bool


class Optimizer:
    """Changes parameters by their gradients. A parameter without one stays as it is.

    Attributes:
        state: what it remembers of each parameter, by name.
    """

    REMEMBERS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, groups: list[Group], recipe: Recipe) -> None:
        self.groups = groups
        self.recipe = recipe
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups for parameter in group.parameters]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step at that rate."""
        for group in self.groups:
            parameters = [parameter for parameter in group.parameters if parameter.grad is not None]
            if parameters:
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                self.update(group, parameters, gradients, learning_rate * group.rate)

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        """Changes some parameters of a group."""
        raise NotImplementedError

    def remembered(self, parameters: list[nn.Parameter]) -> list[Tensors]:
        """For each name of `REMEMBERS`, what is remembered of each parameter; at first zeros."""
        for parameter in parameters:
            if parameter not in self.state:
                self.state[parameter] = {
                    name: torch.zeros((), device=parameter.device)
                    if name == "step"
                    else torch.zeros_like(parameter, requires_grad=False)
                    for name in self.REMEMBERS
                }
        return [[self.state[parameter][name] for parameter in parameters] for name in self.REMEMBERS]


class SGD(Optimizer):
    """Stochastic gradient descent with Nesterov's momentum, where there is momentum."""

    REMEMBERS = ("momentum_buffer",)

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        momentum = self.recipe.momentum
        # The first buffer is the first gradient, and zeros times the momentum plus a gradient are that.
        buffers: list[Any] = self.remembered(parameters)[0] if momentum else [None] * len(parameters)
        sgd(
            list(parameters), gradients, buffers, fused=True, foreach=False, weight_decay=group.weight_decay,
            momentum=momentum, lr=rate, dampening=0.0, nesterov=momentum > 0, maximize=False,
        )  # fmt: skip


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011)."""

    REMEMBERS = ("sum", "step")

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        sums, steps = self.remembered(parameters)
        adagrad(
            list(parameters), gradients, sums, steps, fused=True, foreach=False, lr=rate,
            weight_decay=group.weight_decay, lr_decay=0.0, eps=1e-10, maximize=False,
        )  # fmt: skip


class RMSProp(Optimizer):
    """RMSProp (Hinton 2012), here without momentum."""

    REMEMBERS = ("square_avg", "step")

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        squares, steps = self.remembered(parameters)
        rmsprop(
            list(parameters), gradients, squares, [], [], steps, foreach=True, lr=rate, alpha=0.99, eps=1e-8,
            weight_decay=group.weight_decay, momentum=0.0, centered=False,
        )  # fmt: skip


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); its weight decay is part of the gradient."""

    REMEMBERS = ("exp_avg", "exp_avg_sq", "step")
    DECOUPLED: ClassVar[bool] = False

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        means, squares, steps = self.remembered(parameters)
        adam(
            list(parameters), gradients, means, squares, [], steps, fused=True, foreach=False, amsgrad=False,
            beta1=self.recipe.momentum, beta2=0.999, lr=rate, weight_decay=group.weight_decay, eps=1e-8,
            maximize=False, decoupled_weight_decay=self.DECOUPLED,
        )  # fmt: skip


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019): Adam with the weight decay apart from the gradient."""

    DECOUPLED = True


class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for hidden weights; SGD for the others.

    The momentum of each hidden weight, as a matrix (outputs, inputs), is made nearly orthogonal before the step, so
    that the step is equally long in every direction: common directions do not drown rare ones.

        M ← μ M + G,    W ← W − η √max(1, rows/columns) · orthogonal(G + μ M)

    With `normalise_kernels`, W is first brought to the norm √rows, and the square root is left out: for layers that a
    normalisation follows, where the norm of W does nothing but weaken its steps. Biases, normalisation layers and the
    output layer learn by gradient descent with Nesterov's momentum `sgd_momentum`. Weight decay stands apart from the
    gradient: at each step, what decays shrinks by the share `weight_decay`, times the learning rate relative to its
    highest.
    """

    REMEMBERS = ("momentum_buffer",)

    def update(self, group: Group, parameters: list[nn.Parameter], gradients: Tensors, rate: float) -> None:
        recipe = self.recipe
        momentum = recipe.momentum if group.hidden else recipe.sgd_momentum
        (buffers,) = self.remembered(parameters)
        unit = group.hidden and recipe.normalise_kernels
        shrink = 1 - group.weight_decay * rate / (group.rate * recipe.learning_rate)
        for parameter, buffer, gradient in zip(parameters, buffers, gradients, strict=True):
            buffer.mul_(momentum).add_(gradient)
            step = gradient.add(buffer, alpha=momentum)
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm() if unit else shrink)
            if group.hidden:
                matrix = step.flatten(1)
                rows, columns = matrix.shape
                scale = 1.0 if unit else max(1.0, rows / columns) ** 0.5
                step = (orthogonalised(matrix) * scale).view(step.shape)
            parameter.add_(step, alpha=-rate)


def orthogonalised(matrix: torch.Tensor, iterations: int = 3) -> torch.Tensor:
    """The nearly orthogonal matrix nearest to a matrix (R, C): its singular values become roughly 0.5 to 1.5.

    A Newton–Schulz iteration of fifth order whose coefficients rise steeply at zero (Jordan et al. 2024); float32.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "muon": Muon,
    "rmsprop": RMSProp,
    "sgd": SGD,
}


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The optimiser of a recipe for all parameters of a network that may be changed.

    Raises:
        NetworkError: the network has no such parameter.
        UnknownNameError: there is no such optimiser.
    """
    groups = parameter_groups(network.parameters(), recipe)
    if not groups:
        raise NetworkError(
            f"The network {type(network).__name__} has nothing to learn: none of its parameters may be changed. "
            f"Give it a layer with weights, or set requires_grad."
        )
    return find_optimizer(recipe.optimizer)(groups, recipe)


def find_optimizer(name: str) -> type[Optimizer]:
    """The optimiser of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def parameter_groups(parameters: Iterable[nn.Parameter], recipe: Recipe) -> list[Group]:
    """Hidden weights and kernels; the last of them, which is the output layer's; biases and normalisation.

    The first two decay, the last (of one dimension or none) does not, but for Muon, whose source has it so.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    weights = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    decay = recipe.weight_decay
    groups = [
        Group(weights[:-1], decay, 1.0, hidden=True),
        Group(weights[-1:], decay, recipe.head_lr_scale, hidden=False),
        Group(others, decay if recipe.optimizer == "muon" else 0.0, recipe.bias_lr_scale, hidden=False),
    ]
    return [group for group in groups if group.parameters]
