from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pellucid.records import ledger


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_each_scoring_is_counted_by_split(folder):
    assert str(ledger.record_scoring("one", data="mnist", model="m1")) == "the 1st time that this test split was scored"
    assert str(ledger.record_scoring("one", data="mnist", model="m1")) == "the 2nd time that this test split was scored"
    third = ledger.record_scoring("one", data="mnist", model="m2")
    assert str(third) == "the 3rd time that this test split was scored, by 2 different models"
    assert ledger.record_scoring("other", data="photos", model="m1").times == 1
    assert (ledger.count("one").times, ledger.count("none").times) == (3, 0)
    lines = (folder / "ledger" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["split"] for line in lines] == ["one", "one", "one", "other"]


def test_ordinals(folder):
    said = [ledger.record_scoring("one", data="d", model="m") for _ in range(23)]
    assert [str(one).split()[1] for one in said[9:]] == [
        *(
            "10th",
            "11th",
            "12th",
            "13th",
            "14th",
            "15th",
            "16th",
            "17th",
            "18th",
            "19th",
            "20th",
            "21st",
            "22nd",
            "23rd",
        )
    ]


def test_lines_are_only_added_and_damaged_ones_passed_over(folder):
    place = folder / "ledger" / "scores.jsonl"
    place.parent.mkdir(parents=True)
    before = b'{"split": "one", "model": "m"}\nnonsense\n[1]\n\xff\xfe\n{"split": "one", "mod'
    place.write_bytes(before)
    assert ledger.record_scoring("one", data="d", model="m").times == 2
    assert place.read_bytes().startswith(before + b"\n{")
    assert ledger.record_scoring("one", data="d", model="m").times == 3


def test_concurrent_processes_lose_no_line(folder):
    script = (
        "from pellucid.records import ledger; [ledger.record_scoring('one', data='d', model='{}') for _ in range(15)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", script.format(i)]) for i in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    found = ledger.count("one")
    assert (found.times, found.models) == (45, 3)


def test_a_cache_that_cannot_be_written_fails_no_run(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file"))
    said = ledger.record_scoring("one", data="d", model="m")
    assert said.times == 0
    assert str(said).startswith("the number of times that this test split was scored is unknown: ")
    assert str(tmp_path / "file") in said.error


def test_a_lock_that_is_held_is_not_waited_for_endlessly(folder, monkeypatch):
    import filelock

    monkeypatch.setattr(ledger, "_PATIENCE", 0.05)
    (folder / "ledger").mkdir(parents=True)
    with filelock.FileLock(folder / "ledger" / ".scores.jsonl.lock"):
        assert ledger.record_scoring("one", data="d", model="m").times == 0


def test_the_place_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("PELLUCID_CACHE")
    assert ledger.path().parts[-2:] == ("ledger", "scores.jsonl")
    assert "pellucid" in ledger.path().parts
    from pellucid.data.location import cache_root

    assert ledger.path().parent.parent == cache_root()
    assert os.fspath(ledger.path())
