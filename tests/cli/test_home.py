"""`~` as bash leaves it in `--out=~/x`, and names with colons, from the command line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pellucid.records import Predictions, RunFolder

TRAIN = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report"]


@pytest.fixture
def my_folder(tmp_path, monkeypatch) -> Path:
    """The person's own folder; the command runs elsewhere."""
    (tmp_path / "me").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    return tmp_path / "me"


def test_every_command_takes_it(pellucid, my_folder, scans):
    assert pellucid("train", "digits", *TRAIN, "--out=~/run").code == 0
    assert len(Predictions.load(my_folder / "run" / "predictions.parquet")) == 360
    assert pellucid("info", "~/run").code == 0
    assert pellucid("evaluate", "~/run", "digits", "--out=~/scores").code == 0
    assert (my_folder / "scores" / "predictions.parquet").is_file()
    shutil.copy(scans / "a.png", my_folder / "a.png")
    done = pellucid("predict", "~/run/model.safetensors", "~/a.png", "~/*.png", "--out=~/found.csv")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert (my_folder / "found.csv").is_file()
    assert list(Path.cwd().iterdir()) == []


def test_a_run_goes_on_with_data_named_so(pellucid, my_folder, class_folders, monkeypatch):
    from pellucid.workflows import train

    shutil.copytree(class_folders, my_folder / "photos")
    monkeypatch.setattr(RunFolder, "remove_checkpoints", lambda self: None)
    assert pellucid("train", "~/photos", *TRAIN, "--out", "run").code == 0
    plan = json.loads(Path("run/checkpoint/plan.json").read_text(encoding="utf-8"))
    assert Path(plan["source"]) == (my_folder / "photos").resolve()
    assert train.load(plan["source"]).name == "photos"


def test_a_name_that_begins_with_a_tilde_and_is_nobodys(pellucid, my_folder, model_file, scans):
    shutil.copy(scans / "a.png", "~draft-of-nobody.png")
    assert pellucid("predict", model_file, "~draft-of-nobody.png").out.startswith("~draft-of-nobody.png ")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file names with colons")
def test_a_colon_is_part_of_a_name(pellucid, my_folder):
    assert pellucid("train", "digits", *TRAIN, "--out", "run:1").code == 0
    assert pellucid("evaluate", "run:1", "digits", "--out", "scores:1").code == 0
    assert len(Predictions.load("scores:1/predictions.parquet")) == 360
