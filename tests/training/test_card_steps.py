"""The steps of a graphics card, with a recorder for the CPU: recorded steps read what changes from fixed places."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.networks.catalogue import create
from pellucid.records import Preprocessing
from pellucid.training.augmentation import AUGMENTATIONS, Augmenter
from pellucid.training.batches import Batches, Examples
from pellucid.training.card_steps import WARM_UP, CardSteps
from pellucid.training.losses import loss_function
from pellucid.training.optimizers import OPTIMIZERS, orthogonal_steps, orthogonalise
from pellucid.training.recipes import Recipe
from pellucid.training.rules import GradientDescent, WeightAverage

PREPROCESSING = Preprocessing(channels=1, height=16, width=16, mean=(0.4,), std=(0.3,), scaling="standard")
N = 70


class Recorder:
    """Carries a recorded step out again at each repetition, and puts its result into the same places."""

    def __init__(self, reason: str = "", error: str = "") -> None:
        self.reason, self.error = reason, error
        self.recorded, self.repeated, self.checked = 0, 0, 0

    @contextmanager
    def ordinary(self, *, check):
        self.checked += check
        yield [self.reason] if self.reason and check else []

    def record(self, operations):
        if self.error:
            raise RuntimeError(self.error)
        self.recorded += 1
        places = torch.zeros(()), torch.zeros((), dtype=torch.int64)

        def repeat():
            self.repeated += 1
            for place, value in zip(places, operations(), strict=True):
                place.copy_(value)

        return repeat, places


def training(recorder, **settings: Any):
    """(batches, network, steps) of a small training."""
    recipe = Recipe(batch_size=16, augmentation=("shift:2", "flip"), epochs=4, **settings)
    random = np.random.default_rng(0)
    pictures = torch.from_numpy(random.integers(0, 256, (N, 1, 16, 16), dtype=np.uint8))
    batches = Batches(Examples(pictures, torch.arange(N) % 3), PREPROCESSING, recipe, 0)
    torch.manual_seed(0)
    network = create("convnet-dropout", (1, 16, 16), 3, {}).train()
    rule = GradientDescent(network, recipe, loss_function("cross-entropy"))
    return batches, network, CardSteps(batches, rule.step, recorder=recorder)


def trained(recorder, epochs=4, **settings: Any):
    """The weights after some epochs, and the losses of all steps."""
    batches, network, card = training(recorder, **settings)
    losses = [card.take(*step) for epoch in range(1, epochs + 1) for step in batches.order(epoch)]
    return network.state_dict(), losses, card


CAPTURABLE = [name for name, kind in OPTIMIZERS.items() if kind.CAPTURABLE and name != "rmsprop"]
"""Those that a test on the CPU can run: torch's RMSprop takes a rate in memory of a card only there."""


@pytest.mark.parametrize("name", CAPTURABLE)
def test_recorded_steps_are_the_ordinary_ones(name):
    settings = {"optimizer": name, "ema_decay": 0.9, "learning_rate": 0.01, "gradient_clip": 1.0}
    recorder = Recorder()
    recorded, losses, card = trained(recorder, **settings)
    ordinary, others, _ = trained(Recorder(error="not this time"), **settings)
    assert card.not_captured == ""
    sizes = {14}
    assert recorder.recorded == len(sizes)
    assert recorder.repeated == 4 * 5 - WARM_UP * len(sizes)
    assert recorder.checked == 1
    for key, value in recorded.items():
        assert torch.equal(value, ordinary[key]), key
    # A loss that was handed out stays what it was when later steps write into the same place.
    assert [a.item() for a, _ in losses] == [b.item() for b, _ in others]
    assert len({a.item() for a, _ in losses}) > 15


def test_each_size_of_batch_has_its_own_record(monkeypatch):
    monkeypatch.setattr("pellucid.training.batches.batch_bounds", lambda *_: [0, 16, 33, 49, 66, 70])
    recorder = Recorder()
    trained(recorder)
    assert recorder.recorded == 3
    assert recorder.repeated == (8 - WARM_UP) * 2 + 1


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (Recorder(error="operation not permitted.\nmore"), "recording one failed (operation not permitted)"),
        (Recorder(reason="it waits"), "it waits"),
    ],
)
def test_without_a_record_the_steps_go_on_and_the_reason_is_kept(recorder, reason):
    _, losses, card = trained(recorder)
    assert card.not_captured == reason
    assert len(losses) == 20
    assert recorder.repeated == 0


def test_the_rate_of_each_step_counts():
    batches, network, card = training(Recorder(), optimizer="sgd", momentum=0.0, weight_decay=0.0)
    steps = list(batches.order(1))
    for number, indices, _ in steps * 2:
        card.take(number, indices, 0.1)
    before = {name: value.clone() for name, value in network.named_parameters()}
    card.take(1, steps[0][1], 0.0)
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())
    card.take(1, steps[0][1], 0.1)
    assert not all(torch.equal(before[name], value) for name, value in network.named_parameters())


def test_the_random_numbers_of_an_epoch_take_the_place_of_the_last_ones():
    augment = Augmenter(("shift:2", "alternating-flip"), 8, 0)
    augment.begin_epoch(1)
    pictures, indices = torch.arange(8 * 16, dtype=torch.uint8).view(8, 1, 4, 4), torch.arange(8)
    places = [numbers.data_ptr() for numbers in augment._numbers]
    first = augment(pictures, indices)
    augment.begin_epoch(2)
    assert [numbers.data_ptr() for numbers in augment._numbers] == places
    assert not torch.equal(augment(pictures, indices), first)
    fresh = Augmenter(("shift:2", "alternating-flip"), 8, 0)
    fresh.begin_epoch(2)
    assert torch.equal(augment(pictures, indices), fresh(pictures, indices))


def test_a_shift_of_any_length_moves_in_black():
    random = np.random.default_rng(0)
    pictures = torch.from_numpy(random.integers(1, 256, (6, 2, 5, 7))).float()
    numbers = torch.tensor([[0, 0], [1, -2], [-4, 6], [5, 0], [0, -7], [90, 3]])
    moved = AUGMENTATIONS["shift"].apply(pictures, numbers)
    for picture, (down, right), result in zip(pictures, numbers.tolist(), moved, strict=True):
        for row in range(5):
            for column in range(7):
                inside = 0 <= row + down < 5 and 0 <= column + right < 7
                wanted = picture[:, row + down, column + right] if inside else torch.zeros(2)
                assert torch.equal(result[:, row, column], wanted)


@pytest.mark.parametrize("scaled", [False, True])
def test_steps_of_one_shape_are_made_orthogonal_together(scaled):
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 2, 3, 3), (40, 5), (8, 2, 3, 3), (16, 16)]
    steps = [torch.randn(shape, generator=generator) for shape in shapes]
    steps[0] = steps[0].to(memory_format=torch.channels_last)
    results = orthogonal_steps(steps, scaled=scaled, half=False)
    for step, result in zip(steps, results, strict=True):
        matrix = step.flatten(1)
        factor = max(1.0, len(matrix) / matrix.shape[1]) ** 0.5 if scaled else 1.0
        torch.testing.assert_close(result.flatten(1), orthogonalise(matrix) * factor, atol=1e-5, rtol=1e-4)
        assert result.stride() == step.stride()


def test_an_average_on_the_device_is_the_one_that_reads_its_steps_back():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    averages = [WeightAverage(network, 0.6), WeightAverage(network, 0.6)]
    for _ in range(12):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        for average, on_device in zip(averages, (False, True), strict=True):
            average.update(on_device=on_device)
    for name, value in averages[0].weights.items():
        torch.testing.assert_close(averages[1].weights[name], value)


@pytest.mark.parametrize("normalise", [False, True])
def test_muon_with_a_rate_on_the_device_steps_as_with_a_number(normalise):
    settings = {"optimizer": "muon", "normalise_kernels": normalise, "learning_rate": 0.02}
    recipe = Recipe(**settings)
    networks = [create("convnet", (1, 16, 16), 3, {}) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    rules = [GradientDescent(network, recipe, loss_function("cross-entropy")) for network in networks]
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        inputs, labels = torch.randn(12, 1, 16, 16, generator=generator), torch.arange(12) % 3
        rules[0].step(inputs, labels, 0.02)
        rules[1].step(inputs, labels, torch.tensor(0.02))
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-3)
