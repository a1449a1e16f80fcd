from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pellucid.cli import console
from pellucid.records import Findings, Metric, Model


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_show_draws_a_grid_and_says_where(pellucid, tmp_path):
    done = pellucid("show", "digits", "--per-class", 3)
    assert (done.code, done.out, done.err) == (0, "digits-train.png\n", "")
    with Image.open(tmp_path / "digits-train.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200


def test_show_draws_another_split_where_it_is_wanted(pellucid, tmp_path):
    done = pellucid("show", "digits", "--split", "test", "--out", "grid.png")
    assert done.out == "grid.png\n"
    assert (tmp_path / "grid.png").stat().st_size > 1000
    assert pellucid("show", "digits", "--split", "validation").code == 1


def test_a_report_is_written_again(pellucid, tmp_path):
    done = pellucid("train", "digits", "--network", "logistic-regression", "--epochs", 1, "--quiet", "--out", "mine")
    assert done.code == 0, done.err
    page = tmp_path / "mine" / "report.html"
    assert f"Report  {Path('mine/report.html')}" in done.out.splitlines()
    first = page.read_bytes()
    page.unlink()
    again = pellucid("report", "mine")
    assert again.code == 0
    assert page.read_bytes() == first


def test_the_purpose_is_kept_and_can_be_said_later(pellucid):
    quick = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--out", "mine"]
    assert pellucid("train", "digits", *quick, "--purpose", "Sort forms").code == 0
    assert Model.load("mine").specification.training["purpose"] == "Sort forms"
    assert pellucid("report", "mine", "--not-for", "Cheques").code == 0
    page = Path("mine/report.html").read_text(encoding="utf-8")
    assert "<dd>Sort forms</dd>" in page
    assert "<dd>Cheques</dd>" in page
    assert pellucid("audit", "mine", "digits", "--check", "wear").code == 0
    assert "Test wear</h2>" in Path("mine/report.html").read_text(encoding="utf-8")


def test_report_of_what_is_no_run(pellucid):
    Path("mine").mkdir()
    done = pellucid("report", "mine")
    assert done.sentence == "mine is not a run folder: it has no run.json. `pellucid train` makes run folders."


def test_grid_that_is_no_png(pellucid):
    done = pellucid("show", "digits", "--out", "grid.gif")
    assert done.code == 2
    assert done.sentence == "The picture is a PNG file, but --out is 'grid.gif'. Try --out grid.png."


def test_findings_for_a_file_are_neither_wrapped_nor_filled_up(capsys):
    name = "a-long-name-" * 30
    long = Metric("accuracy", 0.5, 2, unit="fraction", note=f"the note {name} ends")
    console.emit(Findings((long, Metric("loss", 1.5, 2, unit="nats"))), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert f"the note {name} ends" in lines[0]
    assert all(line == line.rstrip() for line in lines)


def test_findings_on_a_terminal_fit_it(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    console.emit(Findings((Metric("accuracy", 0.5, 2, unit="fraction", note="a word " * 30),)), as_json=False)
    assert len(capsys.readouterr().out.splitlines()) > 2


def test_where_things_lie_cannot_write_another_line(pellucid, tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("Windows has no file names with line ends")
    monkeypatch.chdir(tmp_path)
    quick = ["--network", "logistic-regression", "--epochs", 1, "--quiet"]
    done = pellucid("train", "digits", *quick, "--out", "two\nlines")
    assert done.code == 0
    assert "Model   two\\nlines/model.safetensors" in done.out.splitlines()
    assert "Report  two\\nlines/report.html" in done.out.splitlines()
    assert pellucid("report", "two\nlines").out == "two\\nlines/report.html\n"
    assert pellucid("show", "digits", "--out", "two\nlines/digits.png").out == "two\\nlines/digits.png\n"
    assert pellucid("inspect", "two\nlines", "--filters", "1").out.startswith("two\\nlines/")
    Path("no\nruns").mkdir()
    assert pellucid("runs", "no\nruns").out == "There are no runs in no\\nruns.\n"
