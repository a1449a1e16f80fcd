"""A run that is interrupted or killed, and goes on. See test_kills.py for many kills."""

import json
import os
import signal
import subprocess
import sys

import pytest

import pellucid
from pellucid.cli import main
from pellucid.errors import MissingDataError, StorageError, UsageError
from pellucid.records import RunFolder, runs
from pellucid.records.run import locked
from pellucid.workflows.train import resume, run


@pytest.fixture
def interrupted(tmp_path):
    """A run that was interrupted after its first epoch."""

    class Stop:
        def on_epoch(self, row):
            signal.raise_signal(signal.SIGINT)

    done = run(
        pellucid.load("digits"), "logistic-regression", source="digits", out=tmp_path / "run", epochs=3,
        report=False, progress=False, callbacks=[Stop()],
    )  # fmt: skip
    assert done.interrupted
    return done.folder.path


def test_an_interrupted_run_goes_on_from_the_shell(interrupted, capsys, tmp_path):

    whole = run(
        pellucid.load("digits"), "logistic-regression", out=tmp_path / "whole", epochs=3, report=False, progress=False
    )
    with pytest.raises(SystemExit) as ended:
        main(["train", "--resume", str(interrupted), "--json"])
    assert ended.value.code == 0
    printed = capsys.readouterr()
    assert "resumes after step" in printed.err
    assert json.loads(printed.out)["findings"][0]["name"] == "accuracy"
    for name in ("model.safetensors", "history.csv", "predictions.parquet"):
        assert (interrupted / name).read_bytes() == (whole.folder.path / name).read_bytes()
    assert not (interrupted / "checkpoint").exists()


def test_a_finished_run_and_no_run_are_refused(tmp_path, interrupted):
    resume(interrupted, progress=False)
    with pytest.raises(MissingDataError, match="is finished, so there is nothing to resume"):
        resume(interrupted)
    with pytest.raises(MissingDataError, match="is not the folder of a run"):
        resume(tmp_path / "nothing")


def test_a_folder_in_use_is_refused(interrupted):
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            ("import sys, time; from pathlib import Path; from pellucid.records import RunFolder;"
            "from pellucid.records.run import locked\n"
            f"with locked(RunFolder(Path({str(interrupted)!r}))): print('held', flush=True); time.sleep(60)"),
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="is in use by another process"):
            resume(interrupted)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    # The lock of a process that was killed is no lock.
    with locked(RunFolder(interrupted)):
        pass
    assert not resume(interrupted, progress=False).interrupted


def test_what_the_plan_does_not_name_has_to_be_given(tmp_path):
    from torch import nn

    class Stop:
        def on_epoch(self, row):
            signal.raise_signal(signal.SIGINT)

    data = pellucid.load("digits")
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run(data, network, out=tmp_path / "run", epochs=2, report=False, progress=False, callbacks=[Stop()])
    with pytest.raises(UsageError, match="give them: resume"):
        resume(tmp_path / "run")
    with pytest.raises(UsageError, match="give it: resume"):
        resume(tmp_path / "run", data=data)
    assert not resume(tmp_path / "run", data=data, network=network, progress=False).interrupted


def test_resume_takes_nothing_else(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--resume", str(tmp_path)])
    assert ended.value.code == 2
    assert "--resume continues a run with its own settings; leave out: DATA." in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM that can be heard")
def test_the_word_to_end_keeps_what_was_learned(tmp_path):
    class Told:
        def on_step(self, step, loss, accuracy):
            if step == 5:
                signal.raise_signal(signal.SIGTERM)

    data = pellucid.load("digits")
    done = run(
        data, "mlp", source="digits", out=tmp_path / "run", epochs=2, report=False, progress=False, callbacks=[Told()]
    )
    assert done.interrupted
    assert not resume(tmp_path / "run", progress=False).interrupted
    whole = run(data, "mlp", source="digits", out=tmp_path / "whole", epochs=2, report=False, progress=False)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole.folder.model.read_bytes()


@pytest.mark.parametrize("amid", ["evaluate", "display.view"])
def test_ctrl_c_while_it_is_scored_keeps_the_model_and_the_way_on(tmp_path, monkeypatch, amid):
    def impatient(*_: object):
        raise KeyboardInterrupt

    plan = {"source": "digits", "epochs": 1, "report": amid != "evaluate", "progress": False}
    whole = run(pellucid.load("digits"), "mlp", out=tmp_path / "whole", **plan)
    monkeypatch.setattr(f"pellucid.workflows.train.{amid}", impatient)
    done = run(pellucid.load("digits"), "mlp", out=tmp_path / "run", **plan)
    assert done.interrupted and done.unscored and not done.training.interrupted
    assert done.folder.model.is_file()
    assert runs.summarise(done.folder.path).state == runs.INTERRUPTED
    monkeypatch.undo()
    again = resume(tmp_path / "run", progress=False)
    assert not again.interrupted
    assert again.findings["accuracy"].n == 360
    assert runs.summarise(done.folder.path).state == runs.FINISHED
    for name in ("model.safetensors", "history.csv", "predictions.parquet", "run.json"):
        assert (done.folder.path / name).read_bytes() == (whole.folder.path / name).read_bytes()


def test_a_run_that_was_killed_says_where_its_best_model_is(tmp_path):
    from pellucid.errors import ModelFileError
    from pellucid.records import Model

    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"has not ended. Its best model so far is .*checkpoint; `pellucid"):
        Model.load(tmp_path)
