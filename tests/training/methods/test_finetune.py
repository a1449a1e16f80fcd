"""Fine-tuning begins with a last layer on frozen features, and keeps what validation prefers."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import pellucid
from pellucid.errors import DataError, FormatError
from pellucid.records import Model
from pellucid.training.batch_size import ProcessTrials, find_batch_size
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.dry_run import dry_run
from pellucid.training.methods import best_within, finetune
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

FEW = {"recipe": "finetune", "size": 32, "epochs": 1, "batch_size": 8, "validation_fraction": 0.3}


@pytest.fixture(scope="module")
def data(photos):
    return pellucid.load(photos)


class Watcher:
    """What it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_planned(self, sentence: str) -> None:
        self.said.append(sentence)


def test_everything_learns_but_the_statistics(data, photo_model, tmp_path):
    watcher = Watcher()
    training = learn(data, make_plan(data, **FEW, keep="last", learning_rate=1e-3), progress=False, callbacks=[watcher])
    assert any("the last layer alone has an accuracy of" in one for one in watcher.said)
    assert any(note.startswith("before fine-tuning, the last layer alone") for note in training.notes)
    model = training.model
    assert model.specification.training["recipe"]["backbone"] == "lite0"
    assert "started_from" in model.specification.training or training.chosen_epoch == 0
    if training.chosen_epoch:
        before, after = photo_model.weights, model.weights
        assert (before["stem.convolution.weight"] != after["stem.convolution.weight"]).any()
        np.testing.assert_array_equal(
            before["stem.normalisation.running_mean"], after["stem.normalisation.running_mean"]
        )
    assert Model.load(model.save(tmp_path / "model.safetensors")) == model


def test_what_is_measured_beforehand_is_measured_on_this_very_training(data):
    given = {name: FEW[name] for name in ("epochs", "batch_size", "validation_fraction")}
    plan = make_plan(data, None, recipe="finetune", size=32, **given)
    carved, start = finetune.initial_model(data, plan)
    with dry_run(data, plan) as tried:
        said = tried.prepared.specification
        assert said.preprocessing == start.specification.preprocessing
        assert said.training["started_from"] == start.sha256
        assert tried.prepared.data.fingerprint == carved.fingerprint
        mean = tried.prepared.module.stem.normalisation.running_mean.clone()
        tried.step(1e-4)
        assert tried.prepared.module.stem.normalisation.running_mean.equal(mean), "statistics stay as they are"


def test_a_batch_is_tried_at_the_size_that_the_backbone_looks_at(data, monkeypatch):
    asked: list[dict] = []
    monkeypatch.setattr(ProcessTrials, "measure", lambda self, batch: asked.append(self.request) or 1)
    find_batch_size(data, make_plan(data, recipe="finetune").with_record(memory_limit=10**9))
    assert (asked[0]["plan"]["network"], asked[0]["shape"], asked[0]["plan"]["recipe"]["backbone"]) == (
        "lite0",
        [3, 288, 288],
        None,
    )


def test_where_no_epoch_is_better_the_last_layer_alone_is_kept(data):
    training = learn(data, make_plan(data, **FEW, learning_rate=5.0), progress=False)
    assert training.chosen_epoch == 0
    assert any("No epoch was better" in note for note in training.notes)
    assert training.model.specification.metrics["validation_accuracy"]["value"] == 1.0
    assert pellucid.evaluate(pellucid.predict(training.model, data.test))["accuracy"].value == 1.0


def test_the_validation_part_teaches_neither_layer(data):
    from pellucid.data.splitting import with_validation

    carved = with_validation(data, 0.3, 0)
    model = finetune.with_new_head(carved, make_plan(data, recipe="finetune", size=32))
    assert model.specification.training["data"]["sizes"] == {"train": len(carved.train)}
    assert model.specification.temperature == 1.0


def test_it_goes_on_after_an_interruption(data, tmp_path):
    class Stop:
        def on_epoch(self, row: dict) -> None:
            raise KeyboardInterrupt

    two = FEW | {"epochs": 2, "keep": "last"}
    with pytest.raises(KeyboardInterrupt):
        learn(
            data,
            make_plan(data, **two),
            progress=False,
            callbacks=[Stop()],
            checkpoints=Checkpoints(tmp_path / "checkpoint", resume=False),
        )
    again = learn(
        data, make_plan(data, **two), progress=False, checkpoints=Checkpoints(tmp_path / "checkpoint", resume=True)
    )
    assert len(again.history) == 2


@pytest.mark.parametrize("how", ["finetune", "best within"])
def test_it_goes_on_with_other_versions(data, tmp_path, monkeypatch, how):
    class Stop:
        def on_epoch(self, row: dict) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(best_within, "MOST_EPOCHS", 2)
    two = FEW | {"keep": "last"} | ({"epochs": 2} if how == "finetune" else {"best_within": 600})
    if how != "finetune":
        del two["epochs"]
    whole = learn(data, make_plan(data, **two), progress=False)
    places = tmp_path / "now", tmp_path / "earlier"
    for place in places:
        with pytest.raises(KeyboardInterrupt):
            learn(data, make_plan(data, **two), progress=False, callbacks=[Stop()], checkpoints=Checkpoints(place))
    (places[1] / "beginning.safetensors").unlink()  # an earlier version of Pellucid did not keep it

    with monkeypatch.context() as upgraded:
        upgraded.setattr(platform, "python_version", lambda: "3.99.0")
        made: list[str] = []
        make = finetune.with_new_head
        upgraded.setattr(finetune, "with_new_head", lambda *given: made.append("again") or make(*given))
        again = learn(data, make_plan(data, **two), progress=False, checkpoints=Checkpoints(places[0], resume=True))
        assert not made, "the last layer is learned once"
        with pytest.raises(FormatError, match="is of another training"):
            learn(data, make_plan(data, **two), progress=False, checkpoints=Checkpoints(places[1], resume=True))
    assert len(again.history) == 2
    told = again.model.specification.training
    assert told["versions"]["python"] == "3.99.0"
    assert told | {"versions": None} == whole.model.specification.training | {"versions": None}
    for name, array in whole.model.weights.items():
        np.testing.assert_array_equal(array, again.model.weights[name])
    # With the versions that it was begun with, one that did not keep its beginning ends as the same bytes, too.
    assert (
        learn(data, make_plan(data, **two), progress=False, checkpoints=Checkpoints(places[1], resume=True)).model
        == whole.model
    )


def test_a_beginning_that_is_damaged_is_named(tmp_path, photo_model):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.initial_model(lambda: photo_model) == photo_model
    (tmp_path / "beginning.safetensors").write_bytes(b"spoilt")
    checkpoints.resume = True
    with pytest.raises(FormatError, match=r"beginning\.safetensors is damaged. Start a new run instead"):
        checkpoints.initial_model(lambda: photo_model)


def test_a_picture_that_cannot_be_read_is_named(photos, tmp_path):
    import shutil

    shutil.copytree(photos, tmp_path / "fruit")
    data = pellucid.load(tmp_path / "fruit")
    for split in data:
        split.pictures.paths[0].write_bytes(b"spoilt")
    with pytest.raises(DataError, match="is not a supported picture"):
        learn(data, make_plan(data, **FEW), progress=False)
