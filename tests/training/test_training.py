"""data + network = model: the whole of a training, on small data."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import pellucid
from pellucid.data.preprocessing import normalise
from pellucid.errors import DataError, FormatError, ModelFileError, PellucidError, TrainingError, UsageError
from pellucid.records import Dataset, Model, Split
from pellucid.training import loop
from pellucid.training.batches import batch_bounds
from pellucid.training.losses import balanced_weights, loss_function
from pellucid.training.plan import make_plan
from pellucid.training.training import Training, learn, train


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return pellucid.load("digits")


@pytest.fixture(scope="module")
def few(digits) -> Dataset:
    return Dataset("few", {"train": digits.train.take(np.arange(300)), "test": digits.test.take(np.arange(60))})


def quick(data: Dataset, network: Any = "mlp", *, callbacks: Any = (), **more: Any) -> Training:
    return learn(data, make_plan(data, network, **{"epochs": 2} | more), callbacks=callbacks, progress=False)


# Batches
@given(st.integers(1, 2000), st.integers(1, 300))
def test_batches_cover_everything_once_and_are_of_nearly_one_size(n, batch_size):
    bounds = batch_bounds(n, batch_size)
    sizes = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == n
    assert sizes.min() >= 1
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1
    assert len(sizes) == math.ceil(n / batch_size)


# It learns, and says what it did
def test_it_learns(digits):
    training = learn(digits, make_plan(digits, "convnet", epochs=3), progress=False)
    found = pellucid.predict(training.model, digits.test)
    assert (found.predicted == digits.test.labels).mean() > 0.9
    rows = training.history.rows
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert len(training.seconds) == 3
    assert training.chosen_epoch in (1, 2, 3)
    assert not training.interrupted
    assert not training.stop_reason


def test_the_model_records_its_training(few):
    training = quick(few, batch_size=50, seed=4)
    said = training.model.specification.training
    assert said["seed"] == 4
    assert said["recipe"]["batch_size"] == 50
    assert said["chosen_epoch"] == training.chosen_epoch
    assert said["data"]["name"] == "few"
    assert said["data"]["sizes"] == {"train": len(training.data.train), "validation": len(training.data.validation)}
    assert said["versions"].keys() == {"pellucid", "python", "torch", "numpy"}
    row = training.history.rows[training.chosen_epoch - 1]
    metrics = training.model.specification.metrics
    assert metrics["validation_accuracy"] == {"value": row["validation_accuracy"], "n": len(training.data.validation)}
    assert metrics["validation_loss"]["value"] == row["validation_loss"]


def test_the_accuracy_of_the_history_is_that_of_predictions(few):
    training = quick(few, keep="last")
    validation = training.data.validation
    specification = training.model.specification.model_copy(update={"temperature": 1.0})
    found = pellucid.predict(Model(specification, training.model.weights), validation)  # the history is not calibrated
    last = training.history.rows[-1]
    assert (found.predicted == validation.labels).mean() == pytest.approx(last["validation_accuracy"])
    loss = -np.log(found.probabilities[np.arange(len(found)), validation.labels]).mean()
    assert loss == pytest.approx(last["validation_loss"], rel=1e-4)


# It repeats itself
EVERYTHING = {
    "epochs": 2,
    "settings": {"widths": [40], "dropout": 0.3},
    "augmentation": ["shift:1", "rotate:10", "flip"],
    "initialisation": "kaiming-normal",
    "seed": 5,
    "progress": False,
}


def test_the_same_command_gives_the_same_bytes_in_another_process(digits, tmp_path):
    path = pellucid.train(digits, "mlp", **EVERYTHING).save(tmp_path / "here.safetensors")
    code = textwrap.dedent(f"""
        import torch, pellucid
        torch.set_num_threads({torch.get_num_threads()})
        torch.rand(7)
        pellucid.train(pellucid.load("digits"), "mlp", **{EVERYTHING!r}).save({str(tmp_path / "there.safetensors")!r})
    """)
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
    assert (tmp_path / "there.safetensors").read_bytes() == path.read_bytes()


def test_other_seeds_give_other_weights_on_the_same_split(few):
    one, two = quick(few, seed=0), quick(few, seed=1)
    assert (one.model.weights["layers.1.weight"] != two.model.weights["layers.1.weight"]).any()
    assert one.data.validation.ids.tolist() == two.data.validation.ids.tolist()
    other_split = quick(few, split_seed=1)
    assert one.data.validation.ids.tolist() != other_split.data.validation.ids.tolist()


def test_the_callers_own_randomness_is_left_alone(few):
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002 (the global state is what is looked at)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = quick(few, **{key: EVERYTHING[key] for key in ("settings", "augmentation")}).model
    quick(few, None, start=model)
    pellucid.predict(model, few.test)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_a_thread_trains_the_same_model(few):
    found = []
    thread = threading.Thread(target=lambda: found.append(quick(few).model))
    thread.start()
    thread.join()
    assert found == [quick(few).model]


# What it looks at
class Untouchable(Split):
    """A split that nobody may look at: only its class names are known."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        object.__setattr__(self, "classes", classes)

    def __getattribute__(self, name: str) -> Any:
        if name in ("classes", "__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise AssertionError(f"the test split was touched: {name}")

    def __len__(self) -> int:
        raise AssertionError("the test split was counted")


def test_the_test_split_is_never_touched(few):
    data = Dataset("few", {"train": few.train, "test": Untouchable(few.classes)})
    with pytest.raises(AssertionError, match="touched"):
        _ = data.test.pictures
    with pytest.raises(AssertionError, match="counted"):
        len(data.test)
    model = quick(data).model
    assert model == quick(few).model
    quick(data, "perceptron")  # whose probabilities are fitted afterwards
    quick(data, start=model, class_weights="balanced", early_stopping=1)


def test_validation_is_carved_stratified_from_the_training_split(digits):
    training = quick(digits, epochs=1, validation_fraction=0.2)
    train_ids, validation_ids = (set(training.data.split(name).ids) for name in ("train", "validation"))
    assert not train_ids & validation_ids
    assert train_ids | validation_ids == set(digits.train.ids)
    whole = digits.train.counts()
    for name, n in training.data.validation.counts().items():
        assert n == pytest.approx(0.2 * whole[name], abs=1)


def test_a_validation_split_that_is_given_is_taken(few):
    data = replace(few, splits={**few.splits, "validation": few.test})
    assert quick(data).data is data


# How pictures become inputs
@pytest.mark.parametrize(
    ("scaling", "mean", "deviation"), [("unit", 0.0, 1.0), ("symmetric", 0.5, 0.5), ("standard", None, None)]
)
def test_the_scaling_reaches_the_model(few, scaling, mean, deviation):
    training = quick(few, epochs=1, scaling=scaling)
    preprocessing = training.model.specification.preprocessing
    pictures = training.data.train.pictures / 255
    assert preprocessing.scaling == scaling
    assert preprocessing.mean == pytest.approx([pictures.mean() if mean is None else mean])
    assert preprocessing.std == pytest.approx([pictures.std() if deviation is None else deviation])


def test_a_size_reaches_the_model(few):
    model = quick(few, epochs=1, size=(6, 10), fit="pad").model
    assert model.specification.preprocessing.shape == (1, 6, 10)
    assert model.specification.preprocessing.fit == "pad"
    assert model.weights["layers.1.weight"].shape[1] == 60
    assert len(pellucid.predict(model, few.test)) == 60


def test_from_files(tmp_path):
    generator = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 150)):
        (tmp_path / name).mkdir()
        for i in range(10):
            pixels = generator.integers(low, low + 100, (12, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    data = pellucid.load(str(tmp_path))
    model = quick(data, "logistic-regression", epochs=20).model
    assert model.specification.preprocessing.shape == (3, 12, 14)
    assert model.classes == ("dark", "light")
    found = pellucid.predict(model, data.test)
    assert (found.predicted == data.test.labels).all()
    learned = next(name for name in data.train.ids if name.startswith("dark/"))
    (tmp_path / learned).write_bytes(b"no picture")
    with pytest.raises(FormatError, match="dark"):
        quick(data, "logistic-regression")


def test_arrays_that_may_not_be_written(few):
    pictures, labels = few.train.pictures.copy(), few.train.labels.copy()
    pictures.flags.writeable = labels.flags.writeable = False
    data = Dataset("few", {"train": replace(few.train, pictures=pictures, labels=labels), "test": few.test})
    frozen = Dataset("few", {"train": data.train, "validation": replace(data.train, name="validation")})
    model = quick(frozen).model
    assert len(pellucid.predict(model, frozen.train)) == len(pictures)


# The plan
class Tape:
    """Records every call."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *values: self.events.append((name[3:], values))


class BestTape(Tape):
    def on_best(self, model: Model) -> None:
        self.events.append(("best", (model,)))


def test_callbacks_are_called_in_order(few):
    tape = BestTape()
    training = quick(few, batch_size=100, callbacks=[tape], keep="last")
    names = [name for name, _ in tape.events if name not in ("chosen", "weights")]
    epoch = ["step"] * 3 + ["best", "model", "epoch"]
    assert names == ["start", "model", *epoch, *epoch, "end"]
    plan = tape.events[0][1][0]
    assert (plan.network, plan.data, plan.epochs, plan.steps_per_epoch) == ("mlp", "few", 2, 3)
    assert (plan.pictures, plan.validation_pictures) == (len(training.data.train), len(training.data.validation))
    steps = [values for name, values in tape.events if name == "step"]
    assert [values[0] for values in steps] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(float(loss)) and 0 <= float(accuracy) <= 1 for _, loss, accuracy in steps)
    assert [values[0] for name, values in tape.events if name == "epoch"] == training.history.rows
    best = [values[0] for name, values in tape.events if name == "best"]
    calibrated = training.model.specification.temperature  # chosen once, at the end
    assert (
        Model(best[-1].specification.model_copy(update={"temperature": calibrated}), best[-1].weights) == training.model
    )
    assert best[0] != training.model
    summary = tape.events[-1][1][0]
    assert summary["chosen_epoch"] == 2
    assert not summary["interrupted"]
    assert summary["seconds"] > 0


def test_on_end_is_called_even_on_an_error(few):
    tape = Tape()
    with pytest.raises(TrainingError):
        quick(few, callbacks=[tape], learning_rate=1e30, schedule="constant")
    assert [name for name, _ in tape.events][-1] == "end"
    assert tape.events[-1][1][0]["interrupted"]


def test_the_loss_of_the_first_epoch_is_that_of_the_plan(few):
    """With a learning rate of nearly nothing and one batch, the loss is that of the untrained network."""
    nothing = {"epochs": 1, "learning_rate": 1e-30, "batch_size": 1000, "weight_decay": 0.0, "keep": "last"}
    for changes in ({}, {"label_smoothing": 0.3}, {"class_weights": "balanced"}, {"loss": "hinge"}):
        data = Dataset("odd", {"train": few.train.take(np.flatnonzero(few.train.labels != 3)[:200])})
        training = quick(data, "logistic-regression", **nothing, **changes)
        module = pellucid.build(training.model)
        inputs = normalise(torch.from_numpy(training.data.train.pictures), training.model.specification.preprocessing)
        labels = torch.from_numpy(training.data.train.labels)
        weights = balanced_weights(labels, 10) if "class_weights" in changes else None
        function = loss_function(
            changes.get("loss", "cross-entropy"), weights=weights, smoothing=changes.get("label_smoothing", 0.0)
        )
        with torch.no_grad():
            wanted = function(module(inputs), labels).item()
        assert training.history.rows[0]["train_loss"] == pytest.approx(wanted, rel=1e-5)


def test_label_smoothing_for_another_loss(few):
    with pytest.raises(UsageError, match="works with the loss cross-entropy only"):
        quick(few, loss="hinge", label_smoothing=0.1)
    with pytest.raises(UsageError, match="works with the loss cross-entropy only"):
        quick(few, "sigmoid-neuron", label_smoothing=0.1)


def scripted(monkeypatch, accuracies: list[float]) -> None:
    """Makes validation say what the test wants it to say."""
    left = iter(accuracies)
    monkeypatch.setattr(loop, "measure", lambda *_, **__: (1.0, next(left)))


def test_the_best_epoch_is_chosen(few, monkeypatch):
    scripted(monkeypatch, [0.5, 0.9, 0.7])
    best = quick(few, epochs=3)
    assert best.chosen_epoch == 2
    scripted(monkeypatch, [0.5, 0.9, 0.7])
    last = quick(few, epochs=3, keep="last")
    assert last.chosen_epoch == 3
    assert best.model != last.model


def test_early_stopping_waits_for_its_patience(few, monkeypatch):
    scripted(monkeypatch, [0.5, 0.9, 0.7, 0.8, 0.7, 0.99])
    training = quick(few, epochs=6, early_stopping=2)
    assert len(training.history) == 4
    assert training.chosen_epoch == 2
    assert not training.interrupted
    scripted(monkeypatch, [0.5, 0.9, 0.7, 0.8, 0.91, 0.9, 0.9])
    assert len(quick(few, epochs=6, early_stopping=3).history) == 6


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"optimizer": "adm"}, "Did you mean 'adam'?"),
        ({"schedule": "one-cycel"}, "Did you mean 'one-cycle'?"),
        ({"loss": "crossentropy"}, "Did you mean 'cross-entropy'?"),
        ({"initialisation": "zero"}, "Did you mean 'zeros'?"),
        ({"augmentation": ["flop"]}, "Did you mean 'flip'?"),
        ({"augmentation": ["shift:x"]}, "shift:NUMBER"),
        ({"recipe": "plan"}, "Did you mean 'plain'?"),
        ({"epochs": -1}, "epochs was given as -1"),
        ({"device": "gpu"}, "no device named 'gpu'"),
        ({"recipe": {"epochs": 1}}, "A recipe is the name of one, or a pellucid.Recipe"),
        ({"settings": 5}, "The settings of a network have names"),
        ({"settings": {"widths": 10**12}}, "The network 'mlp' cannot be made for pictures of (1, 8, 8)"),
        ({"seed": -1}, "at least 0"),
        ({"seed": 1.5}, "at least 0"),
        ({"seed": True}, "at least 0"),
        ({"settings": {"width": 3}}, "Did you mean 'widths'?"),
        ({"learning_rat": 3}, "Did you mean 'learning_rate'?"),
    ],
)
def test_invalid_settings_are_refused_before_a_picture_is_read(changes, part):
    unread = Untouchable(("a", "b"))
    data = Dataset("unread", {"train": unread, "validation": unread})
    if "settings" in changes:  # only the network knows them, and it is made for the pictures
        data = pellucid.load("digits")
    with pytest.raises(PellucidError) as caught:
        quick(data, **changes)
    assert part in str(caught.value)


def test_data_that_cannot_be_learned_from(digits):
    with pytest.raises(UsageError, match="given: 'digits'"):
        train("digits", "mlp")
    one = Split("train", digits.train.pictures[:5], np.zeros(5, np.int64), ("a",))
    with pytest.raises(DataError, match="has only the class 'a'"):
        train(Dataset("one", {"train": one}), "mlp")
    with pytest.raises(DataError, match="no labels"):
        quick(Dataset("unlabelled", {"train": replace(digits.train, labels=None)}))
    single = digits.train.take([0])
    with pytest.raises(DataError, match="too few to split off"):
        quick(Dataset("single", {"train": single}))
    with pytest.raises(PellucidError, match="no train split"):
        quick(Dataset("tests", {"test": digits.test}))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("network", ["convnet", "deep-convnet"])
def test_very_few_pictures_are_learned_from_or_refused_in_a_sentence(digits, network, n):
    data = Dataset("tiny", {"train": digits.train.take(np.arange(n)), "validation": digits.train.take([3, 4])})
    try:
        training = quick(data, network, epochs=1, batch_size=2)
    except TrainingError as error:
        refused = str(error)
    else:
        assert training.history.rows[0]["step"] == math.ceil(n / 2)
        return
    assert network == "deep-convnet"
    assert n != 2
    assert "Batch normalisation" in refused


# When it goes wrong
def test_a_loss_that_is_not_finite_ends_in_a_sentence(few):
    with pytest.raises(TrainingError) as caught:
        quick(few, learning_rate=1e30, schedule="constant", warmup=0.0)
    assert "became infinite or NaN in epoch 1, before one was finished" in str(caught.value)
    assert "for example 0.1," in str(caught.value), "the rate after an absurd one is one that may work"


class Spoilt(nn.Module):
    """Learns well for a while, then gives no numbers, while it learns or afterwards."""

    after = 8
    when = True

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.count = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += self.training
        out = self.linear(x.flatten(1))
        return out * math.nan if self.count > self.after and self.training is self.when else out


@pytest.mark.parametrize("when", [True, False])
def test_after_divergence_the_last_good_epoch_is_chosen_and_noted(few, monkeypatch, when):
    monkeypatch.setattr(Spoilt, "when", when)
    training = quick(few, Spoilt(), epochs=5, batch_size=50)
    steps = training.history.rows[0]["step"]
    spoilt_in = Spoilt.after // steps + 1
    assert len(training.history) == spoilt_in - 1 >= 1
    assert training.chosen_epoch >= 1
    assert not training.interrupted
    assert f"in epoch {spoilt_in}, so the training ended; the model is that of epoch" in training.stop_reason
    assert training.stop_reason in training.notes
    assert all(np.isfinite(array).all() for array in training.model.weights.values())
    with pytest.warns(UserWarning, match="became infinite or NaN"):
        train(few, Spoilt(), epochs=5, batch_size=50, progress=False)


class AtStep:
    """Sends Ctrl-C after some steps."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def on_step(self, step: int, *_: Any) -> None:
        if step in self.steps:
            signal.raise_signal(signal.SIGINT)


def test_an_interruption_keeps_the_best_epoch(few):
    before = signal.getsignal(signal.SIGINT)
    whole = quick(few, epochs=5, batch_size=50)
    steps = whole.history.rows[0]["step"]
    training = quick(few, epochs=5, batch_size=50, callbacks=[AtStep(2 * steps + 1)])
    assert training.interrupted
    assert training.history.rows == whole.history.rows[:2]
    assert training.chosen_epoch in (1, 2)
    assert len(pellucid.predict(training.model, few.test)) == 60
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interruption_after_the_last_step_of_an_epoch_keeps_that_epoch(few):
    steps = quick(few, epochs=1, batch_size=50).history.rows[0]["step"]
    training = quick(few, epochs=3, batch_size=50, callbacks=[AtStep(steps)])
    assert training.interrupted
    assert len(training.history) == 1
    done = quick(few, epochs=1, batch_size=50, callbacks=[AtStep(steps)])
    assert not done.interrupted


def test_an_interruption_in_the_first_epoch(few):
    training = quick(few, batch_size=50, callbacks=[AtStep(1)])
    assert training.interrupted
    assert training.chosen_epoch == 0
    assert training.history.rows == []
    assert training.model.specification.metrics == {}


def test_a_second_interruption_is_at_once(few):
    before = signal.getsignal(signal.SIGINT)

    class Twice:
        def on_step(self, *_: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        quick(few, callbacks=[Twice()])
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_ctrl_c_stays_ignored(few, monkeypatch):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        training = quick(few, callbacks=[AtStep(1)])
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    assert not training.interrupted


# From a model
def test_it_starts_from_the_weights_of_a_model(few, tmp_path):
    first = quick(few, settings={"widths": [30]}).model
    begun = {}

    class Watch:
        def on_chosen(self, outcome: Any) -> None:
            begun.setdefault("weights", outcome.weights)

    more = quick(few, start=first, learning_rate=1e-30, weight_decay=0.0, epochs=1, callbacks=[Watch()])
    for name, array in first.weights.items():
        np.testing.assert_array_equal(begun["weights"][name], array)
    assert more.model.specification.network == first.specification.network
    assert more.model.specification.training["started_from"] == first.sha256
    path = first.save(tmp_path / "model.safetensors")
    assert quick(few, None, start=path, epochs=1).model == quick(few, None, start=first, epochs=1).model
    named_too = quick(few, "mlp", start=first, epochs=1)
    assert named_too.model.weights["layers.1.weight"].shape == (30, 64)


def test_the_preprocessing_of_a_start_model_is_kept_and_noted(few):
    first = quick(few, scaling="unit").model
    more = quick(few, None, start=first)
    assert more.model.specification.preprocessing == first.specification.preprocessing
    assert more.recipe.scaling == "unit"
    assert any("The scaling is 'unit', as in the model to start from" in note for note in more.notes)
    assert quick(few, None, start=first, size=8).model.specification.preprocessing.height == 8
    with pytest.raises(UsageError, match="takes pictures of 8×8 pixels"):
        quick(few, None, start=first, size=9)


def test_a_start_model_that_does_not_fit_is_refused(few):
    first = quick(few, epochs=1).model
    renamed = tuple(f"digit {name}" for name in few.classes)
    other = Dataset("other", {"train": replace(few.train, classes=renamed)})
    with pytest.raises(UsageError, match="they must be the same, in the same order"):
        quick(other, None, start=first)
    with pytest.raises(ModelFileError, match="The weights do not fit this network"):
        quick(few, "logistic-regression", start=first)
    with pytest.raises(ModelFileError, match="The weights do not fit this network"):
        quick(few, "mlp", start=first, settings={"widths": [7]})


def test_steps_leave_no_notes_for_devices_that_are_not_there():
    """`torch.manual_seed` keeps a stack trace for each kind of device at every call, where there is none."""
    data = pellucid.load("digits")
    before = len(torch.cuda._queued_calls)
    training = learn(data, make_plan(data, "logistic-regression", epochs=1, batch_size=64), progress=False)
    assert len(training.history) == 1
    assert len(torch.cuda._queued_calls) - before < 5
