"""Optimisers: each learns, and weight decay is for weights alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pellucid.errors import NetworkError, UnknownNameError
from pellucid.training.losses import loss_function
from pellucid.training.optimizers import OPTIMIZERS, make_optimizer
from pellucid.training.recipes import Recipe
from pellucid.training.rules import Gradient

KINDS = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 4, 3))


def test_the_registry_has_them_all():
    assert OPTIMIZERS.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        assert type(make_optimizer(network(), Recipe(optimizer=name))) is kind


def test_an_unknown_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'adamw'"):
        make_optimizer(network(), Recipe(optimizer="adamww"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_for_weights_and_kernels_alone(name):
    module = network()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    optimizer = make_optimizer(module, Recipe(optimizer=name, weight_decay=0.5, learning_rate=0.1))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for label, parameter in module.named_parameters():
        moved = bool((parameter < 1).all())
        assert moved == (parameter.ndim > 1), label


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_reduces_the_loss(name):
    module = network()
    generator = torch.Generator().manual_seed(1)
    inputs, labels = torch.randn(12, 1, 4, 4, generator=generator), torch.arange(12) % 3
    rule = Gradient(module, Recipe(optimizer=name, weight_decay=0.0), loss_function("cross-entropy"))
    losses = [rule.step(inputs, labels, 0.02)[0].item() for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_settings_of_the_recipe_arrive():
    optimizer = make_optimizer(network(), Recipe(optimizer="sgd", learning_rate=0.3, momentum=0.7, weight_decay=0.2))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]
    assert all(
        group["lr"] == 0.3 and group["momentum"] == 0.7 and group["nesterov"] for group in optimizer.param_groups
    )
    plain = make_optimizer(network(), Recipe(optimizer="sgd", momentum=0.0))
    assert not plain.param_groups[0]["nesterov"]
    for name in ("adam", "adamw"):
        assert make_optimizer(network(), Recipe(optimizer=name, momentum=0.8)).param_groups[0]["betas"] == (0.8, 0.999)


def test_frozen_parameters_are_left_out():
    module = network()
    module[0].requires_grad_(requires_grad=False)
    held = [p for group in make_optimizer(module, Recipe()).param_groups for p in group["params"]]
    assert len(held) == 4
    module.requires_grad_(requires_grad=False)
    with pytest.raises(NetworkError, match="nothing to learn"):
        make_optimizer(module, Recipe())


def test_the_gradient_is_clipped():
    inputs, labels = 1000 * torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
    norms = []
    for clip in (None, 0.01):
        module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        rule = Gradient(module, Recipe(gradient_clip=clip), loss_function("cross-entropy"))
        rule.step(inputs, labels, 0.0)
        norms.append(torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item())
    assert norms[0] > 1
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


def test_the_learning_rate_is_that_of_the_step():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    rule = Gradient(module, Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0), loss_function("cross-entropy"))
    before = module[1].weight.detach().clone()
    rule.step(torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0]), 0.0)
    assert torch.equal(module[1].weight, before)
    rule.step(torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0]), 0.5)
    torch.testing.assert_close(module[1].weight.detach(), before - 0.5 * module[1].weight.grad)
