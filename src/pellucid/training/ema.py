"""An average of a network's weights over its steps, which is often better than the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """The exponential average of all parameters and buffers (Polyak and Juditsky 1992): a ← d a + (1 − d) w.

    It begins as an ordinary mean: the decay of step t is at most (1 + t) / (10 + t), so that what the network was at
    random is soon forgotten.

    Args:
        network: whose weights.
        decay: the share d that the average keeps at each step, 0 to 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.weights["steps"] = torch.zeros((), dtype=torch.int64)

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights of this moment in."""
        steps = self.weights["steps"].add_(1).item()
        decay = min(self.decay, (1 + steps) / (10 + steps))
        now = self.network.state_dict()
        floats = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.weights[name] for name in floats], [now[name] for name in floats], 1 - decay)
        for name in now.keys() - set(floats):
            self.weights[name].copy_(now[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the network has the average; afterwards its own weights again."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict({name: self.weights[name] for name in own})
        try:
            yield
        finally:
            self.network.load_state_dict(own)
