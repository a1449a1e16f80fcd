"""`Network`: the base class of all networks, with what they declare besides their layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import nn


class Network(nn.Module):
    """A network for pictures of a given shape (C, H, W) and number of classes K.

    `forward` maps float32 (N, C, H, W) to outputs float32 (N, K). By default the outputs are logits, trained by
    gradient descent on the cross-entropy; a subclass overrides what differs.

    Attributes:
        learning_rule: a key of `pellucid.training.rules`: `gradient`, or the network's own rule.
        loss: a key of `pellucid.training.losses`.
        probabilities: the mapping from outputs to probabilities: a key of `pellucid.inference.probabilities`.
        recipe: the settings in which its default recipe differs from the general one.
        notes: sentences for the user, such as "pads 28×28 to 32×32".
    """

    learning_rule: ClassVar[str] = "gradient"
    loss: ClassVar[str] = "cross-entropy"
    probabilities: ClassVar[str] = "softmax"
    recipe: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()

    def initialise_from(self, inputs: torch.Tensor) -> None:
        """Called with some training inputs, float32 (N, C, H, W), before the first step. Does nothing by default."""


@dataclass(frozen=True)
class Declaration:
    """The declarations of a network, with defaults for a module that declares nothing."""

    learning_rule: str = Network.learning_rule
    loss: str = Network.loss
    probabilities: str = Network.probabilities
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def declaration(module: nn.Module | type[nn.Module]) -> Declaration:
    """The declarations of any `nn.Module` or its class; missing ones have defaults.

    An attribute of another type, such as a layer called `loss`, is not a declaration.
    """
    defaults = Declaration()
    kinds: dict[str, type] = {"recipe": Mapping, "notes": tuple}
    declared: dict[str, Any] = {
        key: value for key in vars(defaults) if isinstance(value := getattr(module, key, None), kinds.get(key, str))
    }
    return replace(defaults, **declared)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
