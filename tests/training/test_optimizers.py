"""Optimisers: each steps as torch's own, learns, and lets weight decay alone what it should."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from pellucid.errors import NetworkError, UnknownNameError
from pellucid.training.losses import loss_function
from pellucid.training.optimizers import OPTIMIZERS, make_optimizer, orthogonalise, parameter_groups
from pellucid.training.recipes import Recipe
from pellucid.training.rules import GradientDescent

REFERENCES = {
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.8, nesterov=True, fused=True),
    "adagrad": lambda groups: torch.optim.Adagrad(groups, fused=True),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, foreach=True),
    "adam": lambda groups: torch.optim.Adam(groups, betas=(0.8, 0.999), fused=True),
    "adamw": lambda groups: torch.optim.AdamW(groups, betas=(0.8, 0.999), fused=True),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 4, 3))


def test_all_but_muon_have_a_reference_in_torch():
    assert OPTIMIZERS.keys() - REFERENCES.keys() == {"muon"}


@pytest.mark.parametrize("momentum", [0.8, 0.0])
@pytest.mark.parametrize("name", REFERENCES)
def test_steps_are_those_of_torch_to_the_last_bit(name, momentum):
    ours, theirs = network(), network()
    recipe = Recipe(optimizer=name, momentum=momentum, weight_decay=0.1)
    optimizer = make_optimizer(ours, recipe)
    weights = [p for p in theirs.parameters() if p.ndim > 1]
    others = [p for p in theirs.parameters() if p.ndim <= 1]
    reference = REFERENCES[name]([{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}])
    for group in reference.param_groups:
        if "momentum" in group:
            group["momentum"], group["nesterov"] = (momentum, momentum > 0) if name == "sgd" else (0, False)
        if "betas" in group:
            group["betas"] = (momentum, 0.999)
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        rate = 0.01 * (step + 1)
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        for group in reference.param_groups:
            group["lr"] = rate
        optimizer.step(rate)
        reference.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_making_one_does_not_import_torch_dynamo():
    code = (
        "import sys, torch; from torch import nn; from pellucid.training.optimizers import *\n"
        "from pellucid.training.recipes import Recipe\n"
        "for name in OPTIMIZERS:\n"
        "    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))\n"
        "    optimizer = make_optimizer(net, Recipe(optimizer=name)); net(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step(0.1)\n"
        "assert 'torch._dynamo' not in sys.modules, 'it takes longer to import than a small training'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'adamw'"):
        make_optimizer(network(), Recipe(optimizer="adamww"))


@pytest.mark.parametrize("name", REFERENCES)
def test_weight_decay_is_for_weights_and_kernels_alone(name):
    module = network()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    optimizer = make_optimizer(module, Recipe(optimizer=name, weight_decay=0.5))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    for label, parameter in module.named_parameters():
        moved = bool((parameter < 1).all())
        assert moved == (parameter.ndim > 1), label


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_reduces_the_loss(name):
    module = network()
    generator = torch.Generator().manual_seed(1)
    inputs, labels = torch.randn(12, 1, 4, 4, generator=generator), torch.arange(12) % 3
    rule = GradientDescent(module, Recipe(optimizer=name, weight_decay=0.0), loss_function("cross-entropy"))
    losses = [rule.step(inputs, labels, 0.02)[0].item() for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_a_gradient_stays(name):
    module = network()
    optimizer = make_optimizer(module, Recipe(optimizer=name, weight_decay=0.5))
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer.step(0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_rates_of_biases_and_of_the_output_layer():
    module = network()
    recipe = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0, bias_lr_scale=3.0, head_lr_scale=5.0)
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimizer = make_optimizer(module, recipe)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.1)
    moved = {name: round((before[name] - parameter).mean().item(), 5) for name, parameter in module.named_parameters()}
    assert moved == {"0.weight": 0.1, "0.bias": 0.3, "1.weight": 0.3, "1.bias": 0.3, "3.weight": 0.5, "3.bias": 0.3}


def test_the_newton_schulz_iteration_makes_singular_values_alike():
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 40), (40, 8), (16, 16)):
        matrix = torch.randn(shape, generator=generator)
        u, s, v = torch.linalg.svd(orthogonalise(matrix, iterations=5), full_matrices=False)
        assert s.min() > 0.3
        assert s.max() < 1.6
        # The directions are those of the matrix: with singular values of 1 it would be its polar factor.
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        torch.testing.assert_close((u @ v - left @ right).abs().max(), torch.tensor(0.0), atol=2e-3, rtol=0)


@pytest.mark.parametrize("unit", [False, True])
def test_muon_follows_its_formula(unit):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 4, bias=False), nn.Linear(4, 3))
    recipe = Recipe(
        optimizer="muon", momentum=0.5, sgd_momentum=0.25, weight_decay=0.1, normalise_kernels=unit, learning_rate=0.2
    )
    optimizer = make_optimizer(module, recipe)
    wanted = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    memory = {name: torch.zeros_like(value) for name, value in wanted.items()}
    for rate in (0.2, 0.1):
        for name, parameter in module.named_parameters():
            gradient = torch.randn_like(parameter)
            parameter.grad = gradient.clone()
            hidden = name == "0.weight"
            momentum = 0.5 if hidden else 0.25
            memory[name] = momentum * memory[name] + gradient
            step = gradient + momentum * memory[name]
            value = wanted[name]
            if hidden:
                step = orthogonalise(step)
                if unit:
                    value = value * 4**0.5 / value.norm()
            if not (hidden and unit):
                value = value * (1 - 0.1 * rate / 0.2)
            wanted[name] = value - rate * step
        optimizer.step(rate)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.detach(), wanted[name])


def test_frozen_parameters_are_left_out():
    module = network()
    module[0].requires_grad_(requires_grad=False)
    assert len(make_optimizer(module, Recipe()).parameters) == 4
    assert [group.is_hidden for group in parameter_groups(module.parameters(), Recipe())] == [False, False]
    module.requires_grad_(requires_grad=False)
    with pytest.raises(NetworkError, match="nothing to learn"):
        make_optimizer(module, Recipe())


def test_the_gradient_is_clipped():
    inputs, labels = 1000 * torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
    norms = []
    for clip in (None, 0.01):
        module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        rule = GradientDescent(module, Recipe(gradient_clip=clip), loss_function("cross-entropy"))
        rule.step(inputs, labels, 0.0)
        norms.append(torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item())
    assert norms[0] > 1
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


def test_the_learning_rate_is_that_of_the_step():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    rule = GradientDescent(
        module, Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0), loss_function("cross-entropy")
    )
    before = module[1].weight.detach().clone()
    rule.step(torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0]), 0.0)
    assert torch.equal(module[1].weight, before)
    rule.step(torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0]), 0.5)
    torch.testing.assert_close(module[1].weight.detach(), before - 0.5 * module[1].weight.grad)
