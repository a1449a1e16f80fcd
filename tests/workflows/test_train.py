"""A whole run: trained, scored once, and everything in a folder that is never overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.errors import PellucidError, StorageError, TrainingError, UsageError
from pellucid.inference import predict
from pellucid.records import Dataset, Findings, Model, Predictions, atomic, display
from pellucid.training.history import History
from pellucid.workflows import train as workflow
from pellucid.workflows.train import run


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def few() -> Dataset:
    digits = pellucid.load("digits")
    return Dataset("few", {"train": digits.train.take(np.arange(300)), "test": digits.test.take(np.arange(60))})


def quick(data: Dataset, network: Any = "logistic-regression", **more: Any) -> workflow.Run:
    return run(data, network, **({"epochs": 2, "progress": False, "report": False} | more))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)).replace(os.sep, "/") for path in folder.rglob("*") if path.is_file())


def test_everything_is_in_the_folder(few):
    done = quick(few, report=True, command="pellucid train few --network logistic-regression", seed=3)
    folder = done.folder
    assert folder.path == Path("runs/few-logistic-regression-001")
    names = files(folder.path)
    for name in ("run.json", "history.csv", "times.csv", "model.safetensors", "predictions.parquet", "findings.json"):
        assert name in names
    draws = display.view("run") is not None  # the report is a capability that can be deleted
    assert ("report.html" in names) is draws
    assert any(name.startswith("pictures/") and name.endswith(".png") for name in names) is draws
    assert not [name for name in names if name.endswith(".part") or name.startswith("checkpoint")]
    assert done.report == (folder.report if draws else None)
    assert not done.interrupted

    assert Model.load(folder.path) == done.model
    assert History.load(folder.history) == done.training.history
    assert len(folder.times.read_text(encoding="utf-8").splitlines()) == 3
    found = Predictions.load(folder.predictions)
    assert found.model == done.model.sha256, "the predictions name the model that lies beside them"
    np.testing.assert_array_equal(found.probabilities, predict(done.model, few.test).probabilities)
    stored = folder.read_findings()
    assert [item for item in stored if item.name in done.findings] == list(done.findings)
    accuracy = (found.predicted == few.test.labels).mean()
    assert done.findings["accuracy"].value == pytest.approx(accuracy)
    assert done.findings["accuracy"].n == 60


def test_the_scores_are_in_the_model_file(few):
    done = quick(few)
    metrics = Model.load(done.folder.model).specification.metrics
    accuracy = done.findings["accuracy"]
    assert metrics["test_accuracy"] == {
        "value": accuracy.value, "low": accuracy.low, "high": accuracy.high, "n": 60,
    }  # fmt: skip
    assert metrics["validation_accuracy"]["n"] == len(done.training.data.validation)


def test_run_json_says_everything_needed_to_repeat_it(few):
    done = quick(few, "mlp", settings={"widths": [20]}, seed=3, command="pellucid train few", batch_size=50)
    said = json.loads(done.folder.run_json.read_text(encoding="utf-8"))
    assert said["command"] == "pellucid train few"
    assert said["seed"] == 3
    assert said["network"]["name"] == "mlp"
    assert said["network"]["settings"] == {"widths": [20]}
    assert said["network"]["parameters"] == 64 * 20 + 20 + 20 * 10 + 10
    sizes = said["data"]["sizes"]
    assert (sizes["train"] + sizes["validation"], sizes["test"]) == (300, 60)
    assert said["scored"] == "test"
    assert said["chosen_epoch"] == done.training.chosen_epoch
    assert said["interrupted"] is False
    assert said["stopped"] == ""
    assert said["versions"]["torch"] == torch.__version__
    assert said["threads"] == torch.get_num_threads()
    again = run(
        few,
        said["network"]["name"],
        settings=said["network"]["settings"],
        recipe=pellucid.Recipe(**said["recipe"]),
        seed=said["seed"],
        progress=False,
        report=False,
    )
    assert again.model == done.model
    assert again.folder.model.read_bytes() == done.folder.model.read_bytes()
    assert again.folder.path.name == "few-mlp-002"


def test_a_run_is_never_overwritten(few, tmp_path):
    out = tmp_path / "mine"
    first = quick(few, out=out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    assert first.folder.path == out
    with pytest.raises(StorageError, match="a run is never overwritten"):
        quick(few, out=out)
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_two_at_the_same_time_have_folders_of_their_own(few):
    done: list[workflow.Run] = []
    threads = [threading.Thread(target=lambda: done.append(quick(few, epochs=1))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.folder.path.name for one in done) == [f"few-logistic-regression-00{i}" for i in (1, 2, 3)]
    for one in done:
        Model.load(one.folder.path)


@pytest.mark.parametrize("what", ["source", "out", "data"])
def test_a_name_that_is_no_text_is_refused_before_anything_is_done(few, what):
    data = replace(few, name="caf\udce9") if what == "data" else few
    with pytest.raises(
        UsageError, match=r"^The name .*caf\\x.* is not UTF-8, and the files of a training are written in UTF-8"
    ):
        quick(data, **({} if what == "data" else {what: "/photos/caf\udce9"}))
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"learning_rate": 1e30, "schedule": "constant", "warmup": 0.0}, TrainingError),
        ({"network": "lenet6"}, UsageError),
        ({"optimizer": "adm"}, UsageError),
        ({"network": "convnet", "size": 2}, PellucidError),
        ({"seed": -1}, UsageError),
    ],
)
def test_what_fails_leaves_no_folder(few, tmp_path, changes, kind):
    with pytest.raises(kind):
        quick(few, **({"network": "mlp"} | changes))
    assert files(tmp_path) == []
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["runs"])


def test_a_test_split_that_cannot_be_scored_is_said_before_training(few, tmp_path):
    unlabelled = replace(few, splits={**few.splits, "test": replace(few.test, labels=None)})
    with pytest.raises(PellucidError, match="have no labels"):
        quick(unlabelled)
    assert list(tmp_path.rglob("*")) == []


def test_a_callback_that_fails_at_once_leaves_no_folder(few, tmp_path):
    class Fails:
        def on_folder(self, folder: Path) -> None:
            raise RuntimeError(f"cannot write to {folder}")

    with pytest.raises(RuntimeError, match="cannot write to"):
        quick(few, callbacks=[Fails()])
    assert files(tmp_path) == []
    assert not list(tmp_path.rglob("few-*"))


def test_pictures_of_the_test_split_that_cannot_be_read_are_counted(tmp_path):
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, low in (("dark", 0), ("light", 150)):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(8):
                pixels = generator.integers(low, low + 100, (9, 9), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    data = pellucid.load(str(tmp_path / "photos"))
    damaged = data.test.pictures.paths[3]
    damaged.write_bytes(damaged.read_bytes()[:60])
    done = quick(data)
    assert done.findings["accuracy"].n == 15
    assert "without 1 unreadable picture" in str(done.findings)
    assert list(Predictions.load(done.folder.predictions).unreadable) == [data.test.ids[3]]


def test_what_fails_later_leaves_what_was_learned(few):
    class Fails:
        def on_epoch(self, row: dict[str, Any]) -> None:
            if row["epoch"] == 2:
                raise RuntimeError("a callback's own fault")

    with pytest.raises(RuntimeError, match="a callback's own fault"):
        quick(few, epochs=5, callbacks=[Fails()])
    folder = Path("runs/few-logistic-regression-001")
    assert len(History.load(folder / "history.csv")) == 2
    assert Model.load(folder / "checkpoint").specification.training["chosen_epoch"] in (1, 2)


def test_a_disk_that_fills_up_while_it_trains(few, monkeypatch):
    def full(path: Path, content: str) -> None:
        raise StorageError(f"The disk is full: {path} could not be written.")

    monkeypatch.setattr(atomic, "write_text", full)
    with pytest.raises(StorageError, match="The disk is full"):
        quick(few)


def test_without_a_test_split_validation_is_scored_and_that_is_said(few):
    done = quick(Dataset("few", {"train": few.train}))
    assert done.scored == "validation"
    assert json.loads(done.folder.run_json.read_text(encoding="utf-8"))["scored"] == "validation"
    assert done.findings["accuracy"].n == len(done.training.data.validation)
    assert "validation_accuracy" in done.model.specification.metrics
    assert not any(name.startswith("test_") for name in done.model.specification.metrics)


def test_without_a_report_the_rest_is_the_same(few, monkeypatch):
    monkeypatch.setattr(display, "VIEWS", {})
    done = quick(few, report=True)
    assert done.report is None
    assert "predictions.parquet" in files(done.folder.path)


def test_it_starts_from_a_file(few):
    first = quick(few)
    more = quick(few, None, start=first.folder.path)
    assert more.folder.path.name == "few-logistic-regression-002"
    assert more.model.specification.training["started_from"] == first.model.sha256
    with pytest.raises(PellucidError, match="There is no model file"):
        quick(few, start=Path("none.safetensors"))


def test_the_threads_that_are_asked_for_are_taken(few):
    before = torch.get_num_threads()
    try:
        done = quick(few, threads=2, epochs=1)
        assert torch.get_num_threads() == 2
        assert json.loads(done.folder.run_json.read_text(encoding="utf-8"))["threads"] == 2
    finally:
        torch.set_num_threads(before)


def test_an_interrupted_run_keeps_the_best_model(few):
    class AtThirdEpoch:
        def on_epoch(self, row: dict[str, Any]) -> None:
            if row["epoch"] == 3:
                signal.raise_signal(signal.SIGINT)

    done = quick(few, epochs=50, callbacks=[AtThirdEpoch()])
    assert done.interrupted
    assert done.findings == Findings()
    assert done.report is None
    names = files(done.folder.path)
    assert [name for name in names if not name.startswith("checkpoint/")] == [
        "check.json",
        "history.csv",
        "model.safetensors",
        "run.json",
        "times.csv",
    ]
    assert done.folder.plan.is_file(), "it can go on"
    said = json.loads(done.folder.run_json.read_text(encoding="utf-8"))
    assert said["interrupted"] is True
    assert said["chosen_epoch"] in (1, 2, 3)
    assert len(predict(Model.load(done.folder.path), few.test)) == 60


def test_ctrl_c_in_a_process_of_its_own(tmp_path):
    """As a person does it: a real signal to a running `pellucid train`."""
    out = tmp_path / "run"
    code = textwrap.dedent(f"""
        import sys
        sys.argv = ["pellucid", "train", "digits", "--network", "mlp", "--epochs", "100000", "--threads", "1",
                    "--out", {str(out)!r}]
        from pellucid.cli import main
        main()
    """)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch") and " 3/100000" in line:
                break
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said + rest
    model = Model.load(out)
    epoch = model.specification.training["chosen_epoch"]
    assert f"Interrupted. Kept the model of epoch {epoch}: {out / 'model.safetensors'}" in said
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["interrupted"] is True
    assert len(History.load(out / "history.csv")) >= 3


def test_what_is_scored_is_the_whole_test_split_that_was_given(few):
    done = quick(replace(few, splits={**few.splits, "test": few.test.take(np.arange(10))}))
    assert done.findings["accuracy"].n == 10
