from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.data import load
from pellucid.errors import DataError, FormatError
from pellucid.records import Findings, RunFolder
from pellucid.training.callbacks import Callbacks
from pellucid.workflows.data_check import check_data, without_quarantined
from pellucid.workflows.train import resume, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes of coarse patterns in train and test; one picture of train is cut off, one of test is a copy."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    for number in range(60):
        place = tmp_path / "photos" / ("train" if number < 40 else "test") / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        spots = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
        Image.fromarray(spots).resize((24, 24)).save(place / f"{number:03}.png")
    whole = (tmp_path / "photos/train/a/000.png").read_bytes()
    (tmp_path / "photos/train/a/cut.png").write_bytes(whole[: len(whole) // 2])
    shutil.copy(tmp_path / "photos/train/b/001.png", tmp_path / "photos/test/b/copy.png")
    return tmp_path / "photos"


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.findings: list[Findings] = []

    def on_checked(self, findings: Findings) -> None:
        self.findings.append(findings)


def test_what_cannot_be_read_is_left_out_by_name_and_stays_so(folder, tmp_path):
    out, heard = RunFolder.create("", "", tmp_path / "run"), Heard()
    data = load(folder)
    left = check_data(data, out, Callbacks([heard]))
    assert (len(data.train), len(left.train)) == (41, 40)
    assert "train/a/cut.png" not in left.train.ids
    assert left.test is data.test
    assert left.notes[-1] == "1 picture that cannot be read left out, named in quarantine.json"
    assert heard.findings[0]["unreadable"].pictures == ("train/a/cut.png",)
    content = json.loads(out.check.read_text(encoding="utf-8"))
    assert content["leaked"] == {"test": ["test/b/copy.png"]}
    assert Findings.from_json(content)["copies_of_test"].n == 1
    # Obeyed from then on, whatever has become of the file.
    Image.new("RGB", (24, 24), "red").save(folder / "train/a/cut.png")
    assert without_quarantined(data, out).train.ids.tolist() == left.train.ids.tolist()
    out.quarantine.write_text("{}", encoding="utf-8")
    with pytest.raises(FormatError, match=r"quarantine\.json is damaged: it is no list of pictures"):
        without_quarantined(data, out)


def test_the_quarantine_names_what_reading_the_folder_left_out_too(folder, tmp_path):
    (folder / "train/b/empty.png").write_bytes(b"")
    out = RunFolder.create("", "", tmp_path / "run")
    left = check_data(load(folder), out, Callbacks([]))
    listed = json.loads(out.quarantine.read_text(encoding="utf-8"))["pictures"]
    assert [(one["split"], one["id"]) for one in listed] == [
        ("train", "train/b/empty.png"),
        ("train", "train/a/cut.png"),
    ]
    assert listed[0]["reason"] == "train/b/empty.png is empty: it has 0 bytes."
    assert (len(left.train), left.notes[-1][:32]) == (40, "2 pictures that cannot be read l")


def test_nothing_is_left(folder, tmp_path):
    for path in (folder / "test").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(DataError) as error:
        check_data(load(folder), RunFolder.create("", "", tmp_path / "run"), Callbacks([]))
    assert str(error.value).startswith("None of the 21 pictures of the test split can be read. The first: ")


def test_a_training_that_goes_on_leaves_out_the_same_and_ends_as_if_it_had_not_stopped(folder, tmp_path):
    settings: dict[str, Any] = {"epochs": 2, "size": 8, "report": False, "progress": False, "source": str(folder)}
    whole = run(load(folder), "logistic-regression", out=tmp_path / "whole", **settings)

    class Stop:
        def on_epoch(self, row) -> None:
            signal.raise_signal(signal.SIGINT)

    first = run(load(folder), "logistic-regression", out=tmp_path / "stopped", callbacks=[Stop()], **settings)
    assert first.interrupted
    done = resume(tmp_path / "stopped", progress=False)
    assert done.model.sha256 == whole.model.sha256
    assert done.findings["accuracy_without_copies"] == whole.findings["accuracy_without_copies"]
    assert whole.findings["accuracy_without_copies"].n == 20
    assert whole.findings[1].name == "accuracy_without_copies"
    assert "the 2nd time" in done.findings["accuracy"].note


def test_where_every_test_picture_is_a_copy_the_accuracy_says_so(folder, tmp_path):
    for path in (folder / "test").rglob("*.png"):
        path.unlink()
    for name in ("a/000.png", "b/001.png"):
        shutil.copy(folder / "train" / name, folder / "test" / name)
    done = run(
        load(folder), "logistic-regression", out=tmp_path / "run", epochs=1, size=8, report=False, progress=False
    )
    assert "accuracy_without_copies" not in done.findings
    assert "each of these pictures is a copy of a training picture" in done.findings["accuracy"].note
    assert "the 1st time" in done.findings["accuracy"].note


def test_a_training_that_did_not_look(folder, tmp_path):
    (folder / "train/a/cut.png").unlink()
    data = load(folder)
    done = run(data, "logistic-regression", out=tmp_path / "run", epochs=1, report=False, progress=False, check=False)
    assert "accuracy_without_copies" not in done.findings
    assert not done.folder.check.exists()
    assert done.training.data.fingerprint == replace(data, splits=done.training.data.splits).fingerprint
