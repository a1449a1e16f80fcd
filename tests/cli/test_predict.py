from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

import pellucid as library
from pellucid.records import Predictions


@pytest.fixture
def copied(scans, tmp_path) -> Path:
    return Path(shutil.copytree(scans, tmp_path / "scans"))


def test_a_folder_is_predicted_with_all_that_is_within(pellucid, model_file, scans):
    done = pellucid("predict", model_file, scans)
    assert done.code == 0
    assert done.err == ""
    names = ["a.png", "b.png", "c.bmp", "d e.png", "deeper/F.PNG", "é.png"]
    lines = done.out.splitlines()
    assert sorted(line.split("  ")[0] for line in lines) == sorted(str(scans / name) for name in names)
    assert all(line.endswith(" %") for line in lines)


def test_the_command_says_what_python_says(pellucid, model_file, scans):
    model = library.Model.load(model_file)
    expected = library.predict(model, library.load("digits").test.take([0]))
    rows = pellucid("predict", model_file, scans / "a.png", "--top", 10, "--json").findings["predictions"]["rows"]
    assert [row[:2] for row in rows] == [[str(scans / "a.png"), rank] for rank in range(1, 11)]
    by_class = {row[2]: row[3] for row in rows}
    assert [by_class[name] for name in model.classes] == pytest.approx(expected.probabilities[0].tolist(), abs=1e-5)
    assert [row[3] for row in rows] == sorted(by_class.values(), reverse=True)


def test_patterns_are_expanded_where_the_shell_did_not(pellucid, model_file, scans):
    done = pellucid("predict", model_file, f"{scans}/*.png", f"{scans}/deep*")
    assert len(done.out.splitlines()) == 5
    assert "F.PNG" in done.out
    recursive = pellucid("predict", model_file, f"{scans}/**/*.PNG")
    assert "F.PNG" in recursive.out


def test_the_same_picture_twice_is_predicted_once(pellucid, model_file, scans):
    assert len(pellucid("predict", model_file, scans / "a.png", scans / "a.png").out.splitlines()) == 1


def test_standard_input_may_be_a_list_of_paths(pellucid, model_file, scans):
    given = f"{scans / 'a.png'}\n\n{scans / 'é.png'}\n".encode()
    done = pellucid("predict", model_file, "-", stdin=given)
    assert [line.split("  ")[0].strip() for line in done.out.splitlines()] == [
        str(scans / "a.png"),
        str(scans / "é.png"),
    ]


def test_standard_input_may_be_one_picture(pellucid, model_file, scans):
    done = pellucid("predict", model_file, "-", "--json", stdin=(scans / "a.png").read_bytes())
    of_file = pellucid("predict", model_file, scans / "a.png", "--json")
    assert done.findings["predictions"]["rows"][0][0] == "-"
    assert done.findings["predictions"]["rows"][0][1:] == of_file.findings["predictions"]["rows"][0][1:]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"", "Standard input is empty."),
        (b"\xff\xfe\xfa", "Standard input is neither a picture nor a list of paths"),
        (b"nowhere.png\n", "There is no file or folder nowhere.png."),
    ],
)
def test_standard_input_that_is_nothing_of_the_kind(pellucid, model_file, given, sentence):
    done = pellucid("predict", model_file, "-", stdin=given)
    assert done.code == 1
    assert done.sentence.startswith(sentence)


def test_a_broken_picture_on_standard_input_is_named_so(pellucid, model_file, scans):
    done = pellucid("predict", model_file, "-", stdin=(scans / "a.png").read_bytes()[:60])
    assert done.code == 1
    assert done.err.startswith("standard input ")
    assert "tmp" not in done.err


def test_a_picture_that_cannot_be_read_is_named_and_the_others_go_on(pellucid, model_file, copied):
    (copied / "liar.jpg").write_text("I am a text file.", encoding="utf-8")
    done = pellucid("predict", model_file, copied)
    assert done.code == 1
    assert len(done.out.splitlines()) == 6
    assert str(copied / "liar.jpg") in done.err
    assert done.err.endswith("1 of 7 pictures could not be read.\n")
    as_json = pellucid("predict", model_file, copied, "--json")
    assert as_json.code == 1
    assert as_json.findings["unreadable"]["rows"][0][0] == str(copied / "liar.jpg")
    assert len(as_json.findings["predictions"]["rows"]) == 6


def test_when_no_picture_can_be_read_each_is_named(pellucid, model_file, tmp_path):
    (tmp_path / "liar.jpg").write_text("I am a text file.", encoding="utf-8")
    done = pellucid("predict", model_file, tmp_path / "liar.jpg")
    assert done.code == 1
    assert done.out == ""
    assert str(tmp_path / "liar.jpg") in done.err
    assert "Traceback" not in done.err


def test_csv(pellucid, model_file, copied, tmp_path):
    (copied / "liar.jpg").write_text("I am a text file.", encoding="utf-8")
    done = pellucid("predict", model_file, copied, "--top", 2, "--out", tmp_path / "found.csv")
    assert done.code == 1
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["id", "class", "probability", "class_2", "probability_2", "error"]
    assert len(rows) == 7
    assert all(float(row["probability"]) >= float(row["probability_2"]) > 0 for row in rows[:6])
    assert rows[6]["id"] == str(copied / "liar.jpg")
    assert rows[6]["class"] == ""
    assert rows[6]["error"] != ""


def test_json_lines(pellucid, model_file, copied, tmp_path):
    (copied / "liar.jpg").write_text("I am a text file.", encoding="utf-8")
    pellucid("predict", model_file, copied, "--out", tmp_path / "one.jsonl")
    pellucid("predict", model_file, copied, "--top", 3, "--out", tmp_path / "three.jsonl")
    one, three = (
        [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        for name in ("one.jsonl", "three.jsonl")
    )
    assert set(one[0]) == {"id", "class", "probability"}
    assert set(one[-1]) == {"id", "error"}
    assert len(three[0]["top"]) == 3
    assert three[0]["top"][0] == {"class": one[0]["class"], "probability": one[0]["probability"]}


def test_parquet_holds_all_classes(pellucid, model_file, scans, tmp_path):
    pellucid("predict", model_file, scans, "--out", tmp_path / "found.parquet")
    found = Predictions.load(tmp_path / "found.parquet")
    assert found.probabilities.shape == (6, 10)
    assert found.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_form_that_is_not_known_is_refused_before_the_work(pellucid, tmp_path):
    done = pellucid("predict", tmp_path / "no-model", "x.png", "--out", "found.xlsx")
    assert done.code == 2
    assert done.sentence == (
        "Predictions are written as .csv, .jsonl, .parquet, as the name says; 'found.xlsx' says none of them. "
        "Try --out found.csv."
    )


def test_paths_that_are_not_there(pellucid, model_file, tmp_path):
    (tmp_path / "empty").mkdir()
    assert pellucid("predict", model_file, tmp_path / "x.png").sentence.startswith("There is no file or folder")
    assert pellucid("predict", model_file, f"{tmp_path}/*.gif").sentence.startswith("Nothing matches")
    assert "has no pictures" in pellucid("predict", model_file, tmp_path / "empty").sentence


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file names with line ends")
def test_a_file_name_cannot_write_another_line(pellucid, model_file, copied):
    (copied / "a.png").rename(copied / "two\nlines\x1b[31m.png")
    done = pellucid("predict", model_file, copied / "two\nlines\x1b[31m.png")
    assert len(done.out.splitlines()) == 1
    assert "two\\nlines\\x1b[31m.png" in done.out


def test_a_wrong_top_is_a_usage_error(pellucid, model_file, scans):
    assert pellucid("predict", model_file, scans, "--top", 0).code == 2
