"""Decisions make a new table; the originals stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.audit.relabelling import relabel
from pellucid.errors import DataError, FormatError, UsageError


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / name / f"{i}.png")
    return tmp_path / "photos"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_decisions_by_split_and_index_make_a_new_table(folder, tmp_path):
    data = pellucid.load(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    decisions = write(
        tmp_path / "label_errors.csv",
        "split,index,score,given,suggested,decision\ntest,1,9,ant,bee,bee\ntest,5,8,bee,ant,keep\n"
        "test,6,7,bee,ant,remove\ntest,7,7,bee,ant,\n",
    )
    done = relabel(str(folder), decisions, tmp_path / "new" / "corrected.csv")
    assert (done.changed, done.removed, done.confirmed, done.total) == (1, 1, 1, 15)
    new = pellucid.load(done.path)
    assert len(new.train) == 8
    assert len(new.test) == 7
    assert new.test.counts() == {"ant": 3, "bee": 4}
    changed = str(data.test.ids[1])
    (position,) = [i for i, name in enumerate(new.test.ids) if str(name).endswith(changed)]
    assert new.classes[new.test.known_labels()[position]] == "bee"
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def test_a_named_set_is_written_as_files(tmp_path):
    digits = pellucid.load("digits")
    wrong = digits.classes[digits.test.known_labels()[0] - 1]
    decisions = write(tmp_path / "d.csv", f"id,decision\n{digits.test.ids[0]},{wrong}\n{digits.test.ids[1]},remove\n")
    done = relabel("digits", decisions, tmp_path / "digits.csv")
    new = pellucid.load(done.path)
    assert new.classes[new.test.known_labels()[0]] == wrong
    assert np.array_equal(np.asarray(Image.open(tmp_path / "digits/test/000000.png")), digits.test.pictures[0, 0])
    assert len(new.test) == len(digits.test) - 1
    assert done.changed == 1


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("id,label\na,bee\n", FormatError, "no column 'decision'"),
        ("picture,decision\na,bee\n", FormatError, "names no pictures"),
        ("split,index,decision\ntest,99,bee\n", DataError, "'99' is no index of the 8 pictures"),
        ("split,index,decision\ntest,1,wasp\n", DataError, "'wasp', which is no class"),
        ("split,index,given,decision\ntest,1,bee,ant\n", DataError, "made for other data"),
        ("split,index,decision\ntest,1,ant\ntest,1,bee\n", DataError, "decides twice"),
    ],
)
def test_what_is_wrong_is_named(folder, tmp_path, text, error, says):
    with pytest.raises(error, match=says):
        relabel(str(folder), write(tmp_path / "d.csv", text), tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()


def test_nothing_is_overwritten(folder, tmp_path):
    decisions = write(tmp_path / "d.csv", "split,index,decision\ntest,1,bee\n")
    with pytest.raises(UsageError, match="exists"):
        relabel(str(folder), decisions, decisions)
    with pytest.raises(UsageError, match=r"Try --out new\.csv"):
        relabel(str(folder), decisions, tmp_path / "new.txt")
