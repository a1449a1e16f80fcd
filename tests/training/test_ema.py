"""The average of weights over steps."""

from __future__ import annotations

import torch
from torch import nn

import pellucid
from pellucid.training.plan import make_plan
from pellucid.training.rules import WeightAverage
from pellucid.training.training import learn


def test_the_average_covers_all_weights_and_buffers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = WeightAverage(network, 0.5)
    wanted = {name: value.clone().double() for name, value in network.state_dict().items()}
    for step in range(1, 5):
        for value in network.state_dict().values():
            value.add_(torch.ones_like(value))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            wanted[name] = decay * wanted[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
    for name, value in wanted.items():
        torch.testing.assert_close(average.weights[name].double(), value.double(), atol=1e-6, rtol=1e-6)


def test_the_network_has_its_own_weights_again_afterwards():
    network = nn.Linear(2, 2)
    average = WeightAverage(network, 0.9)
    with torch.no_grad():
        network.weight.add_(1)
    own = network.weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(network.weight, own - 1)
    assert torch.equal(network.weight, own)


def test_the_average_is_validated_and_saved():
    data = pellucid.load("digits")
    plain, averaged = (
        learn(data, make_plan(data, "logistic-regression", epochs=2, keep="last", ema_decay=decay), progress=False)
        for decay in (None, 0.9)
    )
    weights = [training.model.weights[next(iter(plain.model.weights))] for training in (plain, averaged)]
    assert (weights[0] != weights[1]).any()
    assert averaged.history.rows[0]["train_loss"] == plain.history.rows[0]["train_loss"], "the training is the same"
    assert averaged.history.rows[0]["validation_loss"] != plain.history.rows[0]["validation_loss"]
