"""Optimisers, by name: torch's fused functions, with weight decay on weights only.

The steps equal those of `torch.optim` to the last bit. They use its functional interface, because constructing one of
its classes imports `torch._dynamo`, which takes longer than a small training.
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
from pellucid.inference.device import fast_in_half
from pellucid.training.recipes import Recipe

Tensors = list[torch.Tensor]
Rate = float | torch.Tensor
"""A learning rate. On a graphics card it is a scalar there, float32, so that a recorded step reads each new value."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with the same settings.

    Attributes:
        parameters: the parameters.
        weight_decay: their weight decay.
        lr_scale: factor on their learning rate.
        is_hidden: whether they are weights of two or more dimensions before the output layer.
    """

    parameters: list[nn.Parameter]
    weight_decay: float
    lr_scale: float
    is_hidden: bool


class Optimizer:
    """Updates parameters by their gradients. A parameter without a gradient does not change.

    Attributes:
        STATE_NAMES: names of the tensors that it keeps per parameter.
        CAPTURABLE: whether a graphics card can record its step once and repeat it, so that it reads no value back.
        state: these tensors, by parameter and name.
    """

    STATE_NAMES: ClassVar[tuple[str, ...]] = ()
    CAPTURABLE: ClassVar[bool] = True

    def __init__(self, groups: list[ParameterGroup], recipe: Recipe) -> None:
        self.groups = groups
        self.recipe = recipe
        self.state: dict[nn.Parameter, dict[str, torch.Tensor]] = {}

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups for parameter in group.parameters]

    @torch.no_grad()
    def step(self, learning_rate: Rate) -> None:
        """Makes one step at that learning rate."""
        for group in self.groups:
            parameters = [parameter for parameter in group.parameters if parameter.grad is not None]
            if parameters:
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                self.update(group, parameters, gradients, learning_rate * group.lr_scale)

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        """Updates some parameters of a group at that learning rate."""
        raise NotImplementedError

    def states(self, parameters: list[nn.Parameter]) -> list[Tensors]:
        """For each name in `STATE_NAMES`, the tensors of the parameters; zeros at first."""
        for parameter in parameters:
            if parameter not in self.state:
                self.state[parameter] = {
                    name: torch.zeros((), device=parameter.device)
                    if name == "step"
                    else torch.zeros_like(parameter, requires_grad=False)
                    for name in self.STATE_NAMES
                }
        return [[self.state[parameter][name] for parameter in parameters] for name in self.STATE_NAMES]


class SGD(Optimizer):
    """Stochastic gradient descent, with Nesterov momentum if the momentum is not 0."""

    STATE_NAMES = ("momentum_buffer",)

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        momentum = self.recipe.momentum
        # Zeros are the right start: torch's first buffer is the first gradient, which is 0 · momentum + gradient.
        buffers: list[Any] = self.states(parameters)[0] if momentum else [None] * len(parameters)
        sgd(
            list(parameters), gradients, buffers, fused=True, foreach=False, weight_decay=group.weight_decay,
            momentum=momentum, lr=rate, dampening=0.0, nesterov=momentum > 0, maximize=False,
        )  # fmt: skip


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011)."""

    STATE_NAMES = ("sum", "step")
    CAPTURABLE = False  # torch reads its steps back

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        sums, steps = self.states(parameters)
        on_cpu = parameters[0].device.type == "cpu"
        adagrad(
            list(parameters), gradients, sums, steps, fused=on_cpu, foreach=not on_cpu, lr=float(rate),
            weight_decay=group.weight_decay, lr_decay=0.0, eps=1e-10, maximize=False,
        )  # fmt: skip


class RMSProp(Optimizer):
    """RMSProp (Hinton 2012), without momentum."""

    STATE_NAMES = ("square_avg", "step")

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        squares, steps = self.states(parameters)
        on_card = isinstance(rate, torch.Tensor) and rate.is_cuda
        rmsprop(
            list(parameters), gradients, squares, [], [], steps, foreach=True, lr=rate, alpha=0.99, eps=1e-8,
            weight_decay=group.weight_decay, momentum=0.0, centered=False, capturable=on_card,
        )  # fmt: skip


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); its weight decay is part of the gradient."""

    STATE_NAMES = ("exp_avg", "exp_avg_sq", "step")
    DECOUPLED: ClassVar[bool] = False

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        means, squares, steps = self.states(parameters)
        adam(
            list(parameters), gradients, means, squares, [], steps, fused=True, foreach=False, amsgrad=False,
            beta1=self.recipe.momentum, beta2=0.999, lr=rate, weight_decay=group.weight_decay, eps=1e-8,
            maximize=False, decoupled_weight_decay=self.DECOUPLED,
        )  # fmt: skip


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay."""

    DECOUPLED = True


class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for hidden weights, SGD for the others.

    The momentum of each hidden weight, as a matrix (outputs, inputs), is made nearly orthogonal before the step. The
    step is then equally long in every direction, so that common directions do not drown rare ones.

        M ← μ M + G,    W ← W − η √max(1, rows/columns) · orthogonal(G + μ M)

    With `normalise_kernels`, W is first rescaled to the norm √rows, and the factor with the square root is left out.
    This is for layers followed by a normalisation, where a larger norm of W only weakens its steps. Biases,
    normalisation layers and the output layer learn by SGD with Nesterov momentum `sgd_momentum`. Weight decay is
    decoupled: each step shrinks the parameters by the share `weight_decay` · learning rate / highest learning rate.
    """

    STATE_NAMES = ("momentum_buffer",)

    def update(self, group: ParameterGroup, parameters: list[nn.Parameter], gradients: Tensors, rate: Rate) -> None:
        recipe = self.recipe
        momentum = recipe.momentum if group.is_hidden else recipe.sgd_momentum
        (buffers,) = self.states(parameters)
        rescale = group.is_hidden and recipe.normalise_kernels
        shrink = 1 - group.weight_decay * rate / (group.lr_scale * recipe.learning_rate)
        if isinstance(rate, torch.Tensor):
            values: Tensors = list(parameters)
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(buffers, gradients)
            torch._foreach_add_(gradients, buffers, alpha=momentum)
            factors = [len(value) ** 0.5 / value.norm() if rescale else torch.as_tensor(shrink) for value in values]
            torch._foreach_mul_(values, factors)
            steps = gradients
            if group.is_hidden:
                steps = orthogonal_steps(gradients, scaled=not rescale, half=recipe.precision == "mixed")
            torch._foreach_mul_(steps, rate)
            torch._foreach_sub_(values, steps)
            return
        for parameter, buffer, gradient in zip(parameters, buffers, gradients, strict=True):
            buffer.mul_(momentum).add_(gradient)
            step = gradient.add(buffer, alpha=momentum)
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm() if rescale else shrink)
            if group.is_hidden:
                matrix = step.flatten(1)
                rows, columns = matrix.shape
                scale = 1.0 if rescale else max(1.0, rows / columns) ** 0.5
                step = (orthogonalise(matrix) * scale).view(step.shape)
            parameter.add_(step, alpha=-rate)


def orthogonalise(matrix: torch.Tensor, iterations: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Makes a matrix (R, C) nearly orthogonal: its singular values become roughly 0.5 to 1.5.

    A Newton–Schulz iteration of fifth order, with coefficients that are steep at zero (Jordan et al. 2024).

    Args:
        matrix: float32 (R, C), or several of one shape, (N, R, C).
        iterations: number of iterations.
        dtype: type of the matrix products. The result is float32.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    norm = x.norm() if x.ndim == 2 else torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    x = (x / (norm + 1e-7)).to(dtype)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


def orthogonal_steps(steps: Tensors, *, scaled: bool, half: bool) -> Tensors:
    """The steps of hidden weights, made nearly orthogonal as matrices (outputs, inputs); those of one shape together.

    Args:
        steps: one tensor of two or more dimensions per weight.
        scaled: whether each is multiplied by √max(1, rows/columns).
        half: whether the products are computed in bfloat16, if the device is faster in it.
    """
    dtype = torch.bfloat16 if half and fast_in_half(steps[0].device.type) else torch.float32
    matrices = [step.flatten(1) for step in steps]
    results: Tensors = [*steps]
    for rows, columns in dict.fromkeys((len(matrix), matrix.shape[1]) for matrix in matrices):
        which = [i for i, matrix in enumerate(matrices) if matrix.shape == (rows, columns)]
        together = orthogonalise(torch.stack([matrices[i] for i in which]), dtype=dtype)
        if scaled and rows > columns:
            together *= (rows / columns) ** 0.5
        for i, matrix in zip(which, together, strict=True):
            results[i] = torch.empty_like(steps[i]).copy_(matrix.reshape(steps[i].shape))
    return results


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "muon": Muon,
    "rmsprop": RMSProp,
    "sgd": SGD,
}


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The optimiser of a recipe, for all trainable parameters of a network.

    Raises:
        NetworkError: the network has no trainable parameter.
        UnknownNameError: the optimiser is unknown.
    """
    groups = parameter_groups(network.parameters(), recipe)
    if not groups:
        raise NetworkError(
            f"The network {type(network).__name__} has nothing to learn: none of its parameters is trainable. "
            f"Give it a layer with weights, or set requires_grad."
        )
    return find_optimizer(recipe.optimizer)(groups, recipe)


def find_optimizer(name: str) -> type[Optimizer]:
    """The optimiser of that name.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def parameter_groups(parameters: Iterable[nn.Parameter], recipe: Recipe) -> list[ParameterGroup]:
    """Splits parameters into hidden weights, the output layer's weights, and biases with normalisation parameters.

    The last weights are those of the output layer. The third group (of one dimension or none) has no weight decay,
    except with Muon, as in its source.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    weights = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    decay = recipe.weight_decay
    groups = [
        ParameterGroup(weights[:-1], decay, 1.0, is_hidden=True),
        ParameterGroup(weights[-1:], decay, recipe.head_lr_scale, is_hidden=False),
        ParameterGroup(others, decay if recipe.optimizer == "muon" else 0.0, recipe.bias_lr_scale, is_hidden=False),
    ]
    return [group for group in groups if group.parameters]
