from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import pellucid as library
from pellucid.records import Predictions


def test_the_command_says_what_python_says(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--json")
    assert done.code == 0
    test = library.load("digits").test
    expected = library.evaluate(library.predict(library.Model.load(model_file), test), test)
    assert done.findings["accuracy"]["value"] == pytest.approx(expected["accuracy"].value)
    assert done.findings["accuracy"]["n"] == 360
    assert list(done.findings) == [item.name for item in expected]


def test_a_person_reads_accuracy_interval_and_n(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits")
    (line,) = [line for line in done.out.splitlines() if line.lower().startswith("accuracy")]
    assert "%" in line
    assert "360" in line
    assert "base rate" in done.out.lower()


def test_another_split(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--split", "train", "--json")
    assert done.findings["accuracy"]["n"] == 1437


def test_everything_is_written_where_it_is_wanted(pellucid, model_file, tmp_path):
    done = pellucid("evaluate", model_file, "digits", "--out", tmp_path / "scores", "--json")
    assert json.loads((tmp_path / "scores" / "findings.json").read_text(encoding="utf-8")) == json.loads(done.out)
    assert len(Predictions.load(tmp_path / "scores" / "predictions.parquet")) == 360
    assert f"Written to {tmp_path / 'scores'}" in done.err
    again = pellucid("evaluate", model_file, "digits", "--out", tmp_path / "scores")
    assert again.code == 1
    assert "exists already" in again.sentence


def test_a_picture_that_cannot_be_decoded_is_named_and_left_out(pellucid, class_folders, tmp_path):
    shutil.copytree(class_folders, tmp_path / "photos" / "test")
    shutil.copytree(class_folders, tmp_path / "photos" / "train")
    run = tmp_path / "run"
    quick = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report", "--out", run]
    assert pellucid("train", tmp_path / "photos", *quick).code == 0
    damaged = tmp_path / "photos" / "test" / "dark" / "00.png"
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) - 60])
    done = pellucid("evaluate", run, tmp_path / "photos", "--json")
    assert done.code == 1
    assert "00.png" in done.err
    assert done.findings["accuracy"]["n"] == 23


TOO_GOOD = "Note: the model learned from these pictures, or they chose its epoch, so the numbers are too good.\n"
CHOSE = "Note: these pictures chose the model's epoch, so the numbers are somewhat too good.\n"
OTHERS = "are not those that this model learned from. If Pellucid made its splits, the model may have learned"


def test_validation_is_carved_as_in_training_and_said_so(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--split", "validation", "--json")
    assert done.code == 0
    assert done.findings["accuracy"]["n"] == 144
    metrics = library.Model.load(model_file).specification.metrics
    assert done.findings["accuracy"]["value"] == pytest.approx(metrics["validation_accuracy"]["value"])
    carved = "These are the 144 pictures that the model's recipe set aside from train.\n"
    assert done.err == f"Note: 'digits' has no validation split. {carved}{CHOSE}"


def test_pictures_that_the_model_learned_from_are_said_so(pellucid, model_file):
    assert pellucid("evaluate", model_file, "digits", "--split", "train").err == TOO_GOOD
    assert pellucid("evaluate", model_file, "digits").err == ""


QUICK = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report"]


def test_a_picture_that_the_training_left_out_makes_it_no_other_folder(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    file = library.load(photos).train.pictures.paths[0]
    file.write_bytes(file.read_bytes()[:-30])
    assert pellucid("train", photos, *QUICK, "--out", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "quarantine.json").is_file()
    assert OTHERS not in pellucid("evaluate", tmp_path / "run", photos).err
    assert TOO_GOOD in pellucid("evaluate", tmp_path / "run", photos, "--split", "train").err


def test_a_folder_that_has_changed_since_the_training(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    assert pellucid("train", photos, *QUICK, "--out", tmp_path / "run").code == 0
    assert OTHERS not in pellucid("evaluate", tmp_path / "run", photos).err
    assert TOO_GOOD in pellucid("evaluate", tmp_path / "run", photos, "--split", "train").err
    # Of the same number, but one is another picture now.
    file = library.load(photos).train.pictures.paths[0]
    before = file.read_bytes()
    Image.new("L", (16, 16), 40).save(file)
    assert all(
        OTHERS in pellucid("evaluate", tmp_path / "run", photos, "--split", split).err for split in ("train", "test")
    )
    file.write_bytes(before)
    # Of another number.
    for n in range(6):
        Image.new("L", (16, 16), 30 + n).save(photos / "dark" / f"new-{n}.png")
    done = pellucid("evaluate", tmp_path / "run", photos)
    assert f"Note: the training pictures of 'photos' {OTHERS} from pictures that are scored here" in done.err


def test_a_folder_with_its_own_validation_split(pellucid, class_folders, tmp_path):
    for split in ("train", "validation", "test"):
        shutil.copytree(class_folders, tmp_path / "photos" / split)
    assert pellucid("train", tmp_path / "photos", *QUICK, "--out", tmp_path / "run").code == 0
    assert CHOSE in pellucid("evaluate", tmp_path / "run", tmp_path / "photos", "--split", "validation").err
    # The same pictures under another name are the same pictures.
    (tmp_path / "photos").rename(tmp_path / "others")
    assert CHOSE in pellucid("evaluate", tmp_path / "run", tmp_path / "others", "--split", "validation").err
    assert "too good" not in pellucid("evaluate", tmp_path / "run", tmp_path / "others").err


def test_a_model_that_does_not_tell_how_it_was_trained(pellucid, model_file, tmp_path):
    model = library.Model.load(model_file)
    untold = library.Model(model.specification.model_copy(update={"training": {}}), model.weights)
    untold.save(tmp_path / "untold.safetensors")
    assert pellucid("evaluate", tmp_path / "untold.safetensors", "digits", "--split", "train").err == ""
    done = pellucid("evaluate", tmp_path / "untold.safetensors", "digits", "--split", "validation")
    assert done.sentence.startswith("The dataset 'digits' has no validation split; it has train and test.")


def test_a_network_that_is_no_file_and_class_is_refused_clearly(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--network", "mlp")
    assert done.code == 2
    assert done.sentence.startswith("A network of your own is given as file.py:Class, for example")
