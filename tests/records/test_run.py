"""Run folders: numbered, never overwritten, and read back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pellucid.errors import FormatError, StorageError, UsageError
from pellucid.records import Findings, Metric, RunFolder


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_numbers_go_on_after_the_highest():
    assert RunFolder.create("mnist", "lenet5").path == Path("runs/mnist-lenet5-001")
    assert RunFolder.create("mnist", "lenet5").path == Path("runs/mnist-lenet5-002")
    assert RunFolder.create("mnist", "mlp").path == Path("runs/mnist-mlp-001")
    Path("runs/mnist-lenet5-041").mkdir()
    assert RunFolder.create("mnist", "lenet5").path == Path("runs/mnist-lenet5-042")
    Path("runs/mnist-lenet5-1000").mkdir()
    assert RunFolder.create("mnist", "lenet5").path == Path("runs/mnist-lenet5-1001")


def test_names_become_names_of_folders():
    assert RunFolder.create("My Photos (2)/é", "timm:resnet18").path.name == "my-photos-2-é-timm-resnet18-001"
    assert RunFolder.create("..", "net").path.name == "data-net-001"
    # A dot stands for itself: a.b is not axb.
    RunFolder.create("axb", "net")
    assert RunFolder.create("a.b", "net").path.name == "a.b-net-001"


def test_many_at_the_same_time_get_folders_of_their_own():
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: RunFolder.create("digits", "mlp").path, range(24)))
    assert len(set(folders)) == 24


def test_one_that_is_there_is_never_taken(tmp_path):
    out = tmp_path / "deep" / "run"
    assert RunFolder.create("digits", "mlp", out).path == out
    with pytest.raises(StorageError) as caught:
        RunFolder.create("digits", "mlp", out)
    assert "exists already, and a run is never overwritten" in str(caught.value)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "runs").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="is a file, but a folder is needed"):
        RunFolder.create("digits", "mlp")


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder.create("digits", "mlp")
    assert folder.read_findings() == Findings()
    folder.write_json({"name": "Zoë", "n": 1})
    assert folder.read_json() == {"name": "Zoë", "n": 1}
    found = Findings((Metric("accuracy", 0.5, 2),))
    folder.write_findings(found)
    assert folder.read_findings() == found
    places = [folder.history, folder.times, folder.checkpoint, folder.model, folder.predictions, folder.pictures]
    assert {place.parent for place in [*places, folder.report, folder.run_json]} == {folder.path}


@pytest.mark.parametrize("content", ["{", '{"version": 9}', "[1]", '{"version": 1}', "\x00"])
def test_damaged_findings(content):
    folder = RunFolder.create("digits", "mlp")
    folder.findings.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError):
        folder.read_findings()


def test_no_run_folder(tmp_path):
    with pytest.raises(FormatError, match="is not a run folder"):
        RunFolder(tmp_path).read_json()
    RunFolder(tmp_path).run_json.write_bytes(b"\xff\xfe{")
    with pytest.raises(FormatError, match="is not a run folder"):
        RunFolder(tmp_path).read_json()


def test_a_tilde_is_the_persons_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    assert RunFolder.create("digits", "mlp", "~/x").path == tmp_path / "me" / "x"
    assert RunFolder.create("digits", "mlp", "~draft").path == Path("~draft")
    with pytest.raises(UsageError) as caught:
        RunFolder.create("digits", "mlp", "~nobody-at-all/x")
    assert str(caught.value) == (
        "~nobody-at-all/x begins with the folder of the user 'nobody-at-all', and this machine has no such user. For "
        "a file of that name, write ./~nobody-at-all/x."
    )
