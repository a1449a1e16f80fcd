from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from pellucid import insight
from pellucid.inference import layer_kinds
from pellucid.insight.size_arithmetic import COLUMNS, _step
from pellucid.networks.arithmetic import output_size, reach
from pellucid.networks.catalogue import NETWORKS


def rows(found) -> list[dict]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in found["sizes"].rows]


def only(layer: nn.Module, own, shape=(1, 28, 28)) -> list[dict]:
    """The arithmetic of one layer."""
    network = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(10))
    network(torch.zeros(1, *shape))
    return rows(insight.sizes(own(network, shape), network))


def test_lenet5_worked_out(untrained):
    found = insight.sizes(untrained("lenet5"))
    assert [(row["layer"], row["direction"], row["arithmetic"], row["O"]) for row in rows(found)] == [
        ("c1", "both", "(32 − 5 + 2·0) / 1 + 1 = 28", 28),
        ("pool", "both", "(28 − 2 + 2·0) / 2 + 1 = 14", 14),
        ("c3", "both", "(14 − 5 + 2·0) / 1 + 1 = 10", 10),
        ("pool:2", "both", "(10 − 2 + 2·0) / 2 + 1 = 5", 5),
    ]
    assert found["sizes"].note.startswith("O = (W − F + 2P) / S + 1: input size W, kernel size F, ")
    assert "D·(F₀ − 1) + 1" not in found["sizes"].note


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's remark on its own memory
@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.MaxPool2d(2), (1, 7, 7), [("both", "2", "⌊(7 − 2 + 2·0) / 2⌋ + 1 = ⌊2.5⌋ + 1 = 3", 3)]),
        (
            nn.MaxPool2d(2, ceil_mode=True),
            (1, 7, 7),
            [("both", "2", "⌈(7 − 2 + 2·0) / 2⌉ + 1 = ⌈2.5⌉ + 1 = 4, rounded up", 4)],
        ),
        (
            nn.AvgPool2d(2, 3, padding=1, ceil_mode=True),
            (1, 5, 5),
            [("both", "2", "⌈(5 − 2 + 2·1) / 3⌉ + 1 − 1 = 2: a window fully outside is dropped", 2)],
        ),
        (
            nn.Conv2d(1, 2, 3, dilation=2),
            (1, 28, 28),
            [("both", "2·(3 − 1) + 1 = 5", "(28 − 5 + 2·0) / 1 + 1 = 24", 24)],
        ),
        (
            nn.Conv2d(1, 2, 11, stride=4, padding=2),
            (1, 224, 224),
            [("both", "11", "⌊(224 − 11 + 2·2) / 4⌋ + 1 = ⌊54.25⌋ + 1 = 55", 55)],
        ),
        (
            nn.Conv2d(1, 2, (3, 5), padding=(1, 0)),
            (1, 28, 20),
            [("height", "3", "(28 − 3 + 2·1) / 1 + 1 = 28", 28), ("width", "5", "(20 − 5 + 2·0) / 1 + 1 = 16", 16)],
        ),
        (nn.Conv2d(1, 2, 4, padding="same"), (1, 9, 9), [("both", "4", "(9 − 4 + 1 + 2) / 1 + 1 = 9", 9)]),
        (nn.Conv2d(1, 2, 3, padding="valid"), (1, 9, 9), [("both", "3", "(9 − 3 + 2·0) / 1 + 1 = 7", 7)]),
        (
            nn.ConvTranspose2d(1, 2, 4, stride=2, padding=1),
            (1, 7, 7),
            [("both", "4", "transposed: (7 − 1)·2 + 4 − 2·1 = 14", 14)],
        ),
        (
            nn.ConvTranspose2d(1, 2, 3, stride=2, dilation=2, output_padding=1),
            (1, 7, 7),
            [("both", "2·(3 − 1) + 1 = 5", "transposed: (7 − 1)·2 + 5 − 2·0 + 1 = 18", 18)],
        ),
        (nn.AdaptiveAvgPool2d(3), (1, 7, 7), [("both", "", "always 3, for any W", 3)]),
        (nn.LPPool2d(2, 3, 2), (1, 7, 7), [("both", "3", "(7 − 3 + 2·0) / 2 + 1 = 3", 3)]),
        (nn.ZeroPad2d(2), (1, 7, 7), [("both", "", "7 → 11, measured: a custom layer", 11)]),
        (nn.ReLU(), (1, 7, 7), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)  # fmt: skip
def test_each_kind_is_spelled_out_with_its_numbers(layer, shape, expected, own):
    found = only(layer, own, shape)
    assert [(row["direction"], row["F"], row["arithmetic"], row["O"]) for row in found] == expected


def test_a_layer_that_pads_in_its_own_way_is_measured(own):
    class Padded(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))

    (row,) = only(Padded(1, 2, 2, stride=2), own, (1, 7, 7))
    assert (row["arithmetic"], row["O"]) == ("7 → 4, measured: custom padding", 4)


def test_kernels_that_reach_further_are_explained_and_nothing_is_said_of_nothing(own, untrained):
    network = nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2), nn.Flatten(), nn.Linear(32, 10))
    assert "D·(F₀ − 1) + 1" in insight.sizes(own(network), network)["sizes"].note
    found = insight.sizes(untrained("mlp"))["sizes"]
    assert found.rows == ()
    assert found.note == "This network has no convolution and no pooling layer."


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "alexnet"])
def test_every_network_is_worked_out_without_a_rest(untrained, name):
    """No size of ours had to be measured, but those of the layers of 1998 that only their author knows."""
    entry = NETWORKS[name]
    measured = {
        row["layer"] for row in rows(insight.sizes(untrained(name, entry.shape))) if "measured" in row["arithmetic"]
    }
    assert measured == ({"s2", "s4"} if name == "lenet5-1998" else set())


numbers = {"kernel": st.integers(1, 7), "stride": st.integers(1, 4), "dilation": st.integers(1, 3)}


@settings(max_examples=300, deadline=None)
@given(size=st.integers(1, 40), padding=st.integers(0, 3), kind=st.sampled_from(["conv", "max", "transposed"]),
       ceil=st.booleans(), more=st.integers(0, 2), **numbers)  # fmt: skip
def test_the_arithmetic_is_torchs(size, kernel, stride, dilation, padding, kind, ceil, more):
    if kind == "max":
        assume(padding <= kernel // 2)
        layer: nn.Module = nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)
    elif kind == "conv":
        layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    else:
        assume(more < max(stride, dilation))
        layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, more, dilation=dilation)
    try:
        with torch.no_grad():
            measured = layer(torch.zeros(1, 1, size, size)).shape[-1]
    except RuntimeError:
        assume(False)
    step = _step(layer, 0, 2, size, measured)
    assert step.output == measured
    assert "measured" not in step.text
    if kind == "conv":
        assert output_size(size, kernel, stride=stride, padding=padding, dilation=dilation) == measured
    assert layer_kinds.sides(layer.kernel_size, 2) == (kernel, kernel)


def test_a_layer_that_gives_no_tensor_has_no_sizes(own):
    class Named(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"x": x}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.named = Named()
            self.output = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.named(x)["x"].flatten(1))

    assert rows(insight.sizes(own(Net()), Net())) == []
    layers = insight.summary(own(Net()), Net())["layers"]
    assert [row[3] for row in layers.rows] == ["1×8×8", None, "10"]
    assert "Multiply-adds are unknown, so not in the sum, for named." in layers.note


def test_reach():
    assert [reach(3, 1), reach(3, 2), reach(1, 5), reach(5, 3)] == [3, 5, 1, 13]
