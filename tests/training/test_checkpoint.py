"""Checkpoints: interrupted anywhere and resumed, a training ends with the same bytes as if it had never stopped."""

import contextlib
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import FormatError, StorageError
from pellucid.training.callbacks import Snapshots
from pellucid.training.checkpoint import Checkpoints, Position, State
from pellucid.training.plan import make_plan
from pellucid.training.processes import ProcessGroup
from pellucid.training.training import learn


class Crash(BaseException):
    """What stands for a process that ends at once."""


class CrashAt:
    """Crashes after a step, and notes every step that was made."""

    def __init__(self, step=None) -> None:
        self.step = step
        self.made = []

    def on_step(self, step, loss, accuracy):
        self.made.append(step)
        if step == self.step:
            raise Crash


@pytest.fixture(scope="module")
def digits():
    data = pellucid.load("digits")
    return pellucid.records.Dataset("few", {"train": data.train.take(np.arange(200)), "test": data.test})


RECIPES = {
    "adamw, augmentation": ("convnet", {"augmentation": ("shift:1", "rotate:5")}),
    "sgd, dropout": ("mlp", {"optimizer": "sgd", "learning_rate": 0.05, "settings": {"dropout": 0.5}}),
    "adam": ("lenet5-1998", {}),
    "adagrad": ("mlp", {"optimizer": "adagrad"}),
    "rmsprop, last": ("mlp", {"optimizer": "rmsprop", "keep": "last", "schedule": "step"}),
    "perceptron": ("perceptron", {}),
    "hinge, clipped, stopped early": ("mlp", {"loss": "hinge", "gradient_clip": 1.0, "early_stopping": 1}),
    "channels last": ("cifar-convnet", {}),
    "muon, averaged, mirrored in turn": (
        "convnet",
        {"optimizer": "muon", "learning_rate": 0.02, "ema_decay": 0.9, "augmentation": ("alternating-flip",)},
    ),
    "mixed precision, muon at one norm": (
        "convnet",
        {"optimizer": "muon", "normalise_kernels": True, "precision": "mixed"},
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_crash_anywhere_changes_no_byte(digits, tmp_path, name):
    network, changes = RECIPES[name]
    plan = {"epochs": 3, "batch_size": 32, **changes}
    whole = learn(digits, make_plan(digits, network, **plan), progress=False)
    for step in (1, 4, 6, 7, 11):  # six steps an epoch: first, amid, last of an epoch, first of the next
        folder = tmp_path / str(step)
        with pytest.raises(Crash):
            learn(
                digits,
                make_plan(digits, network, **plan),
                progress=False,
                callbacks=[CrashAt(step)],
                checkpoints=Checkpoints(folder, every=0),
            )
        resumed = learn(
            digits,
            make_plan(digits, network, **plan),
            progress=False,
            checkpoints=Checkpoints(folder, every=0, resume=True),
        )
        assert resumed.history == whole.history
        assert resumed.model.sha256 == whole.model.sha256


def test_at_most_one_interval_is_repeated(digits, tmp_path):
    plan = {"epochs": 3, "batch_size": 32}
    for every, most in ((0, 1), (1e9, 6)):  # after every batch; at the end of each epoch of six steps
        made = []
        folder = tmp_path / str(every)
        for crash_at in (3, 9, 16, None):
            watch = CrashAt(crash_at)
            with contextlib.suppress(Crash):
                learn(
                    digits,
                    make_plan(digits, "mlp", **plan),
                    progress=False,
                    callbacks=[watch],
                    checkpoints=Checkpoints(folder, every=every, resume=bool(made)),
                )
            if made:
                again = made[-1] - watch.made[0] + 1
                assert 0 <= again <= most, f"{again} steps were made again"
            made += watch.made
        assert sorted(set(made)) == list(range(1, 19))


def test_no_epoch_is_missing_from_the_snapshots_of_a_training_that_was_killed(digits, tmp_path):
    class CrashAfterTheCheckpoint:
        def on_epoch(self, row):
            if row["epoch"] == 2:
                raise Crash

    plan = {"epochs": 3, "batch_size": 32}
    snapshots, folder = Snapshots(tmp_path / "snapshots"), tmp_path / "checkpoint"
    with pytest.raises(Crash):
        learn(
            digits,
            make_plan(digits, "mlp", **plan),
            progress=False,
            callbacks=[CrashAfterTheCheckpoint(), snapshots],
            checkpoints=Checkpoints(folder),
        )
    learn(
        digits,
        make_plan(digits, "mlp", **plan),
        progress=False,
        callbacks=[snapshots],
        checkpoints=Checkpoints(folder, resume=True),
    )
    assert sorted(path.name for path in snapshots.folder.iterdir()) == [
        f"epoch-{epoch:04d}.safetensors" for epoch in (0, 1, 2, 3)
    ]


def state(step=7, size=3):
    array = np.arange(size, dtype=np.float32)
    return State(
        step=step,
        position=Position(2, 1, 0.1 + 0.2, 5, 1.5),
        network={"w": array, "n": np.array(3)},
        chosen={"w": array + 1},
        rule={"0/step": np.array(2.0, dtype=np.float32)},
        chosen_epoch=1,
        history=[{"epoch": 1, "train_loss": 0.1 + 0.2}],
        seconds=[0.25],
    )


def checkpoints(folder, resume=False):
    made = Checkpoints(folder, resume=resume)
    made.plan = "plan"
    return made


def test_a_state_survives_a_round_trip(tmp_path):
    checkpoints(tmp_path).write(state())
    found = checkpoints(tmp_path, resume=True).latest()
    assert found.position == state().position
    assert (found.step, found.chosen_epoch, found.history, found.seconds) == (7, 1, state().history, [0.25])
    for part in ("network", "chosen", "rule"):
        expected, got = getattr(state(), part), getattr(found, part)
        assert expected.keys() == got.keys()
        for name in expected:
            assert got[name].dtype == expected[name].dtype
            assert got[name].shape == expected[name].shape
            np.testing.assert_array_equal(got[name], expected[name])


def test_two_checkpoints_remain_and_a_new_training_ignores_them(tmp_path):
    for step in (1, 5, 12):
        checkpoints(tmp_path).write(state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000005.safetensors",
        "step-000000012.safetensors",
    ]
    assert checkpoints(tmp_path).latest() is None
    assert checkpoints(tmp_path / "nothing", resume=True).latest() is None


@settings(max_examples=60, deadline=None)
@given(where=st.integers(0, 10_000), torn=st.booleans())
def test_a_damaged_checkpoint_is_skipped(tmp_path_factory, where, torn):
    folder = tmp_path_factory.mktemp("damaged")
    checkpoints(folder).write(state(1))
    checkpoints(folder).write(state(2))
    newest = folder / "step-000000002.safetensors"
    content = bytearray(newest.read_bytes())
    where %= len(content)
    if torn:
        content = content[:where]
    else:
        content[where] ^= 0x41
    newest.write_bytes(content)
    assert checkpoints(folder, resume=True).latest().step == 1
    (folder / "step-000000001.safetensors").write_bytes(b"")
    with pytest.raises(FormatError, match="No checkpoint can be read"):
        checkpoints(folder, resume=True).latest()


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_of_several_processes_copies_the_state(tmp_path, monkeypatch, rank):
    asked = []
    monkeypatch.setattr("pellucid.training.checkpoint.current_group", lambda: ProcessGroup(rank, 2))
    made = Checkpoints(tmp_path, every=60)
    made._written -= 61
    assert made.is_due()
    made.save(lambda: asked.append(rank) or state(1))
    assert asked == ([0] if rank == 0 else [])
    assert len(list(tmp_path.iterdir())) == len(asked)
    assert not made.is_due(), "the next is due a minute later, in all processes"


def test_a_checkpoint_of_another_training_is_refused(digits, tmp_path):
    plan = {"epochs": 2, "batch_size": 64}
    learn(digits, make_plan(digits, "mlp", **plan), progress=False, checkpoints=Checkpoints(tmp_path))
    with pytest.raises(FormatError, match="is of another training"):
        learn(
            digits,
            make_plan(digits, "mlp", seed=1, **plan),
            progress=False,
            checkpoints=Checkpoints(tmp_path, resume=True),
        )


def test_a_full_disk_leaves_the_previous_checkpoint_and_explains_how_to_resume(tmp_path, monkeypatch):
    made = checkpoints(tmp_path / "run" / "checkpoint")
    made.write(state(1))

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"The disk is full.*go on with `pellucid train --resume .*run`"):
        made.write(state(2))
    assert [path.name for path in made.folder.iterdir()] == ["step-000000001.safetensors"]
    assert checkpoints(made.folder, resume=True).latest().step == 1


def test_a_disk_that_is_full_from_the_start_suggests_no_resume(tmp_path, monkeypatch):
    def full(*_: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StorageError) as error:
        checkpoints(tmp_path / "run" / "checkpoint").write(state(1))
    assert str(error.value).endswith("There is no checkpoint yet: solve this, and start the training again.")
    assert "--resume" not in str(error.value)
