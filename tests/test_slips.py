"""Slips of those who write Python: each gets a sentence, and none a traceback from the depths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.records import Model, Predictions


@pytest.fixture(scope="module")
def data():
    return pellucid.load("digits")


@pytest.fixture(scope="module")
def model(data):
    return pellucid.train(data, "logistic-regression", epochs=1, progress=False)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def message_of(do: Any) -> str:
    with pytest.raises(UsageError) as caught:
        do()
    return str(caught.value)


def test_a_model_is_no_predictions(data, model):
    assert message_of(lambda: pellucid.evaluate(model, data.test)) == (
        f"evaluate needs predictions, as in evaluate(predict(model, pictures)); given: {model!r}."
    )


def test_a_dataset_is_no_split(data, model):
    predictions = pellucid.predict(model, data.test)
    assert message_of(lambda: pellucid.evaluate(predictions, data)) == (
        f"The pictures must be the predicted split, for example data.test; given: {data!r}."
    )


@pytest.mark.parametrize("given", [None, 3, np.zeros((2, 8, 8), np.uint8)])
def test_what_cannot_be_loaded(given):
    assert message_of(lambda: pellucid.load(given)).startswith(
        "Data are loaded by a name or a path, for example 'mnist' or 'photos/'; given:"
    )


@pytest.mark.parametrize("given", [print, [print], 3])
def test_what_cannot_be_called_back(data, given):
    sentence = message_of(
        lambda: pellucid.train(data, "logistic-regression", epochs=1, progress=False, callbacks=given)
    )
    assert sentence.startswith("Callbacks are a list of objects with methods such as on_epoch(row); given: ")


@pytest.mark.parametrize("given", ["3", 2.5, True, None])
def test_what_is_no_batch_size_of_predictions(data, model, given):
    sentence = f"A batch size is a whole number of pictures, at least 1; given: {given!r}."
    assert message_of(lambda: pellucid.predict(model, data.test, batch_size=given)) == sentence


def test_what_is_no_batch_size_of_a_training(data):
    assert message_of(lambda: pellucid.train(data, "mlp", batch_size="many", progress=False)).startswith(
        "batch size was given as 'many', but should be "
    )


def test_whole_numbers_of_numpy_are_whole_numbers(data):
    first, second = (
        pellucid.train(data, "logistic-regression", epochs=1, progress=False, seed=seed, batch_size=size)
        for seed, size in ((np.int64(3), np.int32(64)), (3, 64))
    )
    assert first == second
    assert first.specification.training["seed"] == 3
    assert len(pellucid.predict(first, data.test, batch_size=np.int64(100))) == 360


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", np.int64(-1)])
def test_what_is_no_seed(data, seed):
    sentence = f"A seed is a whole number of at least 0; given: {seed!r}."
    assert message_of(lambda: pellucid.train(data, "mlp", seed=seed)) == sentence


@pytest.mark.parametrize(
    ("given", "taken"),
    [("flip", ("flip",)), ("flip,shift:2", ("flip", "shift:2")), ("none", ()), (None, ()), (["flip"], ("flip",))],
)
def test_augmentation_in_one_word(given, taken):
    assert pellucid.Recipe().but(augmentation=given).augmentation == taken


def test_a_model_is_saved_in_ones_own_folder(model, home):
    assert model.save("~/x.safetensors") == home / "x.safetensors"
    assert Model.load("~/x.safetensors") == model


def test_predictions_are_saved_in_ones_own_folder(data, model, home):
    predictions = pellucid.predict(model, data.test)
    predictions.save("~/x.parquet")
    assert len(Predictions.load("~/x.parquet")) == 360
    assert (home / "x.parquet").is_file()


def test_a_network_from_ones_own_folder(data, home):
    (home / "mine.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, 10))\n",
        encoding="utf-8",
    )
    made = pellucid.train(data, "~/mine.py:Net", epochs=1, progress=False)
    assert made.specification.network.name == "custom"


@pytest.mark.parametrize("do", [pellucid.load, Model.load, Predictions.load])
def test_the_folder_of_nobody(do):
    assert message_of(lambda: do("~nobody-at-all/x")) == (
        "~nobody-at-all/x begins with the folder of the user 'nobody-at-all', and this machine has no such user. For "
        "a file of that name, write ./~nobody-at-all/x."
    )


def test_predictions_say_how_many_were_unreadable():
    predictions = Predictions(
        ids=np.array(["a"]),
        probabilities=np.ones((1, 1), np.float32),
        classes=("x",),
        unreadable={"b": "no", "c": "no"},
    )
    assert repr(predictions) == "Predictions(1 picture, 1 class, labels unknown, 2 more could not be read)"
