"""Exponential moving average (EMA) of a network's weights, which often scores better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


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
        self.weights["steps"] = torch.zeros((), dtype=torch.int64)

    @torch.no_grad()
    def update(self) -> None:
        """Adds the current weights to the average."""
        steps = self.weights["steps"].add_(1).item()
        decay = min(self.decay, (1 + steps) / (10 + steps))
        current = self.network.state_dict()
        floats = [name for name, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.weights[name] for name in floats], [current[name] for name in floats], 1 - decay)
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
