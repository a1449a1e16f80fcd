"""The batches of an epoch: which pictures, in which order, changed how; and what is drawn while learning from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.data.preprocessing import normalise
from pellucid.records import Preprocessing
from pellucid.training.augmentation import Augmenter
from pellucid.training.batches import Batches, Examples
from pellucid.training.loop import measure
from pellucid.training.losses import loss_function
from pellucid.training.randomness import epoch_order
from pellucid.training.recipes import Recipe
from pellucid.training.schedules import learning_rate

N = 23
PREPROCESSING = Preprocessing(channels=1, height=4, width=5, mean=(0.4,), std=(0.3,))


@pytest.fixture
def examples() -> Examples:
    pictures = np.random.default_rng(0).integers(0, 256, (N, 1, 4, 5), dtype=np.uint8)
    return Examples(torch.from_numpy(pictures), torch.arange(N))  # each picture's label is its number


def test_an_epoch_sees_every_picture_once_in_the_order_of_seed_and_epoch(examples):
    recipe = Recipe(batch_size=5, epochs=3)
    for seed, epoch in ((0, 1), (0, 2), (7, 1)):
        steps, inputs, labels, rates = zip(*Batches(examples, PREPROCESSING, recipe, seed).epoch(epoch), strict=True)
        assert steps == tuple(range(5 * (epoch - 1) + 1, 5 * epoch + 1))
        order = torch.cat(labels)
        assert order.tolist() == epoch_order(seed, epoch, N).tolist()
        assert order.tolist() != list(range(N)), "they are shuffled"
        assert [len(one) for one in labels] == [4, 5, 4, 5, 5]
        assert torch.equal(torch.cat(inputs), normalise(examples.pictures[order], PREPROCESSING))
        assert rates == tuple(learning_rate(recipe, step - 1, 5) for step in steps)


def test_pictures_are_augmented_by_their_own_numbers(examples):
    recipe = Recipe(batch_size=6, augmentation=("shift:1", "brightness"))
    reference = Augmenter(recipe.augmentation, N, 3)
    reference.begin_epoch(2)
    wanted = normalise(reference(examples.pictures, torch.arange(N)), PREPROCESSING)
    for _, inputs, labels, _ in Batches(examples, PREPROCESSING, recipe, 3).epoch(2):
        torch.testing.assert_close(inputs, wanted[labels])


def test_dropout_is_a_function_of_seed_and_step(examples):
    def drawn(seed: int, epoch: int) -> list[float]:
        batches = Batches(examples, PREPROCESSING, Recipe(batch_size=8), seed)
        found = []
        for _ in batches.epoch(epoch):
            found.append(torch.rand(()).item())
            torch.rand(50)  # however much a step draws, the next one does not notice
        return found

    torch.manual_seed(1)
    first = drawn(0, 2)
    torch.manual_seed(2)
    assert drawn(0, 2) == first
    assert len(set(first)) == len(first)
    assert not set(first) & set(drawn(0, 1))
    assert not set(first) & set(drawn(1, 2))


def test_measuring_is_in_evaluation_mode_and_does_not_depend_on_its_batches(monkeypatch, examples):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(20, N)).train()
    function = loss_function("cross-entropy")
    loss, accuracy = measure(network, examples, PREPROCESSING, function)
    with torch.no_grad():
        outputs = network.eval()(normalise(examples.pictures, PREPROCESSING))
    assert loss == pytest.approx(function(outputs, examples.labels).item())
    assert accuracy == (outputs.argmax(dim=1) == examples.labels).double().mean().item()
    monkeypatch.setattr("pellucid.training.loop._MAX_PIXELS", 3 * 20)
    seen: list[int] = []
    network.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    assert measure(network, examples, PREPROCESSING, function) == pytest.approx((loss, accuracy))
    assert seen == [3] * 7 + [2]
    monkeypatch.setattr("pellucid.training.loop._MAX_PIXELS", 1)
    seen.clear()
    measure(network, examples, PREPROCESSING, function)
    assert seen == [1] * N, "one picture at least"
