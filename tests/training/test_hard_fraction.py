"""Learning from the hardest pictures of each batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pellucid
from pellucid.training.losses import LOSSES, loss_function
from pellucid.training.plan import make_plan
from pellucid.training.recipes import Recipe
from pellucid.training.rules import GradientDescent
from pellucid.training.training import learn


def rule(share: float, loss: str = "cross-entropy") -> GradientDescent:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))
    recipe = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0, hard_fraction=share)
    return GradientDescent(network, recipe, loss_function(loss))


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_is_that_on_the_pictures_with_the_largest_losses(name):
    inputs, labels = torch.randn(10, 1, 2, 2, generator=torch.Generator().manual_seed(1)), torch.arange(10) % 3
    ours, reference = rule(0.4, name), rule(1.0, name)
    reference.network.eval()
    with torch.no_grad():
        outputs = reference.network(inputs)
        losses = torch.stack([loss_function(name)(outputs[i : i + 1], labels[i : i + 1]) for i in range(10)])
    reference.network.train()
    kept = losses.argsort(descending=True)[:4].sort().values
    loss, right = ours.step(inputs, labels, 0.1)
    reference.step(inputs[kept], labels[kept], 0.1)
    for a, b in zip(ours.network.state_dict().values(), reference.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    torch.testing.assert_close(loss, losses.mean())
    assert right == (outputs.argmax(dim=1) == labels).sum(), "what is shown is of the whole batch"


@pytest.mark.parametrize("n", [2, 3, 5])
def test_two_pictures_at_least(n):
    rule(0.01).step(torch.randn(n, 1, 2, 2), torch.arange(n) % 3, 0.1)  # one alone has no batch statistics


def test_it_learns():
    data = pellucid.load("digits")
    found = learn(data, make_plan(data, "mlp", epochs=4, hard_fraction=0.5), progress=False)
    assert found.history.best()["validation_accuracy"] > 0.9
    assert all(0 <= row["train_accuracy"] <= 1 for row in found.history.rows)
