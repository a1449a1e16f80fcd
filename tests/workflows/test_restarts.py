"""A launcher that starts a command again: it finds its own run, and no other."""

from pathlib import Path

import pytest

import pellucid
from pellucid.errors import StorageError
from pellucid.records import RunFolder
from pellucid.training.callbacks import Callback
from pellucid.workflows import restarts
from pellucid.workflows.train import resume, run

PLAN = {"network": "logistic-regression", "epochs": 2, "source": "digits", "report": False, "progress": False}


class Crash(BaseException):
    """What stands for a process that ends at once."""


class CrashAfterAnEpoch(Callback):
    def on_epoch(self, row):
        raise Crash


class Told(Callback):
    """Notes whether it went on, and what was said before."""

    def __init__(self) -> None:
        self.resumed = []
        self.planned = []

    def on_resumed(self, step, history):
        self.resumed.append(len(history))

    def on_planned(self, sentence):
        self.planned.append(sentence)


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Says which launch this is, and how often it was started again."""
    monkeypatch.chdir(tmp_path)

    def set_to(run_id, restart=0):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restart))

    return set_to


def crash(**changes: object):
    with pytest.raises(Crash):
        run(pellucid.load("digits"), check=False, callbacks=[CrashAfterAnEpoch()], **(PLAN | changes))


def again(**changes: object):
    told = Told()
    done = run(pellucid.load("digits"), check=False, callbacks=[told], **(PLAN | changes))
    return told.resumed, done.folder.path.name


@pytest.mark.parametrize("run_id", ["job-17", "none"])
def test_a_restart_goes_on_with_its_own_run(launcher, run_id):
    whole = run(pellucid.load("digits"), check=False, out="whole", **PLAN)
    launcher(run_id)
    crash()
    launcher(run_id, int(run_id == "none"))  # a job that is queued again keeps its id, and counts from 0
    assert again() == ([1], "digits-logistic-regression-001")
    for name in ("model.safetensors", "history.csv"):
        found = (whole.folder.path.parent / "runs" / "digits-logistic-regression-001" / name).read_bytes()
        assert found == (whole.folder.path / name).read_bytes()


def test_another_launch_another_plan_or_no_launcher_begins_anew(launcher, monkeypatch):
    launcher("job-17")
    crash()
    launcher("job-18", 1)
    assert again() == ([], "digits-logistic-regression-002")
    launcher("job-17", 1)
    assert again(seed=5) == ([], "digits-logistic-regression-003")
    launcher("none")  # an id that all have: a first start is never a restart
    assert again() == ([], "digits-logistic-regression-004")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    assert again() == ([], "digits-logistic-regression-005")
    assert restarts.launch() == ""


def test_a_folder_that_was_named_is_taken_again_only_where_nothing_is_lost(launcher, tmp_path):
    launcher("job-17")
    crash(out="mine")
    launcher("job-18", 1)
    with pytest.raises(StorageError, match="mine exists already"):
        again(out="mine")
    launcher("job-17", 1)
    assert again(out="mine") == ([1], "mine")
    (tmp_path / "empty" / "checkpoint").mkdir(parents=True)  # killed before its first file
    assert again(out="empty") == ([], "empty")


def test_a_second_launch_of_the_same_id_leaves_the_first_alone(launcher):
    class Twin(Callback):
        def on_start(self, plan):
            with pytest.raises(StorageError, match="001 is in use by another process"):
                again()
            assert RunFolder(Path("runs/digits-logistic-regression-001")).plan.is_file()

    launcher("job-17")
    run(pellucid.load("digits"), check=False, callbacks=[Twin()], **PLAN)


def test_what_was_noted_and_is_damaged_is_no_launch(launcher, tmp_path):
    launcher("job-17")
    crash()
    folder = RunFolder(tmp_path / "runs" / "digits-logistic-regression-001")
    content = folder.launch.read_bytes()
    for damaged in (b"", b"[]", content[:9]):
        folder.launch.write_bytes(damaged)
        assert restarts._noted(folder) == {}
    folder.launch.write_bytes(content)
    folder.plan.write_bytes(b"{")
    assert again() == ([], "digits-logistic-regression-002")


def test_another_number_of_processes_is_said(launcher, tmp_path):
    crash(out="mine")
    folder = RunFolder(tmp_path / "mine")
    assert restarts.same_processes(folder) == ""
    folder.launch.write_text(folder.launch.read_text().replace('"processes": 1', '"processes": 2'))
    told = Told()
    resume(folder.path, progress=False, callbacks=[told])
    (said,) = told.planned
    assert said == (
        "This run was begun by 2 processes and is resumed by one process: its weights are the same within rounding, "
        "not to the bit."
    )
    assert not folder.launch.exists()
