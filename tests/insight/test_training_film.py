"""The film of a training, from the snapshots of a run."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid
from pellucid import insight
from pellucid.errors import MissingDataError, UnknownNameError, UsageError
from pellucid.insight.training_film import snapshots
from pellucid.records import Findings, Model
from pellucid.training.callbacks import Snapshots


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with the snapshots of two epochs."""
    folder = tmp_path_factory.mktemp("run")
    keeping = Snapshots()
    keeping.on_folder(folder)
    model = pellucid.train(pellucid.load("digits"), "lenet5", epochs=2, progress=False, callbacks=[keeping])
    return folder, model


def test_a_snapshot_is_kept_before_the_first_epoch_and_after_each(run):
    folder, model = run
    kept = snapshots(folder)
    assert [epoch for epoch, _ in kept] == [0, 1, 2]
    models = [Model.load(path) for _, path in kept]
    assert models[0].specification.metrics == {}
    for one in models[1:]:
        assert one.specification.metrics["validation_accuracy"]["n"] > 0
    chosen = model.specification.training["chosen_epoch"]
    for name, weights in model.weights.items():
        np.testing.assert_array_equal(models[chosen].weights[name], weights)
    assert not np.array_equal(models[0].weights["c1.weight"], models[2].weights["c1.weight"])


def test_the_film_shows_kernels_maps_and_probabilities_of_every_epoch(run):
    folder, _ = run
    told: list[tuple[int, int]] = []
    figure = insight.film(folder, "digits:3", layer="c1", limit=4, progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    frames = figure.data["frames"]
    for (epoch, path), frame in zip(snapshots(folder), frames, strict=True):
        model = Model.load(path)
        assert frame["epoch"] == epoch
        np.testing.assert_allclose(frame["kernels"], model.weights["c1.weight"][:4], rtol=1e-3, atol=1e-6)
        said = pellucid.predict(model, pellucid.load("digits").test.take([3]))
        np.testing.assert_allclose(frame["probabilities"], said.probabilities[0], atol=1e-3)
        maps = {one["number"]: one["values"] for one in insight.feature_maps(model, "c1", "digits:3").data["maps"]}
        np.testing.assert_allclose(frame["maps"], [maps[i] for i in (1, 2, 3, 4)], rtol=1e-3, atol=1e-4)
    assert (frames[0]["accuracy"], figure.title) == (None, "Training of lenet5: c1 over 2 epochs")
    assert Findings.from_json(Findings((figure,)).to_json()) == Findings((figure,))


def test_deeper_kernels_are_shown_by_their_mean(run):
    folder, _ = run
    figure = insight.film(folder, "digits:3", layer=2)
    model = Model.load(snapshots(folder)[-1][1])
    expected = model.weights["c3.weight"].mean(axis=1, keepdims=True)[:8]
    np.testing.assert_allclose(figure.data["frames"][-1]["kernels"], expected, rtol=1e-3, atol=1e-6)
    assert figure.data["mean_kernels"]


def test_a_network_without_maps_has_a_film_of_its_weights(tmp_path):
    keeping = Snapshots(tmp_path / "snapshots")
    pellucid.train(pellucid.load("digits"), "logistic-regression", epochs=1, progress=False, callbacks=[keeping])
    frames = insight.film(tmp_path, "digits:3").data["frames"]
    assert [frame["maps"] for frame in frames] == [None, None]
    assert np.shape(frames[0]["kernels"]) == (8, 1, 8, 8)


def test_mistakes(run, tmp_path):
    with pytest.raises(MissingDataError, match="has no snapshots"):
        insight.film(tmp_path, "digits:3")
    with pytest.raises(UnknownNameError, match="There is no convolution named 'c9'"):
        insight.film(run[0], "digits:3", layer="c9")
    with pytest.raises(UsageError, match="Snapshots need a folder"):
        Snapshots().on_model(0, run[1])
