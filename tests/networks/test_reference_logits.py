"""The networks of the courses, built a second time from torch.nn alone as the courses describe them.

With the same weights, in the order in which they stand, both give the same logits.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.networks.catalogue import create


class LeNet5(nn.Module):
    """The course's: 32×32, two convolutions 5×5 with 2×2 pooling, dense 120, 84, K."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, stride=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
            nn.Conv2d(6, 16, kernel_size=5, stride=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] == 28:
            x = nn.ZeroPad2d(2)(x)
        return self.classifier(torch.flatten(self.features(x), 1))


def mlp(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for first, second in itertools.pairwise(sizes):
        layers += [nn.Linear(first, second), activation()]
    return nn.Sequential(*layers[:-1])


def convnet(channels: int, side: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 16, kernel_size=5, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
        nn.Conv2d(16, 32, kernel_size=5, padding=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
        nn.Flatten(),
        nn.Linear((side // 4) ** 2 * 32, classes),
    )


CASES = {
    "logistic-regression": ("logistic-regression", (1, 28, 28), {}, lambda: mlp(784, 10)),
    "logistic-regression, colour": ("logistic-regression", (3, 32, 32), {}, lambda: mlp(3072, 10)),
    "mlp": ("mlp", (1, 28, 28), {}, lambda: mlp(784, 500, 10)),
    "mlp, deeper": (
        "mlp",
        (1, 28, 28),
        {"widths": [300, 100], "activation": "tanh", "dropout": 0.5},
        lambda: mlp(784, 300, 100, 10, activation=nn.Tanh),
    ),
    "lenet5": ("lenet5", (1, 28, 28), {}, lambda: LeNet5(1, 10)),
    "lenet5, colour": ("lenet5", (3, 32, 32), {}, lambda: LeNet5(3, 10)),
    "convnet": ("convnet", (1, 28, 28), {}, lambda: convnet(1, 28, 10)),
    "convnet, colour": ("convnet", (3, 32, 32), {}, lambda: convnet(3, 32, 10)),
}


# Dropout is random while a network learns; that it does nothing afterwards is what is compared.
@pytest.mark.parametrize(
    ("case", "training"), [(case, False) for case in CASES] + [(case, True) for case in CASES if case != "mlp, deeper"]
)
def test_the_same_weights_give_the_same_logits(case, training):
    name, shape, settings, build_reference = CASES[case]
    torch.manual_seed(5)
    ours, theirs = create(name, shape, 10, settings), build_reference()
    given = list(ours.state_dict().values())
    wanted = theirs.state_dict()
    assert [tensor.shape for tensor in given] == [tensor.shape for tensor in wanted.values()]
    for name, tensor in ours.state_dict().items():
        # Of both signs, and no two layers alike, so that every activation has something to cut off.
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point():
            tensor.normal_(std=tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 1)
    theirs.load_state_dict(dict(zip(wanted, given, strict=True)))
    inputs = torch.randn(4, *shape)
    ours.train(training)
    theirs.train(training)
    with torch.no_grad():
        found, expected = ours(inputs), theirs(inputs)
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_zeros_around_a_digit_are_said_and_are_zeros():
    ours = create("lenet5", (1, 28, 28), 10)
    assert ours.notes == ("lenet5 pads the pictures with zeros, from 28×28 to 32×32.",)
    wide = create("lenet5", (1, 32, 32), 10)
    assert wide.notes == ()
    wide.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 1, 28, 28)
    padded = torch.from_numpy(np.pad(inputs.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2))))
    torch.testing.assert_close(ours(inputs), wide(padded))


def test_dropout_works_only_while_it_learns():
    network = create("mlp", (1, 8, 8), 3, {"dropout": 0.5})
    inputs = torch.randn(2, 1, 8, 8)
    assert not torch.equal(network(inputs), network(inputs))
    network.eval()
    assert torch.equal(network(inputs), network(inputs))
