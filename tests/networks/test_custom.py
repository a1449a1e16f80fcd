"""Networks of the user's own: a module, a class, a class in a file; and what can be wrong with them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import MissingDataError, ModelFileError, NetworkError, PellucidError, UnknownNameError, UsageError
from pellucid.inference import runner
from pellucid.networks import custom
from pellucid.networks.catalogue import is_file_reference
from pellucid.networks.network import declaration
from pellucid.records import Model

SOURCE = """
import math
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, classes, width=12):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), width), nn.ReLU(), nn.Linear(width, classes)
        )

    def forward(self, x):
        return self.layers(x)

class Other(nn.Module):
    pass
"""
QUICK = {"epochs": 1, "progress": False}


class Scaled(nn.Module):
    """Two of these may differ in what no tensor shows."""

    def __init__(self, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 10, *, sign: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(math.prod(shape), classes)
        self.sign = sign

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sign * self.linear(x.flatten(1))


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture(scope="module")
def data():
    whole = pellucid.load("digits")
    return pellucid.from_arrays(
        whole.train.pictures[:200],
        whole.train.labels[:200],
        list(whole.classes),
        name="few",
        test=(whole.test.pictures[:50], whole.test.labels[:50]),
    )


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "mynet.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_module_that_is_handed_over_stays_as_it_was(data):
    network = Scaled()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.eval()
    model = pellucid.train(data, network, **QUICK)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.training
    assert model == pellucid.train(data, network, **QUICK)  # the same twice, and not one after the other
    assert (model.weights["linear.weight"] != before["linear.weight"].numpy()).any()
    assert model.specification.network.name == "custom"
    assert model.specification.network.source.endswith("test_custom:Scaled")


def test_predicting_with_a_module_leaves_it_as_it_was(data, tmp_path):
    model = pellucid.train(data, Scaled, **QUICK)
    network = Scaled()
    before = network.linear.weight.detach().clone()
    pellucid.predict(model, data.test, network=network)
    assert torch.equal(network.linear.weight, before)


def test_in_this_process_its_model_runs_without_being_told_again(data, tmp_path):
    model = pellucid.train(data, Scaled, **QUICK)
    found = pellucid.predict(model, data.test)
    loaded = Model.load(model.save(tmp_path / "m"))
    np.testing.assert_array_equal(pellucid.predict(loaded, data.test).probabilities, found.probabilities)


def test_networks_of_one_class_are_not_mistaken_for_each_other(data):
    straight, turned = Scaled(sign=1), Scaled(sign=-1)
    models = {
        sign: pellucid.train(data, net, epochs=10, learning_rate=0.03, progress=False)
        for sign, net in ((1, straight), (-1, turned))
    }
    for sign, model in models.items():
        module = pellucid.build(model)
        assert module.sign == sign
        accuracy = (pellucid.predict(model, data.train).predicted == data.train.labels).mean()
        assert accuracy > 0.5


def test_a_model_that_is_told_of_while_it_trains_runs_as_well(data):
    accuracies = []

    class Watcher:
        def on_best(self, model: Model) -> None:
            accuracies.append((pellucid.predict(model, data.train).predicted == data.train.labels).mean())

    pellucid.train(data, Scaled, callbacks=[Watcher()], **QUICK)
    assert len(accuracies) == 1


def test_what_nobody_remembers_is_asked_for(data, monkeypatch):
    model = pellucid.train(data, Scaled, **QUICK)
    monkeypatch.setattr(custom, "_REMEMBERED", custom.OrderedDict())
    monkeypatch.setattr(runner, "_runners", custom.OrderedDict())
    with pytest.raises(ModelFileError) as caught:
        pellucid.predict(model, data.test)
    assert "needs the network class 'Scaled' from" in str(caught.value)
    assert "Give it with pellucid.build(model, network=Scaled())" in str(caught.value)
    assert len(pellucid.predict(model, data.test, network=Scaled)) == 50


def test_only_the_latest_are_remembered(monkeypatch):
    monkeypatch.setattr(custom, "_REMEMBERED", custom.OrderedDict())
    weights = [{"w": np.full(1, i, np.float32)} for i in range(custom._MOST_REMEMBERED + 1)]
    for one in weights:
        custom.remember(one, nn.Identity())
    assert custom.recall(weights[0]) is None
    assert custom.recall(weights[1]) is not None
    assert len(custom._REMEMBERED) == custom._MOST_REMEMBERED


def test_lazy_layers_find_their_sizes(data, tmp_path):
    model = pellucid.train(data, Lazy(), **QUICK)
    assert model.weights["layers.3.weight"].shape == (10, 4 * 6 * 6)
    found = pellucid.predict(model, data.test)
    with_class = pellucid.predict(model, data.test, network=Lazy)
    np.testing.assert_array_equal(with_class.probabilities, found.probabilities)


def test_a_class_in_a_file(data, file, tmp_path):
    model = pellucid.train(data, f"{file}:Net", settings={"width": 9}, **QUICK)
    named = model.specification.network
    assert (named.name, named.source, named.settings) == ("custom", "mynet.py:Net", {"width": 9})
    assert model.weights["layers.1.weight"].shape == (9, 64)
    found = pellucid.predict(model, data.test)
    again = pellucid.predict(model, data.test, network=f"{file}:Net")
    np.testing.assert_array_equal(again.probabilities, found.probabilities)


def test_another_process_without_the_class_says_so_and_with_it_runs(data, file, tmp_path):
    model = pellucid.train(data, f"{file}:Net", **QUICK)
    path = model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "pictures.npy", data.test.pictures)
    np.save(tmp_path / "wanted.npy", pellucid.predict(model, data.test).probabilities)
    code = textwrap.dedent(f"""
        import numpy as np, pellucid
        from pellucid.errors import ModelFileError
        model = pellucid.Model.load({str(path)!r})
        try:
            pellucid.build(model)
        except ModelFileError as error:
            print(error)
        found = pellucid.predict(model, np.load({str(tmp_path / "pictures.npy")!r}), network={str(file) + ":Net"!r})
        np.testing.assert_allclose(found.probabilities, np.load({str(tmp_path / "wanted.npy")!r}), atol=1e-6)
        print("the same")
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.splitlines() == [
        (
            "This model needs the network class 'Net' from mynet.py, which is not in the model file. Give it with "
            "--network PATH/mynet.py:Net, or pellucid.build(model, network=Net())."
        ),
        "the same",
    ], done.stderr


def test_training_goes_on_from_a_model_of_ones_own(data, file):
    first = pellucid.train(data, f"{file}:Net", settings={"width": 9}, **QUICK)
    more = pellucid.train(data, start=first, **QUICK)
    assert more.specification.network == first.specification.network
    assert more.weights.keys() == first.weights.keys()
    with pytest.raises(UsageError, match="which takes no settings; leave them out"):
        pellucid.train(data, start=first, settings={"width": 10}, **QUICK)


def test_training_goes_on_with_the_class_named_again_as_the_shell_must(data, file, monkeypatch):
    first = pellucid.train(data, f"{file}:Net", settings={"width": 9}, **QUICK)
    monkeypatch.setattr(custom, "_REMEMBERED", custom.OrderedDict())
    with pytest.raises(ModelFileError, match=r"Give it with --network PATH/mynet\.py:Net"):
        pellucid.train(data, start=first, **QUICK)
    for network in (f"{file}:Net", custom.load_class(f"{file}:Net")):
        more = pellucid.train(data, network, start=first, **QUICK)
        assert more.specification.network.settings == {"width": 9}
    with pytest.raises(ModelFileError, match="The weights do not fit"):
        pellucid.train(data, f"{file}:Net", start=first, settings={"width": 12}, **QUICK)


def test_a_model_of_another_class_does_not_fit(data):
    model = pellucid.train(data, Scaled, **QUICK)
    with pytest.raises(ModelFileError, match=r"The weights do not fit this network: 'layers\.0\.bias' is missing"):
        pellucid.build(model, network=Lazy)
    with pytest.raises(ModelFileError, match=r"'linear.weight' is \(10, 64\) in the file, but \(10, 16\)"):
        pellucid.build(model, network=lambda_module(4))


def lambda_module(side: int) -> nn.Module:
    """A `Scaled` for the wrong size, which still runs on 8×8 pictures."""
    module = Scaled((1, side, side))
    module.forward = lambda x: module.linear(x[:, :, :side, :side].flatten(1))
    return module


@pytest.mark.parametrize("nonsense", [3, int, lambda x: x, ["mlp"]])
def test_what_is_no_network(data, nonsense):
    with pytest.raises(UsageError, match="A network is a"):
        pellucid.train(data, nonsense, **QUICK)
    with pytest.raises(UsageError, match="A network must be a"):
        pellucid.build(pellucid.train(data, "mlp", **QUICK), network=nonsense)


class Outputs(Scaled):
    def forward(self, x):
        return super().forward(x)[:, :4]


class Pair(Scaled):
    def forward(self, x):
        return super().forward(x), x


class Fails(Scaled):
    def forward(self, x):
        raise KeyError("no such layer")


class Frozen(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class Half(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.to(torch.bfloat16)

    def forward(self, x):
        return super().forward(x.to(torch.bfloat16))


class Wants(Scaled):
    def __init__(self, shape, classes, colour) -> None:
        super().__init__()


class Broken(Scaled):
    def __init__(self) -> None:
        raise RuntimeError("boom")


class ForLearningOnly(Scaled):
    def forward(self, x):
        if self.training:
            raise RuntimeError("cannot learn")
        return super().forward(x)


class BadLoss(Scaled):
    loss = "hindge"


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (Outputs, "for two pictures have shape (2, 4); expected (2, 10), for 10 classes."),
        (Pair, "for two pictures have shape tuple"),
        (Fails, "does not run on pictures of shape (C, H, W) = (1, 8, 8): 'no such layer'"),
        (Frozen, "has nothing to learn"),
        (Half, "cannot be saved in a model file"),
        (Wants, "Wants(shape, classes) cannot be built: TypeError"),
        (Broken, "cannot be built: RuntimeError: boom"),
        (ForLearningOnly, "failed on a training batch of 60 pictures: cannot learn"),
        (BadLoss, "Did you mean 'hinge'?"),
        (nn.Identity, "for two pictures have shape (2, 1, 8, 8)"),
    ],
)
def test_what_can_be_wrong_with_a_network(data, network, part):
    with pytest.raises(PellucidError) as caught:
        pellucid.train(data, network, batch_size=60, **QUICK)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_built_network_takes_no_settings(data):
    with pytest.raises(UsageError, match="takes no settings"):
        pellucid.train(data, Scaled(), settings={"sign": -1}, **QUICK)


def test_settings_that_no_file_can_hold(data):
    with pytest.raises(UsageError, match="are numbers, texts, truth values"):
        pellucid.train(data, Scaled, settings={"sign": nn.Identity()}, **QUICK)


def test_a_module_that_cannot_be_copied(data):
    network = Scaled()
    network.product = network.linear.weight * 2
    with pytest.raises(NetworkError, match="cannot be copied"):
        pellucid.train(data, network, **QUICK)


@pytest.mark.parametrize(
    ("source", "name", "part"),
    [
        (SOURCE, "Nett", "has no network class 'Nett'; it has Net, Other"),
        (SOURCE, "math", "has no network class 'math'"),
        ("x = 1", "Net", "it has none"),
        ("import no_such_package", "Net", "cannot be run: ModuleNotFoundError"),
        ("def (", "Net", "cannot be run: SyntaxError"),
        ("raise SystemExit(3)", "Net", "cannot be run: SystemExit"),
        ("1 / 0", "Net", "cannot be run: ZeroDivisionError: division by zero"),
    ],
)
def test_what_can_be_wrong_with_a_file(tmp_path, source, name, part):
    path = tmp_path / "broken.py"
    path.write_text(source, encoding="utf-8")
    loaded = set(sys.modules)
    with pytest.raises(UsageError) as caught:
        custom.load_class(f"{path}:{name}")
    assert part in str(caught.value)
    if "cannot be run" in part:
        assert not {one for one in sys.modules if one.startswith("pellucid_network_")} - loaded


def test_a_file_that_is_not_there(data, tmp_path):
    with pytest.raises(MissingDataError, match="There is no file"):
        pellucid.train(data, f"{tmp_path / 'none.py'}:Net", **QUICK)


def test_a_file_may_be_called_as_a_module_of_python_is(tmp_path):
    path = tmp_path / "json.py"
    path.write_text(SOURCE.replace("width=12", "width=3"), encoding="utf-8")
    kind = custom.load_class(f"{path}:Net")
    assert custom.source_of(kind((1, 2, 2), 2)) == "json.py:Net"
    import json

    assert json.loads("[1]") == [1]
    other = tmp_path / "other"
    other.mkdir()
    (other / "json.py").write_text(SOURCE, encoding="utf-8")
    assert custom.load_class(f"{other / 'json.py'}:Net") is not kind


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("mynet.py:Net", True),
        ("folder/my net.py:Net", True),
        (r"C:\nets\mynet.py:Net", True),
        ("mynet.py", False),
        ("mynet.py:", False),
        ("mynet.py:a-b", False),
        ("timm:resnet18", False),
        ("lenet5", False),
    ],
)
def test_what_names_a_class_in_a_file(text, answer):
    assert is_file_reference(text) is answer


def test_attributes_that_only_have_such_a_name_declare_nothing():
    class Own(nn.Module):
        notes = "a text"
        recipe = 5

        def __init__(self) -> None:
            super().__init__()
            self.loss = nn.CrossEntropyLoss()

    assert declaration(Own()) == declaration(nn.Identity())


def test_an_unknown_name_is_not_taken_for_a_file(data):
    with pytest.raises(UnknownNameError):
        pellucid.train(data, "mynet.py", **QUICK)


@pytest.mark.parametrize("reference", ["mlp", "", "timm:resnet18", "mynet.py", "mynet.py:", "Net", "mynet:Net"])
def test_what_is_no_file_and_class(reference):
    with pytest.raises(UsageError) as caught:
        custom.load_class(reference)
    assert str(caught.value) == (
        f"Give your own network as file.py:Class, for example mynet.py:Net; given: '{reference}'. "
        f"For a network of the catalogue, omit --network."
    )
