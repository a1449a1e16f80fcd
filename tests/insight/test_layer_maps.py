from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid import insight
from pellucid.data.preprocessing import normalise
from pellucid.errors import UnknownNameError, UsageError
from pellucid.records import Findings


@pytest.fixture(scope="module")
def model():
    return pellucid.train(pellucid.load("digits"), "lenet5", epochs=1, progress=False)


@pytest.fixture(scope="module")
def test_split():
    return pellucid.load("digits").test


def by_hand(model, split, index, layers: int) -> np.ndarray:
    """The maps of the first layers, without any hook."""
    module = pellucid.build(model)
    with torch.no_grad():
        batch = normalise(torch.from_numpy(split.pictures[[index]]), model.specification.preprocessing)
        x = nn.functional.pad(batch, module.padding)
        x = nn.functional.conv2d(x, module.c1.weight, module.c1.bias)
        if layers > 1:
            x = nn.functional.max_pool2d(x.relu(), 2)
            x = nn.functional.conv2d(x, module.c3.weight, module.c3.bias).relu()
    return x[0].numpy()


def in_order(figure) -> tuple[list[int], np.ndarray]:
    maps = figure.data["maps"]
    return [one["number"] for one in maps], np.array([one["values"] for one in maps])


@pytest.mark.parametrize(("layer", "layers"), [("c1", 1), ("activation:2", 2)])
def test_the_maps_are_those_of_the_layer_for_the_picture(model, test_split, layer, layers):
    figure = insight.feature_maps(model, layer, "digits:3")
    expected = by_hand(model, test_split, 3, layers)
    numbers, values = in_order(figure)
    assert sorted(numbers) == list(range(1, len(expected) + 1))
    np.testing.assert_allclose(values, expected[np.array(numbers) - 1], rtol=1e-3, atol=1e-4)
    highest = [one["highest"] for one in figure.data["maps"]]
    assert highest == sorted(highest, reverse=True)
    np.testing.assert_allclose(highest, values.max(axis=(1, 2)), rtol=1e-3)
    assert figure.data["largest"] == pytest.approx(np.abs(expected).max(), rel=1e-3)
    assert figure.data["lowest"] == pytest.approx(expected.min(), rel=1e-3, abs=1e-6)


def test_the_picture_stands_beside_with_what_the_model_says(model, test_split):
    figure = insight.feature_maps(model, 1, "digits:test/3")
    found = pellucid.predict(model, test_split.take([3]))
    picture = figure.data["picture"]
    assert picture["label"] == test_split.classes[test_split.labels[3]]
    assert picture["predicted"] == found.classes[found.predicted[0]]
    assert picture["probability"] == pytest.approx(float(found.confidence[0]), abs=1e-5)
    assert figure.title == "c1 of lenet5, convolution 1: 6 maps of 28×28 for digits test/3"
    assert Findings.from_json(Findings((figure,)).to_json()) == Findings((figure,))


def test_fewer_maps_are_the_most_active_ones(model):
    every = insight.feature_maps(model, "c3", "digits:0", scale="map")
    some = insight.feature_maps(model, "c3", "digits:0", limit=4)
    assert some.data["maps"] == every.data["maps"][:4]
    assert (every.data["scale"], some.data["scale"]) == ("map", "layer")
    assert (every.note, some.note) == ("", "The 4 most active of 16 maps shown.")


def test_an_activation_in_place_does_not_change_what_is_shown_of_the_layer_before(own):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 10))
    nn.init.constant_(network[0].bias, -100.0)
    figure = insight.feature_maps(own(network), "0", np.zeros((8, 8), np.uint8), network=network)
    assert figure.data["lowest"] == -100.0


def test_layers_without_maps_are_refused_with_those_that_have(model, untrained):
    with pytest.raises(UsageError) as refused:
        insight.feature_maps(model, "f6", "digits:0")
    assert str(refused.value) == (
        "'f6' (dense) has no feature maps: its 84 outputs have no position in the picture. "
        "Layers with feature maps: c1, activation, pool, c3, activation:2, pool:2."
    )
    with pytest.raises(UnknownNameError, match=r"named 'pol'\. Did you mean 'pool'\?"):
        insight.feature_maps(model, "pol", "digits:0")
    with pytest.raises(UsageError, match="No layer of the network 'mlp' has feature maps"):
        insight.feature_maps(untrained("mlp"), 1, np.zeros((28, 28), np.uint8))
    with pytest.raises(UsageError, match=r"--limit must be at least 1; given: 0\."):
        insight.feature_maps(model, 1, "digits:0", limit=0)
    with pytest.raises(UnknownNameError, match="There is no scale named 'filter'"):
        insight.feature_maps(model, 1, "digits:0", scale="filter")
