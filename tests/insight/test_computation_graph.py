"""The graph of a network as a figure: boxes, blocks that repeat, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid import insight
from pellucid.data.preprocessing import normalise
from pellucid.errors import NetworkError
from pellucid.records import Findings


def test_a_small_network_is_shown_operation_by_operation(untrained):
    figure = insight.graph(untrained("lenet5"))
    boxes = figure.data["boxes"]
    assert [box["title"] for box in boxes][:4] == ["picture", "pad", "c1", "activation"]
    assert figure.data["edges"] == [[i, i + 1] for i in range(len(boxes) - 1)]
    assert (boxes[2]["shape"], boxes[2]["parameters"], boxes[2]["field"]) == ("6×28×28", 156, "5×5")
    assert figure.data["details"] == []
    assert figure.title == "lenet5, forward: 13 operations, 61,706 parameters"
    assert Findings.from_json(Findings((figure,)).to_json()) == Findings((figure,))


def test_blocks_that_repeat_are_boxes_drawn_once(untrained):
    figure = insight.graph(untrained("resnet20", (3, 32, 32)))
    titles = [(box["title"], box["kind"]) for box in figure.data["boxes"] if box["block"]]
    assert titles == [
        ("stage1.0 to 2", "3 × Block"),
        ("stage2.0", "Block"),
        ("stage2.1 to 2", "2 × Block"),
        ("stage3.0", "Block"),
        ("stage3.1 to 2", "2 × Block"),
    ]
    assert sum(box["parameters"] for box in figure.data["boxes"]) == 269_722
    details = figure.data["details"]
    assert [one["title"] for one in details] == [
        "Block, as in stage1.0 (7 of this structure)",
        "Block, as in stage2.0 (2 of this structure)",
    ]
    for one in details:
        kinds = [box["kind"] for box in one["boxes"]]
        place = kinds.index("add")
        assert len([edge for edge in one["edges"] if edge[1] == place]) == 2, "the shortcut is there"
        assert all(source < target for source, target in one["edges"])
    assert "at the right" in figure.note


class Layer(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(wide, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.act = nn.ReLU()

    def forward(self, before: list[torch.Tensor]) -> torch.Tensor:
        return self.act(self.norm(self.conv(torch.cat(before, dim=1))))


class Stage(nn.Module):
    """As in a DenseNet: every layer sees all before it, so that no two are alike."""

    def __init__(self, wide: int, many: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(wide + 2 * i) for i in range(many))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = [x]
        for layer in self.layers:
            before.append(layer(before))
        return torch.cat(before, dim=1)


def test_where_blocks_are_too_many_larger_ones_are_drawn(own):
    network = nn.Sequential(Stage(1, 20), nn.Conv2d(41, 4, 1), Stage(4, 20), nn.Flatten(), nn.Linear(44 * 64, 10))
    figure = insight.graph(own(network), network=network)
    assert [box["kind"] for box in figure.data["boxes"] if box["block"]] == ["Stage", "Stage"]
    assert figure.data["details"] == []
    assert figure.note == "A dark frame is a block of operations; it has too many to draw."


def test_gradients_are_those_of_autograd(untrained):
    model = untrained("lenet5")
    figure = insight.graph(model, backward=True, picture="digits:3")
    module = pellucid.build(model)
    test = pellucid.load("digits").test.take([3])
    from pellucid.data.preprocessing import prepare

    pixels = torch.from_numpy(np.asarray(prepare(test, model.specification.preprocessing)))
    outputs = module(normalise(pixels, model.specification.preprocessing))
    # The classes have other names than those of the data: the loss is that of the predicted one.
    loss = nn.functional.cross_entropy(outputs, outputs.argmax(dim=1))
    loss.backward()
    boxes = {box["title"]: box["gradient"] for box in figure.data["boxes"]}
    expected = torch.cat([one.grad.flatten() for one in module.c3.parameters()]).square().mean().sqrt().item()
    assert boxes["c3"]["parameters"] == pytest.approx(expected, rel=1e-3)
    assert boxes["c3"]["function"] == "ConvolutionBackward0"
    assert boxes["activation"]["parameters"] is None
    assert figure.data["loss"] == pytest.approx(loss.item(), rel=1e-3)
    assert figure.data["loss_of"] == model.classes[int(outputs.argmax())]
    assert figure.note == "Root mean square of the gradients of the loss for digits test/3."


def test_the_loss_is_that_of_the_given_class_where_it_is_known():
    model = pellucid.train(pellucid.load("digits"), "logistic-regression", epochs=1, progress=False)
    test = pellucid.load("digits").test.take([3])
    figure = insight.graph(model, backward=True, picture=test)
    assert figure.data["loss_of"] == test.classes[int(test.labels[0])]
    assert "grey noise" in insight.graph(model, backward=True).note


def test_graph_of_nan_weights_raises(own):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))
    nn.init.constant_(network[0].weight, float("nan"))
    with pytest.raises(NetworkError, match="infinite or NaN: training diverged"):
        insight.graph(own(network), backward=True, network=network)
