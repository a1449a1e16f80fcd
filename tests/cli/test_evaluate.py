from __future__ import annotations

import json
import shutil

import pytest

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
    assert "is there already" in again.sentence


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
