"""What every registered network owes: one suite, so that a network gets its tests by being registered."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import NetworkError, PellucidError, TrainingError, UnknownNameError, UsageError
from pellucid.inference import build
from pellucid.inference.building import try_out, weights_of
from pellucid.inference.probabilities import PROBABILITIES, probabilities
from pellucid.networks.catalogue import NETWORKS, Entry, create, resolve
from pellucid.networks.network import Network, count_parameters, declaration
from pellucid.records import Model, NetworkSpecification, Preprocessing, Specification
from pellucid.training.loop import train_step
from pellucid.training.losses import LOSSES, loss_function
from pellucid.training.recipes import Recipe, named_recipe
from pellucid.training.rules import RULES, find_rule

LARGE = 10_000_000
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if entry.parameters > LARGE else name for name, entry in NETWORKS.items()
]
GRADIENT = [
    pytest.param(name, marks=pytest.mark.slow) if entry.parameters > LARGE else name
    for name, entry in NETWORKS.items()
    if resolve(name).learning_rule == "gradient"
]
SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 29, 17), (1, 1, 1), (3, 5, 40)]
every_network = pytest.mark.parametrize("name", NAMES)


@functools.cache
def smallest_shape(name: str) -> tuple[int, int, int]:
    """The smallest square pictures in colour that the network takes."""
    for side in (8, 12, 16, 28, 32, 64, 224):
        try:
            with torch.device("meta"):
                create(name, (3, side, side), 3)
        except NetworkError:
            continue
        return (3, side, side)
    raise AssertionError(f"{name} takes no pictures at all")


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return create(name, smallest_shape(name), 3)


def some(name: str, n: int) -> torch.Tensor:
    return torch.randn(n, *smallest_shape(name), generator=torch.Generator().manual_seed(1))


def as_model(name: str, module: nn.Module) -> Model:
    channels, height, width = smallest_shape(name)
    declared = declaration(module)
    specification = Specification(
        network=NetworkSpecification(name=name),
        classes=("a", "b", "c"),
        preprocessing=Preprocessing(channels=channels, height=height, width=width),
        loss=declared.loss,
        probabilities=declared.probabilities,
    )
    return Model(specification, weights_of(module))


@every_network
def test_it_has_as_many_parameters_as_its_line_says(name):
    entry = NETWORKS[name]
    with torch.device("meta"):  # counting takes no memory
        module = create(name, entry.shape, entry.classes)
    assert count_parameters(module) == entry.parameters


@pytest.mark.parametrize(
    ("name", "shape", "classes", "parameters"),
    [
        ("logistic-regression", (1, 28, 28), 10, 7_850),
        ("mlp", (1, 28, 28), 10, 397_510),
        ("lenet5", (1, 28, 28), 10, 61_706),
        ("convnet", (1, 28, 28), 10, 29_034),
        ("logistic-regression", (3, 32, 32), 10, 30_730),
        ("lenet5", (3, 32, 32), 10, 62_006),
    ],
)
def test_the_counts_of_the_textbooks(name, shape, classes, parameters):
    assert count_parameters(create(name, shape, classes)) == parameters


@every_network
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_takes_pictures_of_any_shape_or_says_why_not(name, shape):
    try:
        module = create(name, shape, 7)
    except NetworkError as error:
        text = str(error)
    else:
        try_out(module, shape, 7)
        return
    assert name in text
    assert f"{shape[1]}×{shape[2]}" in text
    assert "--size" in text


@pytest.mark.parametrize("name", GRADIENT)
def test_every_parameter_learns(name):
    module = network(name).train()
    loss = loss_function(declaration(module).loss)(module(some(name, 6)), torch.arange(6) % 3)
    loss.backward()
    assert math.isfinite(loss.item())
    for label, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{label} takes no part"
            assert parameter.grad.isfinite().all(), label


@every_network
def test_saved_and_loaded_it_gives_the_very_same_outputs(name, tmp_path):
    module = network(name)
    with torch.no_grad():  # so that no tensor, nor a running mean, is what a new network begins with
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.rand_like(tensor))
    model = as_model(name, module)
    loaded = Model.load(model.save(tmp_path / "model.safetensors"))
    assert loaded == model
    inputs = some(name, 3)
    with torch.no_grad():
        assert torch.equal(build(loaded)(inputs), module.eval()(inputs))


@every_network
def test_one_picture_alone_can_be_predicted_and_the_others_do_not_matter(name):
    module = network(name).eval()
    mapping = declaration(module).probabilities
    inputs = some(name, 9)
    with torch.no_grad():
        together = probabilities(mapping, module(inputs).numpy())
        alone = np.concatenate([probabilities(mapping, module(one[None]).numpy()) for one in inputs])
    assert together.shape == (9, 3)
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-6)


@every_network
def test_a_batch_of_one_is_learned_from_or_refused_in_a_sentence(name):
    module = network(name).train()
    declared = declaration(module)
    recipe = named_recipe("default", dict(declared.recipe))
    rule = find_rule(declared.learning_rule)(module, recipe, loss_function(declared.loss))
    before = weights_of(module)
    try:
        loss, right = train_step(rule, some(name, 1), torch.tensor([1]), recipe.learning_rate)
    except TrainingError as error:
        refused = str(error)
    else:
        assert math.isfinite(loss.item())
        assert right.item() in (0, 1)
        after = weights_of(module)
        assert any((after[key] != before[key]).any() for key in before), "it learned nothing"
        return
    assert "Batch normalisation" in refused
    assert "--batch-size" in refused


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.parameters <= LARGE])
def test_it_learns_a_little_data_by_heart(name):
    side = smallest_shape(name)[1]
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 2
    pictures = torch.randint(0, 60, (24, 1, side, side), generator=generator)
    pictures[labels == 1, :, : side // 2] += 150
    both = (pictures.byte().numpy(), labels.numpy())
    data = pellucid.from_arrays(*both, validation=both)
    model = pellucid.train(data, name, epochs=30, batch_size=8, progress=False, keep="last")
    assert pellucid.predict(model, data.train).predicted.tolist() == labels.tolist()


@every_network
def test_what_it_declares_is_known(name):
    kind = resolve(name)
    assert issubclass(kind, Network)
    assert kind.learning_rule in RULES
    assert kind.loss in LOSSES
    assert kind.probabilities in PROBABILITIES
    assert isinstance(named_recipe("default", dict(kind.recipe)), Recipe)


@every_network
def test_its_page_says_what_it_is(name):
    text = inspect.getdoc(resolve(name)) or ""
    entry = NETWORKS[name]
    assert "Formula" in text or "Layers" in text
    assert "(N, " in text, "its shapes"
    assert "Source:" in text
    assert "Good for:" in text
    assert f"{entry.parameters:,}" in text, "its number of parameters"
    assert entry.source
    assert entry.good_for
    assert 1950 <= entry.year <= 2100


@every_network
def test_a_setting_that_it_does_not_have_is_refused(name):
    with pytest.raises(UsageError) as caught:
        create(name, smallest_shape(name), 3, {"widht": 5})
    assert "widht" in str(caught.value)


@every_network
def test_a_setting_of_nonsense_is_refused_in_a_sentence(name):
    settings = [key for key in inspect.signature(resolve(name)).parameters if key not in ("shape", "classes")]
    for key in settings:
        default = inspect.signature(resolve(name)).parameters[key].default
        if isinstance(default, bool):
            continue  # everything in Python is true or false
        for nonsense in ("no such thing", -1, [], {"a": 1}, None):
            # Some of these make sense to some settings; what is refused, is refused by an error of ours.
            with contextlib.suppress(PellucidError):
                assert create(name, smallest_shape(name), 3, {key: nonsense}) is not None


@pytest.mark.parametrize("shape", [(1, 0, 5), (0, 5, 5)])
def test_pictures_of_nothing_are_refused(shape):
    with pytest.raises(NetworkError):
        create("mlp", shape, 3)


def test_one_class_is_refused():
    with pytest.raises(NetworkError, match="at least two classes"):
        create("mlp", (1, 8, 8), 1)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"widths": [500, 0]}, "at least 1"),
        ({"widths": "500"}, "must be integers of at least 1"),
        ({"widths": 2.5}, "widths"),
        ({"dropout": 1.0}, "from 0 to below 1"),
        ({"dropout": "much"}, "dropout='much'"),
        ({"activation": "rellu"}, "Did you mean 'relu'?"),
        ({"activation": 3}, "no activation named '3'"),
    ],
)
def test_settings_of_the_mlp(settings, part):
    with pytest.raises(UsageError) as caught:
        create("mlp", (1, 8, 8), 3, settings)
    assert part in str(caught.value)


def test_the_widths_of_the_mlp_may_be_one_number_or_several():
    def linear_layers(widths: Any) -> list[tuple[int, int]]:
        layers = create("mlp", (1, 2, 3), 4, {"widths": widths}).modules()
        return [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]

    assert linear_layers(5) == [(6, 5), (5, 4)]
    assert linear_layers([5, 7]) == [(6, 5), (5, 7), (7, 4)]
    assert linear_layers([]) == [(6, 4)]


def test_an_unknown_network_is_named_with_what_was_probably_meant():
    with pytest.raises(UnknownNameError) as caught:
        create("lenet", (1, 8, 8), 3)
    assert "Did you mean 'lenet5'?" in str(caught.value)
    assert "file.py:Class" in str(caught.value)


def test_one_more_network_takes_a_class_and_a_line(monkeypatch):
    class Tiny(Network):
        def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    module = types.ModuleType("throw_away")
    module.Tiny = Tiny
    monkeypatch.setitem(sys.modules, "throw_away", module)
    monkeypatch.setitem(NETWORKS, "tiny", Entry("throw_away:Tiny", 2026, "a test", "nothing", 650, (1, 8, 8)))
    data = pellucid.load("digits")
    model = pellucid.train(data, "tiny", epochs=2, progress=False)
    assert model.specification.network == NetworkSpecification(name="tiny")
    assert model.parameters == 650
    assert len(pellucid.predict(model, data.test)) == 360
