from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import pellucid as package
from pellucid.records import display


@pytest.fixture
def folder(tmp_path):
    """Two classes of coarse random patterns, in train and test."""
    for number in range(104):
        label = "ab"[number % 2]
        place = tmp_path / "photos" / ("train" if number < 40 else "test") / label
        place.mkdir(parents=True, exist_ok=True)
        spots = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(spots).resize((48, 48)).save(place / f"{number:03}.png")
    return tmp_path / "photos"


def test_all_is_well(pellucid, folder):
    done = pellucid("check", folder)
    assert done.code == 0
    assert done.out.splitlines() == [
        "photos: 104 pictures, 2 classes (train 40, test 64)",
        "",
        "class  train  test",
        "a         20    32",
        "b         20    32",
        "",
        f"No problems. Next: pellucid train {folder}",
    ]
    assert done.err == ""


def test_the_next_command_can_be_typed_as_it_stands(pellucid, folder):
    folder = folder.rename(folder.with_name("my photos"))
    assert pellucid("check", folder).out.splitlines()[-1] == f"No problems. Next: pellucid train '{folder}'"


def test_an_error_is_named_with_what_to_do_and_the_exit_code(pellucid, folder):
    (folder / "train" / "a" / "empty.png").write_bytes(b"")
    shutil.copy(folder / "train/b/001.png", folder / "test/b/again.png")
    done = pellucid("check", folder)
    assert done.code == 1
    assert "✗ Error: 1 picture cannot be read. train/a/empty.png is empty: it has 0 bytes." in done.out
    assert "  → Copy them again from their source, or remove them." in done.out
    assert "✗ Error: 1 of 65 test pictures (1.5 %) is also in train, pixel by pixel: test/b/again.png." in done.out
    assert done.out.splitlines()[-1] == f"2 errors. Fix the errors, then check again: pellucid check {folder}"


def test_warnings_count_when_it_is_strict(pellucid, folder):
    shutil.copy(folder / "train/b/001.png", folder / "train/b/again.png")
    assert pellucid("check", folder).code == 0
    done = pellucid("check", folder, "--strict")
    assert done.code == 1
    assert "1 warning. Look at the warnings, then: pellucid train" in done.out


def test_json_is_one_document(pellucid, folder):
    shutil.copy(folder / "train/b/001.png", folder / "test/a/again.png")
    done = pellucid("check", folder, "--json")
    assert done.code == 1
    assert done.findings["copies_in_two_classes"]["level"] == "error"
    assert done.findings["copies_in_two_classes"]["pictures"] == ["train/b/001.png", "test/a/again.png"]
    assert done.findings["classes"]["rows"] == [["a", 20, 33], ["b", 20, 32]]


def test_many_classes_are_summed_up(pellucid, tmp_path):
    for label in range(17):
        (tmp_path / "many" / f"{label:02}").mkdir(parents=True)
        for index in range(2 + label % 2):
            spots = np.random.default_rng((label, index)).integers(0, 256, (6, 6), dtype=np.uint8)
            Image.fromarray(spots).resize((30, 30)).save(tmp_path / "many" / f"{label:02}" / f"{index}.png")
    assert "train: 2 to 3 pictures in each class" in pellucid("check", tmp_path / "many").out


def test_a_terminal_wraps(pellucid, folder, monkeypatch):
    (folder / "train" / "a" / "empty.png").write_bytes(b"")
    monkeypatch.setattr("pellucid.cli.check._width", lambda: 60)
    lines = pellucid("check", folder).out.splitlines()[5:-1]
    assert max(map(len, lines)) < 60


def test_its_mistakes(pellucid, folder, tmp_path, monkeypatch):
    done = pellucid("check", folder, "--out", tmp_path / "page.pdf")
    assert done.code == 2
    assert done.sentence == "The page is an HTML file, but --out is 'page.pdf'. Try --out page.html."
    assert pellucid("check", "mnits").sentence.startswith("There is no data set named 'mnits'. Did you mean 'mnist'?")
    assert pellucid("check", tmp_path / "none").sentence.startswith(f"There is no folder at {tmp_path / 'none'}.")
    assert pellucid("check", "").code == 2
    monkeypatch.delitem(display.VIEWS, "check", raising=False)
    sentence = pellucid("check", folder, "--out", tmp_path / "page.html").sentence
    assert sentence == "The report package is not installed. Leave --out out."


def test_a_training_says_it_leaves_out_what_cannot_be_read_and_counts_the_scoring(
    pellucid, folder, tmp_path, monkeypatch
):
    import json

    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    shutil.copy(folder / "train/b/001.png", folder / "test/b/again.png")
    whole = (folder / "train/a/000.png").read_bytes()
    (folder / "train/a/cut.png").write_bytes(whole[: len(whole) // 2])
    arguments = (
        "train",
        folder,
        "--network",
        "logistic-regression",
        "--size",
        8,
        "--epochs",
        1,
        "--no-report",
        "--quiet",
    )
    done = pellucid(*arguments, "--json", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "Note: 1 of 65 test pictures (1.5 %) is also in train, pixel by pixel: test/b/again.png." in done.err
    assert f"Note: to see them: pellucid check {folder}" in done.err
    listed = json.loads((tmp_path / "run" / "quarantine.json").read_text(encoding="utf-8"))["pictures"]
    assert [(one["split"], one["id"]) for one in listed] == [("train", "train/a/cut.png")]
    assert "damaged or cut off" in listed[0]["reason"]
    without = done.findings["accuracy_without_copies"]
    assert (without["n"], done.findings["accuracy"]["n"]) == (64, 65)
    assert without["note"] == "without the one test picture that is also in the training data"
    assert done.findings["accuracy"]["note"] == "the 1st time that this test split was scored"
    about = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert "1 picture that cannot be read left out, named in quarantine.json" in about["data"]["notes"]
    assert about["data"]["sizes"]["train"] + about["data"]["sizes"]["validation"] == 40
    again = pellucid("evaluate", tmp_path / "run", folder, "--json")
    assert again.findings["accuracy"]["note"] == "the 2nd time that this test split was scored"
    (folder / "train/a/cut.png").unlink()
    unlooked = pellucid(*arguments, "--no-check", "--json", "--out", tmp_path / "second")
    assert "accuracy_without_copies" not in unlooked.findings
    assert not (tmp_path / "second" / "check.json").exists()
    assert unlooked.findings["accuracy"]["note"].startswith("the 3rd time that this test split was scored")


def test_it_is_public(folder):
    assert package.check(str(folder)).title.startswith("photos: 104 pictures")
