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


TOO_GOOD = "Note: the model learned from these pictures, so the numbers are too good.\n"
CHOSE = "Note: these pictures chose the model's epoch, so the numbers are somewhat too good.\n"


def test_validation_is_carved_as_in_training_and_said_so(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--split", "validation", "--json")
    assert done.code == 0
    assert done.findings["accuracy"]["n"] == 144
    metrics = library.Model.load(model_file).specification.metrics
    assert done.findings["accuracy"]["value"] == pytest.approx(metrics["validation_accuracy"]["value"])
    carved = "so the 144 pictures scored here are those that the model's recipe sets aside from train.\n"
    assert done.err == f"Note: 'digits' has no validation split, {carved}{CHOSE}"


def test_pictures_that_the_model_learned_from_are_said_so(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--split", "train", "--json")
    assert done.err == (
        "Note: the model learned from 1,293 of these 1,437 pictures, so the accuracy on all of them is too good; "
        "'accuracy without copies' leaves them out.\n"
        "Note: 144 of these 1,437 pictures chose the model's epoch, so the numbers are somewhat too good.\n"
    )
    assert "accuracy_without_copies" not in done.findings, "none are left"
    assert pellucid("evaluate", model_file, "digits").err == ""


QUICK = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report"]


def test_a_folder_without_splits_is_scored_whole(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    assert pellucid("train", photos, *QUICK, "--out", tmp_path / "run").code == 0
    sizes = {name: len(split) for name, split in library.load(photos).splits.items()}
    done = pellucid("evaluate", tmp_path / "run", photos, "--json")
    total = sum(sizes.values())
    assert done.findings["accuracy"]["n"] == total
    known = sum(
        library.Model.load(tmp_path / "run" / "model.safetensors").specification.training["data"]["sizes"].values()
    )
    assert done.findings["accuracy_without_copies"]["n"] == total - known
    assert f"of these {total:,} pictures, so the accuracy on all of them is too good" in done.err
    # The splits of the training are there by name.
    alone = pellucid("evaluate", tmp_path / "run", photos, "--split", "test", "--json")
    assert alone.findings["accuracy"]["n"] == sizes["test"]
    assert "too good" not in alone.err


def test_pictures_are_known_by_content_whatever_they_are_called(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    assert pellucid("train", photos, *QUICK, "--out", tmp_path / "run").code == 0
    others = tmp_path / "others" / "dark"
    others.mkdir(parents=True)
    for n in range(6):
        Image.new("L", (16, 16), 30 + n).save(others / f"new-{n}.png")
    done = pellucid("evaluate", tmp_path / "run", tmp_path / "others", "--json")
    assert done.findings["accuracy"]["n"] == 6
    assert "too good" not in done.err, "the model has seen none of them"
    learned = library.load(photos).train.pictures.paths[0]
    shutil.copy(learned, tmp_path / "others" / "dark" / "renamed.png")
    assert "of these 7 pictures" in pellucid("evaluate", tmp_path / "run", tmp_path / "others").err


def test_a_model_file_may_leave_the_hashes_out(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    quiet = ["--recipe-set", "keep_hashes=false"]
    assert pellucid("train", photos, *QUICK, *quiet, "--out", tmp_path / "run").code == 0
    model = library.Model.load(tmp_path / "run" / "model.safetensors")
    assert model.specification.training["data"]["hashes"] == {}
    assert "too good" not in pellucid("evaluate", tmp_path / "run", photos).err


def test_a_test_folder_of_one_class_gives_the_recall_of_that_class(pellucid, class_folders, tmp_path):
    photos = Path(shutil.copytree(class_folders, tmp_path / "photos"))
    assert pellucid("train", photos, *QUICK, "--out", tmp_path / "run").code == 0
    for folder in ("one", "split/test"):
        shutil.copytree(class_folders / "dark", tmp_path / folder / "dark")
        done = pellucid("evaluate", tmp_path / "run", tmp_path / folder.split("/")[0], "--json")
        assert done.code == 0
        n = len(list((class_folders / "dark").iterdir()))
        assert done.findings["accuracy"]["n"] == n
        rows = {row[0]: row for row in done.findings["per_class"]["rows"]}
        assert rows["dark"][2] == pytest.approx(done.findings["accuracy"]["value"])
        assert rows["dark"][4] == n


def test_without_a_test_split_validation_is_scored_and_train_never(pellucid, class_folders, tmp_path):
    for split in ("train", "validation"):
        shutil.copytree(class_folders, tmp_path / "photos" / split)
    assert pellucid("train", tmp_path / "photos", *QUICK, "--out", tmp_path / "run").code == 0
    done = pellucid("evaluate", tmp_path / "run", tmp_path / "photos")
    assert "Note: 'photos' has no test split, so the 24 pictures scored here are its validation pictures.\n" in done.err


def test_without_test_and_validation_splits_the_carved_validation_is_scored(pellucid, class_folders, tmp_path):
    shutil.copytree(class_folders, tmp_path / "photos" / "train")
    trained = pellucid("train", tmp_path / "photos", *QUICK, "--out", tmp_path / "run", "--json")
    assert "there is no test split, so the model is scored on the validation split" in trained.err
    done = pellucid("evaluate", tmp_path / "run", tmp_path / "photos", "--json")
    assert done.findings["accuracy"]["n"] == trained.findings["accuracy"]["n"] < 24
    assert done.findings["accuracy"]["value"] == pytest.approx(trained.findings["accuracy"]["value"])
    assert "'photos' has no test split, so the " in done.err
    assert "scored here are those that the model's recipe sets aside from train." in done.err


def test_the_training_split_is_never_proposed(pellucid, class_folders, tmp_path):
    shutil.copytree(class_folders, tmp_path / "photos" / "train")
    assert pellucid("train", tmp_path / "photos", *QUICK, "--out", tmp_path / "run").code == 0
    model = library.Model.load(tmp_path / "run")
    untold = library.Model(model.specification.model_copy(update={"training": {}}), model.weights)
    untold.save(tmp_path / "untold.safetensors")
    done = pellucid("evaluate", tmp_path / "untold.safetensors", tmp_path / "photos")
    assert done.code == 2
    assert done.sentence == (
        "'photos' has only a training split, from which models learn, so its score would be too good. Give a folder "
        "of other labelled pictures."
    )


def test_notes_about_a_folder_are_printed_by_its_training_alone(pellucid, class_folders, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(class_folders, tmp_path / "photos" / split)
    (tmp_path / "photos" / "train" / "dark" / "notes.txt").write_text("no picture", encoding="utf-8")
    trained = pellucid("train", tmp_path / "photos", *QUICK, "--no-check", "--out", tmp_path / "run")
    assert trained.err.count("Note: ") >= 1
    noted = {line for line in trained.err.splitlines() if line.startswith("Note: ")}
    for arguments in (("evaluate", tmp_path / "run"), ("evaluate", tmp_path / "run" / "model.safetensors")):
        later = pellucid(*arguments, tmp_path / "photos").err.splitlines()
        assert not noted & set(later)
    alone = tmp_path / "alone.safetensors"
    shutil.copy(tmp_path / "run" / "model.safetensors", alone)
    assert noted & set(pellucid("evaluate", alone, tmp_path / "photos").err.splitlines())


def test_a_folder_with_its_own_validation_split(pellucid, class_folders, tmp_path):
    numbers = {"train": 30, "validation": 90, "test": 150}
    for split, start in numbers.items():
        for label, shade in (("dark", 0), ("light", 100)):
            (tmp_path / "photos" / split / label).mkdir(parents=True)
            for n in range(6):
                Image.new("L", (16, 16), (start + shade + n) % 256).save(
                    tmp_path / "photos" / split / label / f"{n}.png"
                )
    assert pellucid("train", tmp_path / "photos", *QUICK, "--out", tmp_path / "run").code == 0
    assert CHOSE in pellucid("evaluate", tmp_path / "run", tmp_path / "photos", "--split", "validation").err
    # The same pictures under another name are the same pictures.
    (tmp_path / "photos").rename(tmp_path / "others")
    assert CHOSE in pellucid("evaluate", tmp_path / "run", tmp_path / "others", "--split", "validation").err
    assert TOO_GOOD in pellucid("evaluate", tmp_path / "run", tmp_path / "others", "--split", "train").err
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
    assert done.sentence.startswith("Give your own network as file.py:Class, for example")
