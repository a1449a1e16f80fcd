"""What fits into a time is tried, and validation chooses."""

from __future__ import annotations

import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.methods import best_within
from pellucid.training.plan import make_plan
from pellucid.training.training import learn


@pytest.fixture(scope="module")
def data(photos):
    return pellucid.load(photos)


def test_where_no_epoch_fits_the_last_layer_alone_is_the_model(data, photo_model):
    training = learn(data, make_plan(data, best_within=0.001, size=32), progress=False)
    assert any("does not fit into the time; only the last layer was tried" in note for note in training.notes)
    assert training.model == photo_model, "it has learned from all training pictures"


@pytest.mark.parametrize(("rate", "kept"), [(5.0, "none was better"), (1e-4, "")])
def test_where_some_fit_validation_chooses(data, photo_model, monkeypatch, rate, kept):
    monkeypatch.setattr(best_within, "MOST_EPOCHS", 1)
    settings = {"size": 32, "batch_size": 8, "learning_rate": rate, "validation_fraction": 0.3}
    training = learn(data, make_plan(data, best_within=600, **settings), progress=False)
    if kept:
        assert any(kept in note for note in training.notes)
        assert training.model == photo_model
    else:
        assert training.chosen_epoch == 1 or training.model == photo_model
        assert training.model.classes == data.classes


class Killed(BaseException):
    """What stands for a process that ends at once."""


class Kill:
    """Ends the process after an epoch, and counts the steps until then."""

    def __init__(self, after: int = 0) -> None:
        self.after, self.made = after, 0

    def on_step(self, step, loss, accuracy):
        self.made += 1

    def on_epoch(self, row):
        if row["epoch"] == self.after:
            raise Killed


def test_killed_it_goes_on_and_makes_as_many_epochs_as_it_planned(data, tmp_path, monkeypatch):
    settings = {"size": 32, "batch_size": 8, "validation_fraction": 0.3, "best_within": 600}
    monkeypatch.setattr(best_within, "MOST_EPOCHS", 2)
    watch, again = Kill(), Kill()
    whole = learn(data, make_plan(data, **settings), progress=False, callbacks=[watch])
    with pytest.raises(Killed):
        learn(
            data,
            make_plan(data, **settings),
            progress=False,
            checkpoints=Checkpoints(tmp_path),
            callbacks=[Kill(after=1)],
        )
    monkeypatch.setattr(best_within, "MOST_EPOCHS", 1)  # a machine that has become slower
    resumed = learn(
        data,
        make_plan(data, **settings),
        progress=False,
        checkpoints=Checkpoints(tmp_path, resume=True),
        callbacks=[again],
    )
    assert resumed.model.sha256 == whole.model.sha256
    assert again.made == watch.made / 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"network": "mlp", "recipe": "plain"}, "Best-within is for photos with a backbone"),
        ({"network": "lite0", "recipe": "scratch"}, "Best-within is for photos with a backbone"),
        ({"start": True}, "without a model to start from. To train as many epochs as fit into a time, give --budget"),
        ({"epochs": 3}, "determines the number of epochs"),
        ({"backbone": "lite0", "network": "timm:x"}, "The network 'timm:x' and the backbone 'lite0' differ"),
    ],
)
def test_what_it_would_ignore_is_refused(data, photo_model, given, sentence):
    if "start" in given:
        given = {"start": photo_model}
    with pytest.raises(UsageError, match=sentence):
        learn(data, make_plan(data, **given, best_within=60), progress=False)


def test_it_is_for_photos():
    with pytest.raises(UsageError, match="Best-within is for photos"):
        learn(pellucid.load("digits"), make_plan(pellucid.load("digits"), best_within=60), progress=False)
