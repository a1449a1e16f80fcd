from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid import insight
from pellucid.insight.layer_summary import COLUMNS
from pellucid.networks.catalogue import NETWORKS, create
from pellucid.records import Findings

# AlexNet has 61 million weights, which take a while to draw by lot: it is looked at by itself, once.
LIGHT = [name for name in NETWORKS if name != "alexnet"]


def rows(found: Findings) -> dict[str, dict]:
    return {row[1]: dict(zip(COLUMNS, row, strict=True)) for row in found["layers"].rows}


def test_lenet5_layer_by_layer(untrained):
    found = insight.summary(untrained("lenet5"))
    table = rows(found)
    assert list(table) == [
        "picture", "c1", "activation", "pool", "c3", "activation:2", "pool:2", "c5", "activation:3", "f6",
        "activation:4", "output",
    ]  # fmt: skip
    # By hand: numbers of the output times weights of a kernel.
    by_hand = {
        "c1": 28 * 28 * 6 * 25,
        "c3": 10 * 10 * 16 * 6 * 25,
        "c5": 400 * 120,
        "f6": 120 * 84,
        "output": 84 * 10,
    }
    assert by_hand == {"c1": 117_600, "c3": 240_000, "c5": 48_000, "f6": 10_080, "output": 840}
    assert {name: row["multiply-adds"] for name, row in table.items() if row["multiply-adds"]} == by_hand
    parameters = {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "output": 850}
    assert {name: row["parameters"] for name, row in table.items() if row["parameters"]} == parameters
    assert [name for name, row in table.items() if row["conv"] is not None] == ["c1", "c3"]
    assert table["c3"] == {
        "conv": 2,
        "layer": "c3",
        "kind": "convolution 5×5",
        "output": "16×10×10",
        "parameters": 2_416,
        "multiply-adds": 240_000,
        "sees": "14×14",
        "kB": 6.4,
    }
    assert table["c5"]["sees"] is None, "the whole picture"
    assert found["parameter_memory"].value == pytest.approx(61_706 * 4 / 1e6)
    outputs = 784 + 2 * 4704 + 1176 + 2 * 1600 + 400 + 2 * 120 + 2 * 84 + 10
    assert found["output_memory"].value == pytest.approx(outputs * 4 / 1e6, rel=1e-3)
    assert found["parameters"].value == 61_706
    assert found["multiply_adds"].value == 416_520
    assert "pads the pictures with zeros, from 28×28 to 32×32" in found["layers"].note
    assert found.title == "lenet5: 1×28×28 to 10 classes"
    assert Findings.from_json(found.to_json()) == found


@pytest.mark.parametrize("name", LIGHT)
def test_every_network_gives_a_table_whose_sums_are_right(untrained, name):
    entry = NETWORKS[name]
    found = insight.summary(untrained(name, entry.shape, entry.classes))
    module = create(name, entry.shape, entry.classes).eval()
    fixed = sum(one.numel() for one in module.parameters() if not one.requires_grad)
    assert found["parameters"].value == sum(row["parameters"] for row in rows(found).values())
    assert found["parameters"].value == entry.parameters + fixed
    with torch.no_grad(), FlopCounterMode(display=False) as mode:
        module(torch.zeros(1, *entry.shape))
    norms = sum(row["multiply-adds"] for row in rows(found).values() if row["kind"] == "batch norm")
    assert found["multiply_adds"].value == mode.get_total_flops() // 2 + norms


@pytest.mark.slow
def test_alexnet_counts_what_is_published(untrained):
    found = insight.summary(untrained("alexnet", (3, 224, 224), 1000))
    assert found["parameters"].value == 61_100_840
    assert found["multiply_adds"].value == 714_188_480  # 0.714 G, as torchvision's documentation has it: 0.71 GFLOPS


def test_layers_of_their_own_kind_count_what_is_known(untrained):
    found = insight.summary(untrained("lenet5-1998"))
    table = rows(found)
    assert table["s2"]["parameters"] == 12
    assert table["s2"]["multiply-adds"] is None
    assert "Multiply-adds are unknown, so not in the sum, for s2, s4." in found["layers"].note
    assert table["c3"]["kind"] == "PartialConvolution 5×5"
    assert table["c3"]["parameters"] == 1_516
    assert table["c3"]["multiply-adds"] == 240_000
    assert "Multiply-adds include the zeros of missing connections, which are computed too: c3." in found["layers"].note
    assert table["between layers"]["multiply-adds"] == 840  # the distances from the codes


class Odd(nn.Module):
    """Everything that is not usual: a weight of its own, shared and frozen layers, one that never runs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))
        self.same = nn.Linear(64, 64)
        self.nothing = nn.Identity()
        self.unused = nn.Linear(3, 3)
        self.idle = nn.ReLU()
        self.pair = Pair()
        self.output = nn.Linear(64, 10)
        self.output.requires_grad_(requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.nothing(x).flatten(1) * self.scale
        return self.output(self.pair(self.same(self.same(x)))[0])


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return x, None


def test_what_is_unusual_is_counted_once_and_nothing_is_lost(own):
    network = Odd()
    found = insight.summary(own(network), network)
    table = rows(found)
    assert table["same"]["parameters"] == 64 * 65
    assert table["same:2"]["parameters"] == 0
    assert table["same:2"]["multiply-adds"] == 64 * 64
    assert table["unused"]["kind"] == "dense, not run"
    assert table["unused"]["output"] is None
    assert table["Odd"] == {
        "conv": None,
        "layer": "Odd",
        "kind": "Odd, by itself",
        "output": None,
        "parameters": 64,
        "multiply-adds": None,
        "sees": None,
        "kB": None,
    }
    assert table["pair"]["output"] == "64"
    assert found["parameters"].value == sum(one.numel() for one in network.parameters())
    assert found["parameters"].note == "650 of them fixed"
    assert "Layers that change nothing or never run are omitted: 2." in found["layers"].note  # nothing, idle
    assert found.title.startswith("Odd: ")


def test_a_network_that_is_one_layer_is_called_by_its_class(own):
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(64, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ self.weight

    table = rows(insight.summary(own(Whole()), Whole()))
    assert list(table) == ["picture", "Whole"]
    assert (table["Whole"]["parameters"], table["Whole"]["multiply-adds"]) == (640, 640)


def test_attention_is_counted(own):
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.view(-1, 1, 8, 8)
            mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
            return self.output(mixed.flatten(1))

    table = rows(insight.summary(own(Attention()), Attention()))
    assert table["between layers"]["multiply-adds"] == 2 * 8 * 8 * 8


def test_transposed_convolutions_depthwise_ones_and_norms(own):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.Conv2d(4, 4, (3, 1), groups=4),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.Conv2d(4, 4, 3, groups=2, dilation=2, stride=(2, 1)),
        nn.LayerNorm(12),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )
    found = insight.summary(own(network), network)
    table = rows(found)
    assert [row["kind"] for row in table.values()] == [
        "input", "convolution 3×3", "group norm", "depthwise convolution 3×1", "transposed convolution 2×2, stride 2",
        "convolution in 2 groups 3×3, stride 2×1, dilation 2", "layer norm", "adaptive max pooling", "flatten", "dense",
    ]  # fmt: skip
    with torch.no_grad(), FlopCounterMode(display=False) as mode:
        network(torch.zeros(1, 1, 8, 8))
    norms = table["1"]["multiply-adds"] + table["5"]["multiply-adds"]
    assert norms == 4 * 64 + 4 * 4 * 12
    assert found["multiply_adds"].value == mode.get_total_flops() // 2 + norms


@pytest.mark.slow
def test_a_vision_transformer_counts_what_is_published(untrained):
    pytest.importorskip("timm")
    found = insight.summary(untrained("timm:vit_tiny_patch16_224", (3, 224, 224), 10))
    table = rows(found)
    # Twelve blocks, three heads, 197 tokens, 64 numbers each: queries with keys, and weights with values.
    assert table["between layers"]["multiply-adds"] == 12 * 2 * 3 * 197 * 197 * 64
    assert found["multiply_adds"].value == pytest.approx(1.26e9, rel=0.01)
