"""Photos without a network: a last layer on the backbone that comes along, as an ordinary model."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import pellucid
from pellucid.errors import DataError, UnknownNameError, UsageError
from pellucid.inference import build
from pellucid.records import Model, PictureFiles, Split
from pellucid.training.methods import features
from pellucid.training.plan import are_photos, make_plan
from pellucid.training.recipes import named_recipe
from pellucid.training.training import learn


@pytest.fixture(scope="module")
def data(photos):
    return pellucid.load(photos)


def test_photos_need_no_network(data, photo_model, tmp_path):
    specification = photo_model.specification
    assert specification.network.name == "lite0"
    assert specification.training["recipe"]["freeze_backbone"] is True
    assert specification.training["data"]["sizes"] == {"train": len(data.train)}
    assert specification.metrics["cross_validation_accuracy"] == {"value": 1.0, "n": len(data.train)}
    found = pellucid.predict(photo_model, data.test)
    assert pellucid.evaluate(found)["accuracy"].value == 1.0
    # One file, that needs nothing else.
    loaded = Model.load(photo_model.save(tmp_path / "model.safetensors"))
    assert loaded == photo_model
    np.testing.assert_array_equal(pellucid.predict(loaded, data.test).probabilities, found.probabilities)
    assert build(loaded).classifier.weight.shape == (2, 1280)


def test_it_is_the_same_again(data, photo_model):
    assert pellucid.train(data, recipe="features", size=32, progress=False) == photo_model
    assert pellucid.train(data, backbone="lite0", size=32, progress=False) == photo_model


def test_what_was_chosen_is_said(data):
    training = learn(data, make_plan(data, size=32), progress=False)
    (note,) = [note for note in training.notes if note.startswith("cross-validation")]
    assert f"on {len(data.train)} training pictures" in note
    assert "accuracy 100.0 %" in note
    assert training.parameters == 2 * 1281
    assert len(training.history) == 0
    assert "validation" not in training.data.splits


def test_what_cannot_be_read_is_left_out_and_named(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "fruit")
    data = pellucid.load(tmp_path / "fruit", test_fraction=0)
    data.train.pictures.paths[3].write_bytes(b"spoilt")
    training = learn(data, make_plan(data, size=32), progress=False)
    assert len(training.data.train) == len(data.train) - 1
    assert any("1 training picture could not be read" in note for note in training.notes)
    assert any(str(data.train.pictures.paths[3]) in note for note in training.notes)


def uneven(data: pellucid.Dataset) -> pellucid.Dataset:
    """Eight apples and two cherries for training."""
    labels = data.train.known_labels()
    kept = [*np.flatnonzero(labels == 0)[:8], *np.flatnonzero(labels == 1)[:2]]
    return pellucid.Dataset("uneven", {"train": data.train.take(kept), "test": data.test})


def test_rare_classes_count_as_much_where_they_are_rare(data):
    balanced = learn(uneven(data), make_plan(uneven(data), size=32), progress=False)
    (note,) = [note for note in balanced.notes if "the same weight" in note]
    assert note.startswith("'apple' has 8 training pictures and 'cherry' 2")
    plain = learn(uneven(data), make_plan(uneven(data), size=32, balance_above_ratio=None), progress=False)
    assert not any("the same weight" in note for note in plain.notes)
    rare = [pellucid.predict(one.model, data.test).probabilities[:, 1].mean() for one in (balanced, plain)]
    assert rare[0] > rare[1]


def test_weights_are_the_inverse_of_the_frequencies():
    labels = np.array([0] * 6 + [1] * 2)
    np.testing.assert_allclose(features._weights(labels, 3, named_recipe("features")), [8 / 12] * 6 + [8 / 4] * 2)
    assert features._weights(np.array([0, 0, 1]), 2, named_recipe("features")) is None
    assert features._weights(np.array([0, 0, 1]), 2, named_recipe("features").but(class_weights="balanced")) is not None


def test_two_pictures_are_too_few_to_choose_by(data):
    labels = data.train.known_labels()
    two = data.train.take([int(np.flatnonzero(labels == 0)[0]), int(np.flatnonzero(labels == 1)[0])])
    training = learn(
        pellucid.Dataset("two", {"train": two}),
        make_plan(pellucid.Dataset("two", {"train": two}), size=32),
        progress=False,
    )
    assert any("too few training pictures for cross-validation" in note for note in training.notes)
    assert training.model.specification.metrics == {}


def test_one_readable_class_is_none(data):
    some = data.train.take(np.flatnonzero(data.train.known_labels() == 0))
    with pytest.raises(DataError, match="has readable training pictures of 1 class; a classifier needs two"):
        learn(
            pellucid.Dataset("one", {"train": some}),
            make_plan(pellucid.Dataset("one", {"train": some}), size=32),
            progress=False,
        )


def test_many_pictures_are_sampled_to_choose_by(monkeypatch):
    monkeypatch.setattr(features, "MOST_IN_CROSS_VALIDATION", 10)
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    train = Split("train", np.zeros((40, 3, 2, 2), np.uint8), labels, ("a", "b"))
    learned = features.fit_head(generator.normal(size=(40, 6)) + labels[:, None], train, named_recipe("features"), 0)
    assert learned.held_out == 10


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"epochs": 3}, "The setting epochs has no effect with a frozen backbone"),
        ({"recipe": "features", "learning_rate": 0.1}, "The setting learning rate has no effect"),
        ({"network": "convnet", "backbone": "lite0"}, "A backbone goes with the recipes features and finetune"),
        ({"network": "convnet", "recipe": "features"}, "There is no backbone named 'convnet'"),
        ({"network": "lite0", "recipe": "features", "backbone": "timm:x"}, "The network 'lite0' and the backbone"),
        ({"recipe": "plain", "backbone": "lite0"}, "not with 'plain'"),
        ({"network": int, "recipe": "features"}, "A backbone is a name, lite0 or timm:NAME"),
    ],
)
def test_what_does_not_go_together_is_refused(data, arguments, sentence):
    with pytest.raises((UsageError, UnknownNameError)) as caught:
        learn(data, make_plan(data, **arguments), progress=False)
    assert sentence in str(caught.value)


def test_a_model_to_start_from_goes_with_other_recipes(data, photo_model):
    with pytest.raises(UsageError, match="A model to start from goes with other recipes, not with 'features'"):
        learn(data, make_plan(data, recipe="features", start=photo_model), progress=False)


def test_small_or_grey_pictures_are_no_photos(data, photos, tmp_path):
    from PIL import Image

    assert are_photos(data)
    assert not are_photos(pellucid.load("digits"))
    for name, mode, size in (("grey", "L", (90, 90)), ("small", "RGB", (64, 64))):
        for label in "ab":
            (tmp_path / name / label).mkdir(parents=True)
            Image.new(mode, size, 90).save(tmp_path / name / label / "1.png")
        assert not are_photos(pellucid.load(tmp_path / name, test_fraction=0))
    gone = Split("train", PictureFiles((tmp_path / "gone.png",)), np.array([0]), ("a", "b"))
    assert not are_photos(pellucid.Dataset("gone", {"train": gone}))
    assert make_plan(pellucid.load("digits")).network.name == "convnet"


def test_photos_within_larger_files_are_photos_too(photos, tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "train-000000.tar", "w") as tar:
        for number, path in enumerate(sorted(photos.glob("*/*.jpg"))):
            tar.add(path, f"{number:04}.jpg")
            (tmp_path / "label").write_text(str(number // 10), encoding="utf-8")
            tar.add(tmp_path / "label", f"{number:04}.cls")
    data = pellucid.load(tmp_path / "train-000000.tar")
    assert are_photos(data)
    assert pellucid.train(data, size=32, progress=False).classes == data.classes


def test_scratch_knows_nothing(data):
    model = pellucid.train(data, recipe="scratch", size=32, epochs=1, batch_size=16, progress=False)
    assert model.specification.network.name == "lite0"
    assert "backbone" not in model.specification.training
    assert model.specification.training["recipe"]["backbone"] is None
