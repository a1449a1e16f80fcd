"""`pellucid show operation`."""

import json

import pytest
from PIL import Image

from pellucid.cli import show
from pellucid.operations import OPERATIONS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_an_operation_is_written_and_drawn(pellucid, tmp_path):
    done = pellucid("show", "operation", "convolution")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "Convolution: a small kernel slides over a picture"
    assert "    y[n, k, i, j] = b[k] + Σ_c Σ_u Σ_v  w[k, c, u, v] · x[n, c, i·S + u·D − P, j·S + v·D − P]" in lines
    assert lines[-2:] == ["Code     pellucid.operations.convolution:convolve", "Picture  convolution.png"]
    with Image.open(tmp_path / "convolution.png") as picture:
        assert picture.format == "PNG"


def test_the_picture_goes_where_it_is_wanted_and_findings_are_one_document(pellucid, tmp_path):
    done = pellucid("show", "operation", "one-hot", "--out", "mine.png", "--json")
    assert done.code == 0
    assert done.findings["one_hot"]["data"]["operation"] == "one-hot"
    assert done.err == "mine.png\n"
    assert (tmp_path / "mine.png").stat().st_size > 1000


def test_operations_are_listed(pellucid):
    done = pellucid("show", "operation")
    assert done.code == 0
    for name, entry in OPERATIONS.items():
        assert f"\n{name} " in done.out
        assert entry.help in done.out
    listed = json.loads(pellucid("show", "operation", "--json").out)["findings"][0]
    assert [row[0] for row in listed["rows"]] == list(OPERATIONS)


def test_data_is_one_document_too(pellucid):
    done = pellucid("show", "digits", "--json")
    assert done.findings["class_grid"]["data"]["classes"] == 10
    assert done.err == "digits-train.png\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["convolution"], "'convolution' is an operation, not data. Try pellucid show operation convolution."),
        (["digits", "x"], "'x' is one argument too many: give one data set. Try pellucid show digits."),
        (["operation", "adam", "--split", "test"], "--split is for data, not for an operation. Leave it out."),
        (["operation", "adam", "--per-class", 3], "--per-class is for data, not for an operation. Leave it out."),
        (
            ["operation", "adam", "--out", "x.gif"],
            "The picture is a PNG file, but --out is 'x.gif'. Try --out x.png.",
        ),
        (
            ["operation", "--out", "x.png"],
            "--out needs the name of an operation. Try pellucid show operation convolution.",
        ),
    ],
)
def test_mistakes_are_one_sentence(pellucid, arguments, sentence):
    done = pellucid("show", *arguments)
    assert done.code == 2
    assert done.sentence == sentence


def test_an_unknown_operation_says_what_was_probably_meant(pellucid):
    done = pellucid("show", "operation", "dropuot")
    assert done.code == 2
    assert done.sentence.startswith("There is no operation named 'dropuot'. Did you mean 'dropout'?")


def test_a_folder_that_is_called_so_is_shown_by_its_path(pellucid, class_folders, tmp_path):
    class_folders.rename(tmp_path / "operation")
    try:
        done = pellucid("show", "./operation", "--out", "grid.png")
        assert (done.code, done.out) == (0, "grid.png\n")
    finally:
        (tmp_path / "operation").rename(class_folders)


def test_tab_completes_operations():
    assert show.complete_name("max") == ["max-pooling"]
    assert show.complete_subject("oper") == ["operation"]
    assert "digits" in show.complete_subject("dig")
