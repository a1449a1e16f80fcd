from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import pellucid as library
from pellucid.records import Predictions


@pytest.fixture
def copied(scans, tmp_path) -> Path:
    return Path(shutil.copytree(scans, tmp_path / "scans"))


def test_a_folder_is_predicted_with_all_that_is_within(pellucid, model_file, scans):
    done = pellucid("predict", model_file, scans)
    assert done.code == 0
    assert done.err == f"Note: {scans}: 1 hidden file or folder was left out.\n"
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
        "Predictions are written as .csv, .jsonl, .parquet, but the file is called 'found.xlsx'. Try --out found.csv."
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


def test_one_that_is_not_there_does_not_stop_the_others(pellucid, model_file, scans, tmp_path):
    missing = tmp_path / "missing.png"
    given = [missing, scans / "a.png", f"{tmp_path}/*.gif", "--out", tmp_path / "found.csv"]
    done = pellucid("predict", model_file, *given)
    assert done.code == 1
    assert len(done.out.splitlines()) == 1
    assert done.err.splitlines() == [
        f"There is no file or folder {missing}. Give files, folders, or a pattern such as 'scans/*.png'.",
        f"Nothing matches {tmp_path}/*.gif. Give files, folders, or a pattern such as 'scans/*.png'.",
        "2 of 3 pictures could not be read.",
    ]
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == [
            str(scans / "a.png"),
            str(missing),
            f"{tmp_path}/*.gif",
        ]
    rows = pellucid("predict", model_file, *given[:3], "--json").findings["unreadable"]["rows"]
    assert [row[0] for row in rows] == [str(missing), f"{tmp_path}/*.gif"]


def test_when_none_is_there_each_is_named(pellucid, model_file, tmp_path):
    done = pellucid("predict", model_file, tmp_path / "x.png", tmp_path / "y.png")
    assert (done.code, done.out) == (1, "")
    assert [line.split(". ")[0] for line in done.err.splitlines()] == [
        f"There is no file or folder {tmp_path / name}" for name in ("x.png", "y.png")
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among files, and asks for rights to make links")
def test_what_is_no_file_is_named_and_not_waited_for(pellucid, model_file, copied):
    os.mkfifo(copied / "pipe.png")
    (copied / "lost.png").symlink_to("nowhere.png")
    (copied / "linked").symlink_to("deeper")
    done = pellucid("predict", model_file, copied)
    assert done.code == 1
    assert len(done.out.splitlines()) == 6
    pipe = f"{copied}/pipe.png is a pipe or a device, not a file. To read a picture from another program, use -, "
    assert done.err.splitlines() == [
        f"Note: {copied}: 1 hidden file or folder was left out.",
        f"Note: {copied}: links to folders are not followed: {copied}/linked.",
        f"{copied}/lost.png is a broken link. Remove or repair it.",
        f"{pipe}standard input.",
        "2 of 8 pictures could not be read.",
    ]
    assert pellucid("predict", model_file, copied / "pipe.png").sentence == f"{pipe}standard input."


@pytest.mark.parametrize("start", ["BMW", "RIFFLE", "GIF89a"])
def test_a_list_whose_first_name_begins_as_a_picture_does(pellucid, model_file, scans, tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    shutil.copy(scans / "a.png", f"{start}.png")
    done = pellucid("predict", model_file, "-", stdin=f"{start}.png\r\n{start}.png\r\n".encode())
    assert done.code == 0
    assert done.out.startswith(f"{start}.png ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_every_kind_of_picture_may_come_from_standard_input(pellucid, model_file, kind):
    content = io.BytesIO()
    Image.new("L", (8, 8), 65).save(content, kind)
    assert pellucid("predict", model_file, "-", stdin=content.getvalue()).out.startswith("-  ")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["a\u2028b.png", "a\x0bb.png", "a\x85b.png"])
def test_what_ends_lines_elsewhere_may_be_part_of_a_name(pellucid, model_file, scans, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(scans / "a.png", name)
    assert pellucid("predict", model_file, "-", stdin=f"{name}\n".encode()).code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no valid text")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_name_that_is_no_valid_text_loses_nothing(pellucid, model_file, copied, tmp_path, suffix):
    (copied / "a.png").rename(copied / os.fsdecode(b"bad\xff.png"))
    (copied / os.fsdecode(b"worse\xfe.png")).write_text("no picture", encoding="utf-8")
    done = pellucid("predict", model_file, copied, "--out", tmp_path / f"found.{suffix}")
    assert done.code == 1
    assert len(done.out.splitlines()) == 6
    assert "bad\\udcff.png" in done.out
    assert "worse\\udcfe.png" in done.err
    if suffix == "parquet":
        found = Predictions.load(tmp_path / "found.parquet")
        assert f"{copied}/bad\\udcff.png" in found.ids.tolist()
        assert list(found.unreadable) == [f"{copied}/worse\\udcfe.png"]
    else:
        text = (tmp_path / f"found.{suffix}").read_text(encoding="utf-8").replace("\\\\", "\\")
        assert f"{copied}/bad\\udcff.png" in text
        assert f"{copied}/worse\\udcfe.png" in text
    listed = pellucid("predict", model_file, "-", stdin=os.fsencode(copied) + b"/bad\xff.png\n")
    assert listed.code == 0
    assert "bad\\udcff.png" in listed.out


def test_what_was_found_is_printed_though_it_cannot_be_written(pellucid, model_file, scans, tmp_path):
    done = pellucid("predict", model_file, scans / "a.png", "--out", tmp_path / "nowhere" / "found.csv")
    assert done.code == 1
    assert len(done.out.splitlines()) == 1


def test_one_long_name_does_not_push_the_others_apart(pellucid, model_file, scans, tmp_path):
    model = library.Model.load(model_file)
    classes = ("x" * 200, *model.classes[1:])
    changed = library.Model(model.specification.model_copy(update={"classes": classes}), model.weights)
    changed.save(tmp_path / "long.safetensors")
    lines = pellucid("predict", tmp_path / "long.safetensors", scans, "--top", 10).out.splitlines()
    assert all("x" * 200 in line for line in lines)
    assert all("  1 " in line.replace("x" * 200, "") for line in lines)
    assert not any(" " * 60 in line for line in lines)


def test_a_folder_that_may_not_be_read_is_named(pellucid, model_file, copied, monkeypatch):
    """Root may read everything, so the system's refusal is a stand-in."""
    scandir = os.scandir

    def refusing(path):
        if not isinstance(path, int) and Path(path) == copied / "deeper":  # folders are removed by their number
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    done = pellucid("predict", model_file, copied)
    assert done.code == 1
    assert len(done.out.splitlines()) == 5
    assert f"{copied / 'deeper'} cannot be read: Permission denied." in done.err.splitlines()
    alone = pellucid("predict", model_file, copied / "deeper")
    assert alone.sentence == f"{copied / 'deeper'} cannot be read: Permission denied."


def test_pictures_unlike_those_of_the_training_get_one_note(pellucid, model_file, scans, tmp_path):
    digit = Image.open(scans / "a.png").convert("L")
    for index in range(3):
        ImageOps.invert(digit).resize((200, 200)).convert("RGB").save(tmp_path / f"{index}.png")
    done = pellucid("predict", model_file, tmp_path)
    assert done.code == 0
    assert done.err.startswith("Note: the pictures do not look like those that the model learned from: about 200×200")
    assert done.err.count("Note:") == 1
    assert "Note:" not in pellucid("predict", model_file, scans / "a.png").err


def test_evaluate_has_the_note_too(pellucid, model_file, scans, tmp_path):
    digit = Image.open(scans / "a.png").convert("L")
    for label in ("0", "1"):
        (tmp_path / "scans" / label).mkdir(parents=True)
        ImageOps.invert(digit).resize((200, 200 + int(label))).save(tmp_path / "scans" / label / "a.png")
    done = pellucid("evaluate", model_file, tmp_path / "scans")
    assert done.code == 0
    assert done.err.count("Note: the pictures do not look like those that the model learned from") == 1


def test_a_model_that_abstains_says_so_everywhere(pellucid, model_file, scans, tmp_path):
    model = library.Model.load(model_file)
    confidences = sorted(library.predict(model, [scans / "a.png", scans / "b.png"]).confidence.tolist())
    unsure = library.Model(
        model.specification.model_copy(update={"abstain_below": sum(confidences) / 2}), model.weights
    ).save(tmp_path / "unsure.safetensors")
    lines = pellucid("predict", unsure, scans / "a.png", scans / "b.png").out.splitlines()
    assert sum(line.endswith("  not sure") for line in lines) == 1
    rows = pellucid("predict", unsure, scans / "a.png", scans / "b.png", "--json").findings["predictions"]["rows"]
    assert sorted(row[-1] for row in rows) == ["not sure", "sure"]
    for name in ("p.csv", "p.jsonl", "p.parquet"):
        assert pellucid("predict", unsure, scans / "a.png", scans / "b.png", "--out", tmp_path / name).code == 0
    with (tmp_path / "p.csv").open(encoding="utf-8") as stream:
        assert sorted(row["answer"] for row in csv.DictReader(stream)) == ["not sure", "sure"]
    answers = [json.loads(line)["answer"] for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(answers) == ["not sure", "sure"]
    assert Predictions.load(tmp_path / "p.parquet").accepted.tolist().count(True) == 1
    assert "Not sure" in pellucid("info", unsure).out
