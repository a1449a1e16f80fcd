"""`Network`: what every network declares about itself, beside its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import nn


class Network(nn.Module):
    """A network for pictures, which adapts to their shape (C, H, W) and to the number of classes K.

    `forward` takes float32 (N, C, H, W) and gives outputs float32 (N, K). A subclass overrides what differs from the
    usual case: outputs that are logits, learned by gradient descent on the cross-entropy.

    Attributes:
        learning_rule: a key of `pellucid.training.rules`: `gradient`, or a rule of the network's own.
        loss: a key of `pellucid.training.losses`.
        probabilities: how outputs become probabilities: a key of `pellucid.inference.probabilities`.
        recipe: how its default training plan differs from the general one.
        notes: sentences that its user should know: "pads 28×28 to 32×32".
    """

    learning_rule: ClassVar[str] = "gradient"
    loss: ClassVar[str] = "cross-entropy"
    probabilities: ClassVar[str] = "softmax"
    recipe: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()

    def look_at(self, inputs: torch.Tensor) -> None:
        """Takes a look at some training inputs, float32 (N, C, H, W), before the first step; most need none."""


@dataclass(frozen=True)
class Declaration:
    """The declarations of a network, with defaults for a module that declares nothing."""

    learning_rule: str = Network.learning_rule
    loss: str = Network.loss
    probabilities: str = Network.probabilities
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def declaration(module: nn.Module | type[nn.Module]) -> Declaration:
    """The declarations of a module or its class. Any `nn.Module` works; missing declarations have defaults.

    An attribute that only happens to have such a name, as a layer called `loss`, declares nothing.
    """
    usual = Declaration()
    kinds: dict[str, type] = {"recipe": Mapping, "notes": tuple}
    declared: dict[str, Any] = {
        key: value for key in vars(usual) if isinstance(value := getattr(module, key, None), kinds.get(key, str))
    }
    return replace(usual, **declared)


def count_parameters(module: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
