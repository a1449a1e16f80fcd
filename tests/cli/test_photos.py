"""Photos on the command line: train without a network, label, sort, and what a backbone sees."""

from __future__ import annotations

import json
import shutil

import pytest

from pellucid.records import display


@pytest.fixture
def photo_model_file(photo_model, tmp_path):
    return photo_model.save(tmp_path / "photos.safetensors")


def test_train_needs_no_network_for_photos(pellucid, photos, tmp_path):
    done = pellucid("train", photos, "--size", 32, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "Lite0 computes the features of the 16 training pictures of fruit" in done.out
    assert "accuracy" in done.out.lower()
    assert "cross-validation on 16 training pictures" in done.err
    described = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert described["recipe"]["backbone"] == "lite0"
    if display.view("run") is not None:  # the report is a capability that can be deleted
        page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        assert "Backbone" in page
        assert "Learning rate" not in page, "there is none"
    again = pellucid("evaluate", tmp_path / "run", photos)
    assert again.code == 0
    assert "the model learned from 16 of these 20 pictures" in again.err
    assert "Note" not in pellucid("evaluate", tmp_path / "run", photos, "--split", "test").err.replace(
        "Note: the data have no test split", ""
    )
    seen = pellucid("evaluate", tmp_path / "run", photos, "--split", "train")
    assert "the model learned from these pictures" in seen.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["digits", "--best-within", "2m"], "Best-within is for photos: files in colour of more than 64 pixels."),
        (["digits", "--backbone", "lite1", "--network", "lite0"], "There is no backbone named 'lite1'."),
        (["PHOTOS", "--epochs", "3"], "The setting epochs has no effect with a frozen backbone"),
        (["PHOTOS", "--find-lr"], "With a frozen backbone there are no learning rates and no epochs"),
        (["PHOTOS", "--budget", "5m"], "With a frozen backbone there are no learning rates and no epochs"),
        (["PHOTOS", "--backbone", "timm:resnet18"], "The weights of 'timm:resnet18' are not on this machine."),
    ],
)
def test_mistakes_of_training_photos(pellucid, photos, tmp_path, arguments, sentence):
    given = [photos if one == "PHOTOS" else one for one in arguments]
    if "timm:resnet18" in given:
        pytest.importorskip("timm", reason="timm is an extra, and not installed")
    done = pellucid("train", *given, "--out", tmp_path / "run")
    assert done.code != 0
    assert done.err.splitlines()[-1].startswith(sentence)
    assert not (tmp_path / "run").exists()


def test_a_backbone_names_what_it_sees(pellucid, photos):
    done = pellucid("predict", "lite0", photos / "apple" / "apple-0.jpg", "--json")
    assert done.code == 0, done.err
    rows = done.findings["predictions"]["rows"]
    assert [row[1] for row in rows] == [1, 2, 3, 4, 5]
    one = pellucid("predict", "lite0", photos / "apple" / "apple-0.jpg", "--top", 1, "--json")
    assert len(one.findings["predictions"]["rows"]) == 1


def test_label_writes_a_table_to_fill_in(pellucid, photos, photo_model_file, tmp_path):
    done = pellucid("label", photo_model_file, photos / "apple", "--top", 3, "--out", tmp_path / "to-label.csv")
    assert done.code == 0, done.err
    assert display.view("terminal") is None or "apple-" in done.out
    assert "fill in the column label" in done.out
    assert len((tmp_path / "to-label.csv").read_text(encoding="utf-8").splitlines()) == 4
    refused = pellucid("label", photo_model_file, photos / "apple", "--out", tmp_path / "to-label.csv")
    assert "exists already, and may contain labels" in refused.sentence
    found = pellucid("label", photo_model_file, photos / "apple", "--out", tmp_path / "b.csv", "--json").findings
    assert len(found["to_label"]["rows"]) == 10


def test_label_names_what_cannot_be_read(pellucid, photos, photo_model_file, tmp_path):
    shutil.copytree(photos / "apple", tmp_path / "new")
    (tmp_path / "new" / "bad.jpg").write_bytes(b"none")
    done = pellucid("label", photo_model_file, tmp_path / "new", tmp_path / "no", "--out", tmp_path / "a.csv")
    assert done.code == 1
    assert "bad.jpg" in done.err
    assert "There is no file or folder" in done.err
    nothing = pellucid("label", photo_model_file, tmp_path / "no", tmp_path / "neither", "--out", tmp_path / "b.csv")
    assert nothing.code == 1


def test_sort_copies_into_class_folders(pellucid, photos, photo_model_file, tmp_path):
    done = pellucid("sort", photo_model_file, photos, "--out", tmp_path / "sorted", "--threshold", 0)
    assert done.code == 0, done.err
    assert "Copied: 20. Photos whose class is less probable than 0 % are in unsure." in done.out
    assert len(list((tmp_path / "sorted").glob("*/*.jpg"))) == 20
    again = pellucid("sort", photo_model_file, photos, "--out", tmp_path / "sorted", "--threshold", 0)
    assert "Copied: 0." in again.out
    assert "20 had been sorted before." in again.out
    shutil.copytree(photos, tmp_path / "own")
    own = ("sort", photo_model_file, tmp_path / "own", "--out", tmp_path / "b", "--threshold", 0)
    counted = pellucid(*own, "--move", "--json")
    assert sum(row[1] for row in counted.findings["sorted"]["rows"]) == 20
    assert not list((tmp_path / "own").glob("*/*.jpg"))


def test_sort_names_what_cannot_be_read(pellucid, photo_model_file, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "bad.jpg").write_bytes(b"none")
    done = pellucid("sort", photo_model_file, tmp_path / "new", tmp_path / "no", "--out", tmp_path / "sorted")
    assert done.code == 1
    assert "1 could not be read, and stayed where it is." in done.out
    nothing = pellucid("sort", photo_model_file, tmp_path / "no", tmp_path / "none", "--out", tmp_path / "s")
    assert nothing.code == 1


def test_mistakes_of_sorting(pellucid, photos, photo_model_file, tmp_path):
    assert "is within" in pellucid("sort", photo_model_file, photos, "--out", photos).sentence
    assert pellucid("sort", photo_model_file, photos, "--out", tmp_path, "--threshold", 3).code == 2
    assert pellucid("sort", photo_model_file, photos).code == 2
