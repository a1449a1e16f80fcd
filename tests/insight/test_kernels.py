from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pellucid import insight
from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.inference import build
from pellucid.networks.catalogue import NETWORKS
from pellucid.networks.lenet5_1998 import CONNECTIONS
from pellucid.records import Findings, Model


def shown(figure) -> np.ndarray:
    return np.array([kernel["weights"] for kernel in figure.data["kernels"]])


def test_the_kernels_of_a_first_layer_are_its_weights(untrained):
    model = untrained("lenet5")
    figure = insight.filters(model, "c1")
    np.testing.assert_allclose(shown(figure), model.weights["c1.weight"], rtol=6e-4)
    assert figure.title == "c1 of lenet5, convolution 1: 6 kernels of 1×5×5"
    assert figure.note == ""
    data = figure.data
    assert (data["style"], data["scale"], data["shape"]) == ("signed", "filter", [6, 1, 5, 5])
    assert [kernel["number"] for kernel in data["kernels"]] == [1, 2, 3, 4, 5, 6]
    largest = np.abs(model.weights["c1.weight"]).max(axis=(1, 2, 3))
    np.testing.assert_allclose([kernel["largest"] for kernel in data["kernels"]], largest, rtol=6e-4)
    assert data["largest"] == max(kernel["largest"] for kernel in data["kernels"])
    assert Findings.from_json(Findings((figure,)).to_json()) == Findings((figure,))


@pytest.mark.parametrize("given", ["c3", "2", 2])
def test_a_convolution_is_found_by_its_name_and_by_its_number(untrained, given):
    figure = insight.filters(untrained("lenet5"), given, scale="layer")
    assert (figure.data["layer"], figure.data["number"], figure.data["scale"]) == ("c3", 2, "layer")
    assert (figure.data["style"], shown(figure).shape) == ("channels", (16, 6, 5, 5))


def test_a_name_that_is_there_wins_over_a_number(own):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(48, 10))
    assert insight.filters(own(network), 1, network=network).data["layer"] == "1"
    assert insight.filters(own(network), 0, network=network).data["layer"] == "0"
    with pytest.raises(UsageError, match=r"'2' \(flatten\) is not a convolution"):
        insight.filters(own(network), 2, network=network)


def test_what_is_left_out_is_said(untrained):
    figure = insight.filters(untrained("cifar-convnet", (3, 32, 32)), 2)
    assert shown(figure).shape == (16, 16, 3, 3)
    assert figure.note == "First 16 of 64 kernels shown; first 16 of 32 input channels shown."
    figure = insight.filters(untrained("cifar-convnet", (3, 32, 32)), 2, limit=40)
    assert shown(figure).shape == (40, 32, 3, 3)
    assert figure.note == "First 40 of 64 kernels shown."


def test_a_first_layer_that_sees_colours_is_drawn_in_colour_and_a_later_one_is_not(untrained, own):
    figure = insight.filters(untrained("cifar-convnet", (3, 32, 32)), 1)
    assert (figure.data["style"], shown(figure).shape) == ("colour", (32, 3, 5, 5))
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 10))
    model = own(network, (3, 8, 8))
    assert insight.filters(model, "0", network=network).data["style"] == "colour"
    assert insight.filters(model, "1", network=network).data["style"] == "channels"


def test_the_connections_of_1998_are_those_of_its_table(untrained):
    weights = shown(insight.filters(untrained("lenet5-1998"), "c3"))
    seen = [tuple(np.flatnonzero(kernel.any(axis=(1, 2))).tolist()) for kernel in weights]
    assert seen == list(CONNECTIONS)


@pytest.mark.parametrize("name", ["logistic-regression", "perceptron", "sigmoid-neuron"])
def test_without_convolutions_the_weights_of_each_class_are_pictures(untrained, name):
    model = untrained(name, (3, 6, 5), 4)
    figure = insight.filters(model, 1)
    (weights,) = (array for array in model.weights.values() if array.ndim == 2)
    np.testing.assert_allclose(shown(figure), weights.reshape(4, 3, 6, 5), rtol=6e-4)
    assert [kernel["label"] for kernel in figure.data["kernels"]] == list(model.classes)
    assert figure.title.endswith(f"of {name}: 4 units of 3×6×5")
    assert (figure.data["dense"], figure.data["style"]) == (True, "colour")


def test_hidden_units_have_numbers_for_names(untrained):
    figure = insight.filters(untrained("mlp"), "layers.1", limit=3)
    assert [kernel["label"] for kernel in figure.data["kernels"]] == ["", "", ""]
    assert figure.note == "First 3 of 500 units shown."


def test_a_kernel_of_a_transposed_convolution_belongs_to_what_it_gives(own):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ConvTranspose2d(4, 6, 2, groups=2), nn.Flatten(), nn.Linear(6 * 49, 10)
    )
    found = shown(insight.filters(own(network), "1", network=network))
    weight = network[1].weight.detach().numpy()  # (inputs, outputs of a group, height, width)
    expected = np.array([[weight[2 * group + i, out] for i in range(2)] for group in range(2) for out in range(3)])
    np.testing.assert_allclose(found, expected, rtol=6e-4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "alexnet"])
def test_every_network_gives_a_picture(untrained, name):
    entry = NETWORKS[name]
    figure = insight.filters(untrained(name, entry.shape), 1)
    assert figure.figure == "filters"
    assert len(figure.data["kernels"]) > 0


def test_what_cannot_be_drawn_is_a_sentence(untrained, own):
    lenet = untrained("lenet5")
    with pytest.raises(UnknownNameError) as raised:
        insight.filters(lenet, "c2")
    assert str(raised.value) == (
        "There is no convolution named 'c2'. Known: c1, c3. Or give the number of a convolution, 1 to 2."
    )
    with pytest.raises(UsageError) as refused:
        insight.filters(lenet, "f6")
    assert str(refused.value) == (
        "'f6' (dense) is not a convolution, so it has no kernels. The convolutions of 'lenet5': c1, c3."
    )
    with pytest.raises(UsageError) as refused:
        insight.filters(untrained("mlp"), "c1")
    assert str(refused.value) == (
        "The network 'mlp' has no convolution. The dense layer 'layers.1' reads the picture, so its weights "
        "can be drawn, one picture per unit: --filters layers.1."
    )
    with pytest.raises(UsageError, match=r"has no convolution, and 'layers.3' \(dense\) does not read the picture\."):
        insight.filters(untrained("mlp"), "layers.3")
    pooled = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 10))
    with pytest.raises(UsageError, match="there are no weights to draw"):
        insight.filters(own(pooled), 1, network=pooled)
    with pytest.raises(UsageError, match=r"--limit must be at least 1; given: 0\."):
        insight.filters(lenet, 1, limit=0)
    with pytest.raises(UnknownNameError, match=r"scale named 'fliter'\. Did you mean 'filter'\?"):
        insight.filters(lenet, 1, scale="fliter")


def test_a_dense_layer_is_only_a_picture_where_it_is_given_the_very_pixels(own):
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(x.transpose(2, 3).flatten(1))

    with pytest.raises(UsageError, match="no dense layer that reads the picture itself"):
        insight.filters(own(Turned()), 1, network=Turned())


def test_a_dense_layer_that_reads_the_picture_beside_convolutions_is_drawn_too(own):
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = nn.Conv2d(1, 2, 3)
            self.whole = nn.Linear(64, 10)
            self.output = nn.Linear(72, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.seen(x).flatten(1)) + self.whole(x.flatten(1))

    figure = insight.filters(own(Both()), "whole", network=Both())
    assert (figure.data["layer"], figure.data["dense"], shown(figure).shape) == ("whole", True, (10, 1, 8, 8))
    assert insight.filters(own(Both()), 1, network=Both()).data["layer"] == "seen"


def test_a_long_list_of_names_is_cut_short_with_the_nearest_in_it(untrained):
    model = untrained("resnet20", (3, 32, 32))
    with pytest.raises(UnknownNameError) as raised:
        insight.feature_maps(model, "stage3.2.cnv2", np.zeros((32, 32, 3), np.uint8))
    text = str(raised.value)
    assert "Did you mean 'stage3.2.conv2'?" in text
    assert text.count(",") < 30
    assert "`pellucid inspect MODEL` lists all of them." in text


def test_weights_that_are_no_numbers_are_refused(untrained):
    model = untrained("lenet5")
    weights = dict(model.weights) | {"c1.weight": np.full_like(model.weights["c1.weight"], np.nan)}
    spoilt = Model(model.specification, weights)
    assert build(spoilt) is not None
    with pytest.raises(NetworkError, match="Weights of 'c1' are infinite or NaN"):
        insight.filters(spoilt, 1)
    with pytest.raises(NetworkError, match="The outputs of 'c1' or of a later layer are infinite or NaN"):
        insight.feature_maps(spoilt, 1, np.zeros((28, 28), np.uint8))


def test_a_convolution_in_three_directions_is_no_picture(own):
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = nn.Conv3d(1, 2, 1)
            self.output = nn.Linear(128, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.deep(x[:, None]).flatten(1))

    with pytest.raises(
        UsageError, match="The kernels of 'deep' have 3 dimensions, so they cannot be drawn as pictures"
    ):
        insight.filters(own(Deep()), 1, network=Deep())


def test_a_kernel_along_one_direction_is_a_picture_of_one_row(own):
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Conv1d(1, 2, 5)
            self.output = nn.Linear(120, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.line(x.flatten(2)).flatten(1))

    assert shown(insight.filters(own(Line()), 1, network=Line())).shape == (2, 1, 1, 5)
