import json

import numpy as np
import pytest

from pellucid.errors import FormatError
from pellucid.evaluation import evaluate
from pellucid.records import Figure, Findings, Predictions, RunFolder, display
from pellucid.report.page import history, write_run
from pellucid.report.result import warnings


def test_everything_is_drawn_and_shown_and_again_without_the_data_to_the_same_bytes(run, digits):
    assert write_run(run, digits) == run.report
    assert sorted(path.name for path in run.pictures.iterdir()) == [
        "class-grid.png",
        "confusion-matrix.png",
        "history.png",
        "mistakes.png",
        "predictions.png",
        "reliability.png",
    ]
    assert "class_grid" in run.read_findings()
    before = {path.name: path.read_bytes() for path in [run.report, *run.pictures.iterdir()]}
    write_run(RunFolder(run.path))
    assert {path.name: path.read_bytes() for path in [run.report, *run.pictures.iterdir()]} == before


def test_a_run_without_findings_shows_its_history(run):
    run.findings.unlink()
    text = write_run(run).read_text(encoding="utf-8")
    assert "the accuracy on new pictures is unknown" in text
    assert "After epoch 9, 98.2 % of 144 validation pictures were right" in text
    assert [path.name for path in run.pictures.iterdir()] == ["history.png"]


def test_findings_alone_make_a_page(run):
    run.run_json.unlink()
    run.history.unlink()
    text = write_run(run).read_text(encoding="utf-8")
    assert "<h1>digits, test split</h1>" in text
    assert "Use the model" not in text


def test_an_empty_folder_makes_a_page_that_says_so(tmp_path):
    text = write_run(RunFolder(tmp_path)).read_text(encoding="utf-8")
    assert "This run has no test findings" in text
    assert "After epoch" not in text


def test_a_figure_cannot_leave_the_folder(run, rows_of):
    history = Figure("../../out", "history", {"rows": rows_of(2)})
    run.write_findings(Findings((history, Figure("///", "history", {"rows": []}), Figure("x", "unheard-of", {}))))
    write_run(run)
    assert sorted(path.name for path in run.pictures.iterdir()) == ["figure.png", "history.png", "out.png"]
    assert "this version cannot draw a &#39;unheard-of&#39;" in run.report.read_text(encoding="utf-8")


def test_history_is_read_as_numbers_and_gaps_as_none(tmp_path):
    (tmp_path / "h.csv").write_text("epoch,step,train_loss,validation_loss\n1,10,0.5,\n", encoding="utf-8")
    assert history(tmp_path / "h.csv") == [{"epoch": 1, "step": 10, "train_loss": 0.5, "validation_loss": None}]


@pytest.mark.parametrize("content", ["epoch,step\n1,many\n", 'epoch,step\n1,"2\n', "epoch\n1,2\n"])
def test_a_damaged_history_is_one_sentence(run, content):
    run.history.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=r"history\.csv is damaged"):
        write_run(run)


@pytest.mark.parametrize("content", ["{", json.dumps({"version": 2, "findings": [{"name": "x"}]})])
def test_damaged_findings_are_one_sentence(run, content):
    run.findings.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        write_run(run)


def test_is_what_the_registry_of_views_names():
    assert display.view("run") is write_run


@pytest.mark.parametrize(
    ("frozen", "warning"),
    [(True, "not used for training or for any choice"), (False, "also chose the best epoch")],
)
def test_a_warning_says_what_the_validation_pictures_chose(frozen, warning):
    findings = evaluate(Predictions(np.array(["a", "b"]), np.eye(2), ("x", "y"), np.array([0, 1]), split="validation"))
    sentence, few = warnings(findings, {"recipe": {"freeze_backbone": frozen}})
    assert few.startswith("Few validation pictures: 2 of 2 right")
    assert warning in sentence
