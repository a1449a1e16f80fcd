"""The small parts of a training: randomness, initialisation, history, callbacks, device, shape, recipes."""

from __future__ import annotations

import math
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import pellucid
from pellucid.errors import FormatError, UnknownNameError, UsageError
from pellucid.inference.device import choose, exact, inexact_notes, notes
from pellucid.records import PictureFiles, Split
from pellucid.training.callbacks import Callback, Callbacks
from pellucid.training.history import COLUMNS, History, save_times
from pellucid.training.initialisation import INITIALISATIONS, initialise
from pellucid.training.plan import make_plan
from pellucid.training.randomness import epoch_order, generator, named_seed
from pellucid.training.recipes import RECIPES, Recipe, named_recipe
from pellucid.training.rules import find_rule
from pellucid.training.shape import input_shape
from pellucid.training.training import learn


# Randomness
def test_named_seeds_are_the_same_for_ever():
    # Written down once: a change would give other models for the same command.
    assert named_seed(0, "weights") == 7_388_263_408_636_359_099
    assert named_seed(0, "order", 1) == named_seed(0, "order", 1)
    assert 0 <= named_seed(7, "dropout", 3) < 2**63


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from("abc"), st.integers(0, 9)), unique=True, max_size=30))
def test_other_names_give_other_seeds(names):
    assert len({named_seed(*one) for one in names}) == len(names)


@given(st.integers(0, 2**32), st.integers(1, 1000), st.integers(1, 200))
def test_the_order_of_an_epoch_is_a_permutation_that_seed_and_epoch_give(seed, epoch, n):
    order = epoch_order(seed, epoch, n)
    assert sorted(order.tolist()) == list(range(n))
    np.random.default_rng(0).random(5)  # nothing that was drawn before matters
    assert (epoch_order(seed, epoch, n) == order).all()
    if n > 20:
        assert (epoch_order(seed, epoch + 1, n) != order).any()
        assert (epoch_order(seed + 1, epoch, n) != order).any()


def test_generators_are_independent_of_each_other():
    assert generator(0, "a").random() != generator(0, "b").random()


# Initialisation
@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier-normal", 2 / (300 + 200)),
        ("xavier-uniform", 2 / (300 + 200)),
        ("kaiming-normal", 2 / 300),
        ("kaiming-uniform", 2 / 300),
        ("lecun-normal", 1 / 300),
        ("zeros", 0.0),
    ],
)
def test_initialisations_have_their_variance(name, variance):
    torch.manual_seed(0)
    layer = nn.Linear(300, 200)
    initialise(nn.Sequential(layer), name)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.002)
    assert not layer.bias.any()


def test_orthogonal_keeps_lengths():
    layer = nn.Linear(50, 50, bias=False)
    initialise(layer, "orthogonal")
    torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(50), atol=1e-5, rtol=0)


def test_convolutions_are_drawn_and_normalisation_is_left_alone():
    network = nn.Sequential(nn.Conv2d(4, 200, 5), nn.BatchNorm2d(200))
    initialise(network, "kaiming-normal")
    assert network[0].weight.var().item() == pytest.approx(2 / 100, rel=0.1)
    assert (network[1].weight == 1).all()
    assert len(INITIALISATIONS) == 7
    with pytest.raises(UnknownNameError, match="Did you mean 'xavier-normal'"):
        initialise(network, "xavier-norml")


# History
def row(epoch: int, accuracy: float, loss: float) -> dict[str, float]:
    values = (epoch, epoch * 10, 0.1 / 3, 1 / 3, 0.5, loss, accuracy)
    return dict(zip(COLUMNS, values, strict=True))


def test_a_history_comes_back_with_every_digit(tmp_path):
    history = History([row(1, 0.1 + 0.2, 1e-17), row(2, 2 / 3, 12345.678)])
    history.save(tmp_path / "h.csv")
    assert History.load(tmp_path / "h.csv") == history
    assert [type(value) for value in History.load(tmp_path / "h.csv").rows[0].values()] == [int, int] + [float] * 5
    assert len(history) == len(list(history)) == 2
    assert (tmp_path / "h.csv").read_bytes().count(b"\r") == 0


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(1, 0.5, 1.0), (2, 0.6, 2.0)], 2),
        ([(1, 0.6, 1.0), (2, 0.6, 0.9)], 2),
        ([(1, 0.6, 0.9), (2, 0.6, 0.9)], 1),
        ([(1, 0.7, 3.0), (2, 0.6, 0.1)], 1),
    ],
)
def test_the_best_epoch(rows, best):
    assert History([row(*values) for values in rows]).best()["epoch"] == best


@pytest.mark.parametrize(
    "content",
    ["", "epoch,loss\n1,2\n", ",".join(COLUMNS) + "\n1,2\n", ",".join(COLUMNS) + "\na,2,3,4,5,6,7\n",
     ",".join(COLUMNS) + "\n1,2,3,4,5,6,7,8\n"],
)  # fmt: skip
def test_not_a_history(tmp_path, content):
    path = tmp_path / "h.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match="is not a training history"):
        History.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError):
        History.load(path)
    with pytest.raises(FormatError):
        History.load(tmp_path / "none.csv")


def test_times_have_a_file_of_their_own(tmp_path):
    save_times(tmp_path / "t.csv", [1.23456, 2.0])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "epoch,seconds\n1,1.235\n2,2.0\n"


# Callbacks
def test_callbacks_are_called_for_their_methods():
    heard = []

    class Own(Callback):
        def on_best(self, model):
            heard.append(("best", model))

    Callbacks([Own(), SimpleNamespace(on_epoch=lambda row: heard.append(("epoch", row))), object()]).notify("best", 1)
    Callbacks([Own(), SimpleNamespace(on_epoch=lambda row: heard.append(("epoch", row)))]).notify("epoch", 2)
    assert heard == [("best", 1), ("epoch", 2)]


def test_which_events_have_a_handler():
    class Own(Callback):
        def on_best(self, model):
            """Listens."""

    assert Callbacks([Own()]).has_handler("best")
    assert Callbacks([SimpleNamespace(on_best=print)]).has_handler("best")
    assert not Callbacks([Callback(), object(), Own()]).has_handler("epoch")
    assert not Callbacks([]).has_handler("best")
    # What `Callback` itself does, is nothing.
    Callbacks([Callback()]).notify("start", None)
    Callbacks([Callback()]).notify("step", 1, 0.5, 0.5)
    Callbacks([Callback()]).notify("epoch", {})
    Callbacks([Callback()]).notify("best", None)
    Callbacks([Callback()]).notify("end", {})


# Device
def test_an_untested_device_is_noted(monkeypatch):
    assert notes(torch.device("cpu")) == ()
    (said,) = notes(torch.device("mps"))
    assert said == "This ran on the device mps, where Pellucid has never been tested."
    monkeypatch.setattr("pellucid.training.methods.scratch.device_notes", lambda _: notes(torch.device("mps")))
    done = learn(
        pellucid.load("digits"), make_plan(pellucid.load("digits"), "logistic-regression", epochs=1), progress=False
    )
    assert said in done.notes


def test_a_card_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    assert notes(torch.device("cuda")) == ("This ran on the card NVIDIA H200.",)


def test_a_card_is_made_exact_within_a_block_only(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    library = torch.backends.cudnn
    before = library.deterministic, library.benchmark, torch.utils.deterministic.fill_uninitialized_memory
    warning = "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but you set ..."
    with exact(torch.device("cuda")) as operations:
        assert torch.are_deterministic_algorithms_enabled()
        assert library.deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        for _ in range(2):
            warnings.warn(warning, UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
    assert operations == ["adaptive_max_pool2d_backward_cuda"]
    (said,) = inexact_notes(operations)
    name = "adaptive_max_pool2d_backward_cuda"
    assert said == f"torch has no deterministic form of {name} on this card, so the same command may give other bytes."
    assert inexact_notes([]) == ()
    assert not torch.are_deterministic_algorithms_enabled()
    after = library.deterministic, library.benchmark, torch.utils.deterministic.fill_uninitialized_memory
    assert after == before
    for device, wanted in (("cpu", True), ("cuda", False)):
        with exact(torch.device(device), wanted=wanted):
            assert not torch.are_deterministic_algorithms_enabled()


def test_devices(monkeypatch):
    assert choose("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="This machine has no cuda device"):
        choose("cuda")
    with pytest.raises(UnknownNameError, match="no device named 'gpu'"):
        choose("gpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose() == torch.device("cuda")


# Shape
def files(folder, *pictures: tuple[str, tuple[int, int]]) -> Split:
    paths = []
    for index, (mode, size) in enumerate(pictures):
        paths.append(folder / f"{index}.png")
        Image.new(mode, size, 7 if mode == "L" else (1, 2, 3)).save(paths[-1])
    return Split("train", PictureFiles(tuple(paths)), None, ("a", "b"))


def test_the_shape_that_pictures_are_brought_to(tmp_path):
    memory = Split("train", np.zeros((2, 3, 5, 7), np.uint8), None, ("a", "b"))
    assert input_shape(memory) == (3, 5, 7)
    assert input_shape(memory, 9) == (3, 9, 9)
    assert input_shape(memory, (9, 4)) == (3, 9, 4)
    assert input_shape(files(tmp_path, ("L", (20, 30)), ("L", (20, 30)))) == (1, 30, 20)
    assert input_shape(files(tmp_path, ("L", (20, 30)), ("RGB", (20, 30)))) == (3, 30, 20)
    assert input_shape(files(tmp_path, ("RGB", (20, 30)), ("RGB", (20, 31)))) == (3, 64, 64)
    assert input_shape(files(tmp_path, ("RGB", (97, 30)))) == (3, 64, 64)
    assert input_shape(files(tmp_path, ("RGB", (97, 30))), 32) == (3, 32, 32)
    for size in (0, -4, (0, 5), (8,), "8", 8.5, True):
        with pytest.raises(UsageError, match="at least 1"):
            input_shape(memory, size)


# Recipes
def test_a_recipe_is_a_value_that_reads_as_a_difference():
    recipe = Recipe().but(epochs=9, augmentation=["flip"])
    assert recipe.differences() == {"epochs": 9, "augmentation": ("flip",)}
    assert Recipe().but(epochs=9, augmentation=("flip",)) == recipe
    assert recipe.differences(recipe) == {}
    assert Recipe().epochs == 5


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"epochs": 0}, "epochs was given as 0, but should be greater than or equal to 1."),
        ({"epochs": -2}, "epochs was given as -2"),
        ({"epochs": 2.5}, "epochs was given as 2.5"),
        ({"batch_size": 0}, "batch size was given as 0"),
        ({"learning_rate": 0}, "learning rate was given as 0"),
        ({"learning_rate": math.nan}, "learning rate was given as nan"),
        ({"keep": "all"}, "keep was given as 'all', but should be 'best' or 'last'."),
        ({"augmentation": 3}, "augmentation was given as 3"),
        ({"warmup": 1.0}, "warmup"),
        ({"epoch": 3}, "Did you mean 'epochs'?"),
    ],
)
def test_settings_that_cannot_be(changes, part):
    with pytest.raises(UsageError) as caught:
        Recipe().but(**changes)
    assert part in str(caught.value)


def test_named_recipes():
    assert named_recipe("default") == Recipe()
    assert named_recipe("default", {"epochs": 3}).epochs == 3
    assert named_recipe("plain", {"optimizer": "sgd", "epochs": 3}).optimizer == "adam"
    assert named_recipe("plain", {"epochs": 3}).epochs == 3
    for name in RECIPES:
        assert isinstance(named_recipe(name), Recipe)
    with pytest.raises(UnknownNameError, match="Did you mean 'plain'"):
        named_recipe("plane")


def test_an_unknown_rule():
    with pytest.raises(UnknownNameError, match="Did you mean 'gradient'"):
        find_rule("gradients")
