"""Losses, by name. Each maps outputs (N, K) and labels (N,) to the loss of each picture (N,).

A loss also names the function that turns outputs into probabilities, for a network whose own loss is overridden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from pellucid.errors import UnknownNameError
from pellucid.training.setting_names import require_smoothing_fits


def cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """−log softmax(z)[y], for logits z."""
    return functional.cross_entropy(outputs, labels, reduction="none")


def squared_error(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Σₖ (zₖ − tₖ)² / 2 with one-hot targets t."""
    targets = functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return ((outputs - targets) ** 2).sum(dim=1) / 2


def hinge(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Σ over the other classes of max(0, 1 − z_y + zₖ) (Weston and Watkins 1999)."""
    margins = (1 - outputs.gather(1, labels[:, None]) + outputs).clamp(min=0)
    # The term of the label itself is max(0, 1) = 1 for every picture.
    return margins.sum(dim=1) - 1


def perceptron(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Σₖ max(0, −tₖ zₖ), with t = +1 for the label and −1 for the others: how far units are on the wrong side.

    With two classes the outputs are −z and z of one unit, both terms are equal, and the loss is their mean.
    """
    signs = 2 * functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype) - 1
    wrong = (-signs * outputs).clamp(min=0)
    return wrong.mean(dim=1) if outputs.shape[1] == 2 else wrong.sum(dim=1)


def radial_basis(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The y of the label + log(e⁻ʲ + Σₖ e⁻ʸᵏ), for outputs −y, with j = 0.1 (LeCun et al. 1998, equation 9).

    The term e⁻ʲ stands for pictures of no class ("rubbish"). The paper only requires that j is positive.
    """
    rubbish = outputs.new_full((len(outputs), 1), -0.1)
    penalty = torch.logsumexp(torch.cat([outputs, rubbish], dim=1), dim=1)
    return penalty - outputs.gather(1, labels[:, None])[:, 0]


@dataclass(frozen=True)
class Loss:
    """A loss and its properties.

    Attributes:
        per_sample: (outputs, labels) → the loss of each picture (N,).
        probabilities: turns outputs into probabilities: a key of `pellucid.inference.probabilities`.
        is_likelihood: whether minimising it calibrates these probabilities. If not, as for margin losses, a temperature
            is fitted on the validation pictures afterwards.
    """

    per_sample: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    probabilities: str
    is_likelihood: bool = True


LOSSES: dict[str, Loss] = {
    "cross-entropy": Loss(cross_entropy, "softmax"),
    "hinge": Loss(hinge, "softmax", is_likelihood=False),
    "perceptron": Loss(perceptron, "softmax", is_likelihood=False),
    "radial-basis": Loss(radial_basis, "softmax"),
    "squared-error": Loss(squared_error, "normalised"),
}


def find_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[name]


@dataclass(frozen=True)
class LossFunction:
    """(outputs, labels) → scalar: the mean of a loss over a batch, weighted by class weights (K,) if given.

    With label smoothing s, the target is 1 − s + s/K for the label and s/K for the other classes (Szegedy et al. 2016).
    """

    name: str
    weights: torch.Tensor | None = None
    smoothing: float = 0.0

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.name == "cross-entropy":
            return functional.cross_entropy(outputs, labels, weight=self.weights, label_smoothing=self.smoothing)
        values = self.per_sample(outputs, labels)
        if self.weights is None:
            return values.mean()
        return (values * self.weights[labels]).sum() / self.weights[labels].sum()

    def per_sample(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each picture (N,), without class weights or smoothing."""
        return LOSSES[self.name].per_sample(outputs, labels)


def loss_function(name: str, *, weights: torch.Tensor | None = None, smoothing: float = 0.0) -> LossFunction:
    """The loss of that name, with class weights (K,) and label smoothing.

    Raises:
        UnknownNameError: the name is unknown.
        UsageError: label smoothing with another loss than cross-entropy.
    """
    find_loss(name)
    require_smoothing_fits(name, smoothing)
    return LossFunction(name, weights, smoothing)


def batch_weight(labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Weight of a batch in a mean over several: its number of pictures, or the sum of their class weights; a scalar."""
    if weights is not None:
        return weights[labels].sum()
    return labels.new_full((), len(labels), dtype=torch.float32)  # `torch.tensor` would make a card wait for it


def balanced_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Class weights N / (K · nₖ): float32 (K,). K counts the classes that have pictures; the others get 0."""
    counts = torch.bincount(labels, minlength=classes).float()
    present = (counts > 0).sum()
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), torch.zeros_like(counts))
