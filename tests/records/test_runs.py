"""What a folder of runs holds: every state of a run, every kind of damage, and what is no run."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid.errors import MissingDataError
from pellucid.records import Findings, Metric, RunFolder, runs
from pellucid.records.run import locked

ABOUT = {
    "version": 1,
    "data": {"name": "digits", "fingerprint": "f"},
    "network": {"name": "mlp", "source": "", "settings": {"widths": [20]}},
    "recipe": {"epochs": 3},
    "seed": 7,
    "scored": "test",
    "chosen_epoch": 2,
    "interrupted": False,
}
ACCURACY = Metric("accuracy", 0.9, 360, 0.87, 0.93, unit="fraction")


def make(path: Path, when: float = 1000.0) -> RunFolder:
    """A finished run, written at that moment."""
    path.mkdir(parents=True)
    run = RunFolder(path)
    run.write_json(ABOUT)
    run.write_findings(Findings((ACCURACY,)))
    run.history.write_text("epoch,step\n1,10\n2,20\n3,30\n", encoding="utf-8")
    run.times.write_text("epoch,seconds\n1,0.5\n2,0.25\n3,0.25\n", encoding="utf-8")
    run.model.write_bytes(b"no model is opened")
    date(run, when)
    return run


def date(run: RunFolder, when: float) -> None:
    for path in run.path.iterdir():
        os.utime(path, (when, when))


def test_a_finished_run(tmp_path):
    run = make(tmp_path / "digits-mlp-001")
    (found,) = runs.find(tmp_path)
    assert found == runs.RunSummary(
        path=run.path,
        state="finished",
        changed=1000.0,
        data="digits",
        network="mlp",
        settings={"widths": [20]},
        recipe={"epochs": 3},
        seed=7,
        accuracy=ACCURACY,
        scored="test",
        chosen_epoch=2,
        epochs=3,
        seconds=1.0,
    )


def test_the_newest_is_last_and_names_decide_among_equals(tmp_path):
    for name, when in (("c", 10.0), ("b", 30.0), ("a", 30.0), ("d", 20.0)):
        make(tmp_path / name, when)
    assert [found.path.name for found in runs.find(tmp_path)] == ["c", "d", "a", "b"]


def test_a_run_itself_can_be_given(tmp_path):
    run = make(tmp_path / "mine")
    (run.path / "pictures").mkdir()
    assert [found.path for found in runs.find(run.path)] == [run.path]


def test_other_folders_are_skipped(tmp_path):
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    scores = RunFolder(tmp_path / "scores")  # what `pellucid evaluate --out` leaves
    scores.path.mkdir()
    scores.write_findings(Findings((ACCURACY,)))
    assert runs.find(tmp_path) == []


def test_an_interrupted_run(tmp_path):
    run = make(tmp_path / "run")
    run.findings.unlink()
    run.write_json(ABOUT | {"interrupted": True})
    (found,) = runs.find(tmp_path)
    assert (found.state, found.accuracy, found.scored, found.chosen_epoch) == ("interrupted", None, "", 2)


@pytest.mark.parametrize("part", ["history.csv", "checkpoint"])
def test_a_run_that_was_killed_or_failed(tmp_path, part):
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    if part == "checkpoint":
        run.checkpoint.mkdir()
    else:
        run.history.write_text("epoch,step\n1,10\n", encoding="utf-8")
    (found,) = runs.find(tmp_path)
    assert (found.state, found.problem) == ("unfinished", "")
    assert found.epochs == (1 if part == "history.csv" else None)


def test_a_run_that_is_not_scored_yet(tmp_path):
    run = make(tmp_path / "run")
    run.findings.unlink()
    run.model.unlink()
    assert [found.state for found in runs.find(tmp_path)] == ["unfinished"]


def test_a_run_without_accuracy(tmp_path):
    run = make(tmp_path / "run")
    run.write_findings(Findings((Metric("loss", 0.1, 3),)))
    (found,) = runs.find(tmp_path)
    assert (found.state, found.accuracy, found.scored) == ("finished", None, "")


NO_NUMBER = '{"version": 2, "findings": [{"name": "accuracy", "value": "x", "n": 1}]}'
DAMAGE = {
    "run.json": ["{", "[]", '{"version": 1}', json.dumps(ABOUT | {"seed": "7"}), json.dumps(ABOUT | {"data": 3})],
    "findings.json": ["{", "[1]", '{"version": 99}', NO_NUMBER],
    "history.csv": ["", "a,b\n1,2\n", "epoch,step\none,2\n", 'epoch\n"1\n'],
    "times.csv": ["x\n", "epoch,seconds\n1\n"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [(name, one) for name, many in DAMAGE.items() for one in many])
def test_a_damaged_run_is_named_and_the_others_are_listed(tmp_path, name, content):
    run = make(tmp_path / "bad", 1.0)
    make(tmp_path / "good", 2.0)
    (run.path / name).write_text(content, encoding="utf-8")
    date(run, 1.0)
    found = runs.find(tmp_path)
    assert [one.state for one in found] == ["damaged", "finished"]
    assert str(run.path) in found[0].problem
    assert "\n" not in found[0].problem


@pytest.mark.parametrize("name", ["run.json", "model.safetensors"])
def test_a_missing_file_is_damage(tmp_path, name):
    run = make(tmp_path / "bad")
    (run.path / name).unlink()
    (found,) = runs.find(tmp_path)
    assert found.state == "damaged"
    assert name in found.problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(ABOUT)), value=json_values, accuracy=json_values)
def test_any_content_of_the_files_is_handled(tmp_path, key, value, accuracy):
    run = RunFolder(tmp_path / "run")
    run.path.mkdir(exist_ok=True)
    run.model.touch()
    run.run_json.write_text(json.dumps(copy.deepcopy(ABOUT) | {key: value}), encoding="utf-8")
    findings = {"version": 2, "findings": [{"name": "accuracy", "value": accuracy, "n": 1}]}
    run.findings.write_text(json.dumps(findings), encoding="utf-8")
    (found,) = runs.find(tmp_path)
    assert found.state in ("finished", "interrupted", "damaged")
    if found.accuracy is not None:
        assert f"{found.accuracy}".startswith("accuracy ")


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    make(tmp_path / "closed")
    real = Path.exists

    def exists(self: Path, **how: bool) -> bool:
        if self.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, **how)

    monkeypatch.setattr(Path, "exists", exists)
    (found,) = runs.find(tmp_path)
    assert found.state == "damaged"
    assert found.problem == f"{tmp_path / 'closed'} cannot be read: Permission denied."


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError) as caught:
        runs.find(tmp_path / "runs")
    assert str(caught.value).startswith(
        f"There is no folder of runs at {tmp_path / 'runs'}. `pellucid train` makes run"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (None, "none"),
        (True, "true"),
        ("adam", "adam"),
        (["flip", "shift:2"], "flip+shift:2"),
        ([], "none"),
    ],
)
def test_a_setting_in_a_few_characters(value, text):
    assert runs.format_value(value) == text


@pytest.mark.parametrize("how", ["new", "interrupted"])
def test_a_run_that_a_process_is_at_work_on(tmp_path, how):
    if how == "new":
        run = RunFolder(tmp_path / "run")
        run.path.mkdir()
    else:
        run = make(tmp_path / "run")
        run.findings.unlink()
        run.write_json(ABOUT | {"interrupted": True})
    with locked(run):
        run.history.write_text("epoch,step\n1,10\n", encoding="utf-8")
        assert [found.state for found in runs.find(tmp_path)] == ["running"]
        lock = run.lock.exists()
    assert lock
    assert [found.state for found in runs.find(tmp_path)] == ["unfinished" if how == "new" else "interrupted"]


def test_a_lock_that_nobody_holds_is_of_a_process_that_was_killed(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.checkpoint.mkdir(parents=True)
    run.lock.touch()
    assert [found.state for found in runs.find(tmp_path)] == ["unfinished"]
    run.lock.unlink(missing_ok=True)
    run.lock.mkdir()  # what cannot be tried is not said to be held
    assert [found.state for found in runs.find(tmp_path)] == ["unfinished"]
