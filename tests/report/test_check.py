from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.data.checking import check
from pellucid.records import Dataset, Figure, Findings, Remark, Split, Table
from pellucid.report import check as page
from pellucid.report import notebook, pictures


def found() -> Findings:
    """Forty patterns, of which the last is that of the first."""
    numbers = [*range(39), 0]
    dice = [np.random.default_rng(n).integers(0, 256, (1, 4, 4), dtype=np.uint8) for n in numbers]
    stacked = np.repeat(np.repeat(np.stack(dice), 5, axis=2), 5, axis=3)
    stacked[7] = 9
    return check(Dataset("patterns", {"train": Split("train", stacked, np.arange(40) % 2, ("a", "b"))}))


def test_the_page_shows_what_is_wrong_first(tmp_path):
    text = page.write(found(), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>patterns</h1>" in text
    assert ">40 pictures, 2 classes (train 40)<" in text
    assert ">1 error and 2 warnings<" in text
    assert text.index("have a copy in another class") < text.index("is blank")
    assert text.count("<img") == 1
    assert "http" not in text.replace("http://www.w3.org", "")


def test_long_lists_are_cut_and_that_is_said():
    remark = Remark("copies_within", "info", "many", "", 600, tuple(f"p{i}" for i in range(600)))
    table = Table("copies_of_pictures", ("picture",), tuple((f"p{i}",) for i in range(600)), "All.")
    text = page.render(Findings((remark, table), "many: 600 pictures"))
    assert "and 100 more" in text
    assert "All. The first 500 of 600; --json has all." in text
    assert "1 hint" in text


def test_nothing_is_wrong():
    assert page.verdict([]) == "No problems found"
    remarks = [Remark("n", level, "t") for level in ("info", "info", "error", "warning")]
    assert page.verdict(remarks) == "1 error, 1 warning and 2 hints"


def test_rows_of_pictures_are_drawn_also_without_some():
    figure: Figure = found()["copies"]
    image = Image.open(io.BytesIO(pictures.png(figure)))
    whole = np.asarray(image.convert("L"))
    assert whole.min() < 60
    cell = {"lines": ["a very long name of a picture that does not fit.png", "train · a"]}
    groups = {"groups": [{"caption": "some", "cells": [cell] * 6}, *figure.data["groups"]]}
    wider = Image.open(io.BytesIO(pictures.png(Figure("copies", "picture-rows", groups, title="Copies"))))
    assert wider.width > image.width
    assert wider.height > image.height


def test_a_notebook_shows_remarks():
    assert "warning: 1 picture is blank" in notebook.findings(found())


def test_the_page_is_written_by_the_command(tmp_path, capsys):
    for number in range(40):
        place = tmp_path / "photos" / ("train" if number < 20 else "test") / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        spots = np.random.default_rng(number % 39).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(spots).resize((48, 48)).save(place / f"<b>{number:03}.png")
    with pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path / "photos")])
    assert end.value.code == 1
    assert capsys.readouterr().err == "To see the pictures: --out check.html.\n"
    with pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path / "photos"), "--out", str(tmp_path / "page.html")])
    assert end.value.code == 1
    assert capsys.readouterr().err == f"Written to {tmp_path / 'page.html'}\n"
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>photos</h1>" in text
    assert "test/b/&lt;b&gt;039.png" in text
    assert "<b>0" not in text
    assert text.count("data:image/png;base64,") == 1
