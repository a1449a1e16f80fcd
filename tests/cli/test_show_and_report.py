from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


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
    assert done.out.endswith("Report  mine/report.html\n".replace("/", "\\" if "\\" in str(page) else "/"))
    first = page.read_bytes()
    page.unlink()
    again = pellucid("report", "mine")
    assert again.code == 0
    assert page.read_bytes() == first


def test_report_of_what_is_no_run(pellucid):
    Path("mine").mkdir()
    done = pellucid("report", "mine")
    assert done.sentence == "There is no run in mine: it has no run.json. `pellucid train` makes run folders."


def test_grid_that_is_no_png(pellucid):
    done = pellucid("show", "digits", "--out", "grid.gif")
    assert done.code == 2
    assert done.sentence == "The grid is written as PNG, and 'grid.gif' is another kind. Try --out grid.png."
