"""The graph of what a network computes, and what each of its numbers sees of the picture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.inference.tracing import trace
from pellucid.insight.flow import flow, receptive_fields
from pellucid.insight.receptive_field import Field
from pellucid.networks.catalogue import create


def test_lenet5_is_a_chain_in_the_order_of_its_forward():
    found = flow(create("lenet5", (1, 28, 28), 10).eval(), torch.zeros(1, 1, 28, 28))
    assert [node.name for node in found.nodes] == [
        "picture", "pad", "c1", "activation", "pool", "c3", "activation:2", "pool:2", "flatten", "c5", "activation:3",
        "f6", "activation:4", "output",
    ]  # fmt: skip
    assert [node.sources for node in found.nodes] == [[], *([i] for i in range(13))]
    assert found.nodes[2].shape == (6, 28, 28)
    assert found.nodes[2].parameters == 156
    assert tuple(found.output.shape) == (1, 10)


class Branches(nn.Module):
    """A shortcut, a layer that runs twice, an operation in place, and a question that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(2, 2, 3, padding=1)
        self.head = nn.Linear(2 * 64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.conv(x))
        assert x.abs().sum() >= 0
        shortcut = x
        x = self.mix(self.mix(x)) + shortcut
        x += 1
        return self.head(torch.cat([x[:, :1], x[:, 1:]], dim=1).flatten(1))


def test_branches_meet_where_they_are_added_and_questions_are_left_out():
    found = flow(Branches().eval(), torch.zeros(1, 1, 8, 8))
    names = [node.name for node in found.nodes]
    assert names[:7] == ["picture", "conv", "act", "mix", "mix:2", "add", "add"]
    assert "abs" not in names
    assert "sum" not in names
    assert found.nodes[5].sources == [2, 4]
    assert found.nodes[names.index("cat")].sources == [7, 8]
    assert [node.path[0][1] for node in found.nodes[1:]] == ["Branches"] * (len(names) - 1)


def seen_of(network: nn.Module, shape: tuple[int, int, int], layer: str) -> tuple[int, int]:
    """The first and the last row of the picture that the middle unit of a layer depends on: a row that is no number
    makes all that depends on it none."""
    given: list[torch.Tensor] = []
    part = dict(network.named_modules())[layer.partition(":")[0]]
    part.register_forward_hook(lambda _, __, output: given.append(output))
    time = int(layer.partition(":")[2] or 1)
    pictures = torch.zeros(shape[1], *shape)
    for row in range(shape[1]):
        pictures[row, :, row] = math.nan
    with torch.no_grad():
        network(pictures)
    output = given[time - 1]
    middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2].isnan().any(dim=1).nonzero().flatten()
    return int(middle.min()), int(middle.max()) + 1


class Odd(nn.Module):
    """Dilation, strides, paddings of all kinds, pooling of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 2, 3, padding="same", dilation=2)
        self.b = nn.AvgPool2d(3, 2, padding=1)
        self.c = nn.Conv2d(2, 2, 5, stride=2, padding=(2, 1))
        self.d = nn.MaxPool2d(2, stride=1)
        self.e = nn.LPPool2d(2, 2)
        self.f = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.d(self.c(self.b(functional.leaky_relu(self.a(functional.pad(x, (1, 0, 2, 1)))))))
        x = self.f(self.e(x)[:, :, ::2, ::2])
        return self.head(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["odd", "lenet5", "resnet20"])
def test_what_a_unit_sees_is_what_it_depends_on(name):
    shape = {"odd": (1, 48, 48), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32)}[name]
    torch.manual_seed(0)
    network = (Odd() if name == "odd" else create(name, shape, 10)).eval()
    fields = receptive_fields(network, shape)
    spatial = [layer for layer in trace(network, shape).layers if layer.spatial]
    assert set(fields) == {layer.name for layer in spatial}
    for layer in spatial:
        assert layer.output_shape is not None
        top, left, bottom, right = fields[layer.name].of(layer.output_shape[1] // 2, layer.output_shape[2] // 2)
        assert (max(top, 0), min(bottom, shape[1])) == seen_of(network, shape, layer.name), layer.name
        assert right - left == fields[layer.name].reach[1]


def test_what_looks_at_all_places_sees_the_whole_picture():
    class Squeeze(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 2, 3)
            self.weigh = nn.Conv2d(2, 2, 1)
            self.last = nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.last(x * torch.sigmoid(self.weigh(x.mean((2, 3), keepdim=True)))).flatten(1)

    assert receptive_fields(Squeeze().eval(), (1, 8, 8)) == {"first": Field((0, 0), (3, 3), (1, 1))}


def test_branches_out_of_step_have_no_common_field():
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coarse, self.fine = nn.Conv2d(1, 1, 2, stride=2), nn.Conv2d(1, 1, 5)
            self.after = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.after(self.coarse(x) + self.fine(x)).flatten(1)

    assert set(receptive_fields(Steps().eval(), (1, 8, 8))) == {"coarse", "fine"}


@pytest.mark.parametrize("index", [(slice(None), slice(None), 0), (slice(None), slice(None), slice(-4, None))])
def test_a_part_that_is_cut_out_otherwise_is_not_known(index):
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.more = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)[index]
            return self.more(x if x.ndim == 4 else x.unsqueeze(2)).flatten(1)

    assert set(receptive_fields(Cut().eval(), (1, 8, 8))) == {"conv"}
