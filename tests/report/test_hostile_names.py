"""Names of classes and files that a terminal, a browser or a spreadsheet would obey are shown, and never obeyed."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

import pellucid
from pellucid.cli import prediction_files
from pellucid.errors import DataError, PellucidError, on_one_line
from pellucid.records import Figure, Findings, Metric, Predictions, Remark, Table, csv_text
from pellucid.report import notebook  # noqa: F401 (registers how records show themselves)
from pellucid.report.terminal import render

EVIL = "cat\x1b]0;owned\x07\x9b31m\x7f\u202etxt.<img src=x onerror=alert(1)>"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys, without the line feed between findings."""


def findings() -> Findings:
    return Findings(
        (
            Metric(f"recall_{EVIL}", 0.5, 10, 0.2, 0.8, "fraction", f"of {EVIL}"),
            Table(f"classes_{EVIL}", (EVIL, "n"), ((EVIL, 3), ("=cmd", 4)), EVIL),
            Remark(f"copies_{EVIL}", "warning", f"'{EVIL}' is twice there.", f"Remove {EVIL}.", 1, (EVIL,)),
            Figure(f"figure_{EVIL}", "confusion-matrix", {"classes": [EVIL, "b"], "counts": [[1, 0], [0, 1]]}, EVIL),
        ),
        EVIL,
    )


def predictions(classes: tuple[str, str] = (EVIL, "b"), name: str = EVIL) -> Predictions:
    return Predictions(
        np.array([name, "b.png"]), np.array([[0.75, 0.25], [0.25, 0.75]], np.float32), classes, np.array([0, 1]),
        dataset=EVIL, unreadable={EVIL: f"{EVIL} is damaged."},
    )  # fmt: skip


@pytest.mark.parametrize("show", [str, repr, format, lambda item: f"{item}", lambda item: f"{[item]}"])
def test_python_prints_no_control_characters(show):
    everything = findings()
    for item in (everything, *everything, predictions(), PellucidError(f"{EVIL} is bad."), DataError(EVIL)):
        text = show(item)
        assert text
        assert not CONTROL.search(text), repr(text)


def test_records_of_a_training_print_no_control_characters():
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), [EVIL, "b", "\x07"] * 20
    data = pellucid.from_arrays(pixels, labels, test=0.2)
    model = pellucid.train(data, "logistic-regression", epochs=1, progress=False)
    scored = pellucid.evaluate(pellucid.predict(model, data.test))
    for item in (data, data.test, model, model.specification, scored, *scored):
        for text in (str(item), repr(item)):
            assert not CONTROL.search(text), repr(text)
        html = getattr(item, "_repr_html_", lambda: None)()
        assert html is None or not CONTROL.search(html)
        assert html is None or "<img src=x" not in html


def test_terminal_and_json_have_no_control_characters():
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    render(findings(), console, {"Report": EVIL})
    assert isinstance(console.file, io.StringIO)
    assert not CONTROL.search(console.file.getvalue())
    text = findings().dumps()
    assert not CONTROL.search(text)
    assert json.loads(text) == findings().to_json(), "escaped, and the same"


def test_errors_name_a_file_without_obeying_its_name(tmp_path):
    path = tmp_path / "a\x1b[31m\n.png"
    try:
        path.write_bytes(b"no picture")
    except OSError:
        pytest.skip("this system allows no such names")
    with pytest.raises(DataError) as caught:
        pellucid.load(path)
    assert str(caught.value).isprintable()


@given(st.text())
def test_on_one_line_leaves_nothing_to_obey(text):
    assert not CONTROL.search(on_one_line(text))
    assert "\n" not in on_one_line(text)
    if text.isprintable():
        assert on_one_line(text) == text


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_of_predictions_is_a_formula(name, tmp_path):
    path = tmp_path / "predictions.csv"
    prediction_files.write(predictions((name, "b"), name), path, 2)
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert rows[1][0] == rows[1][1] == f"'{name}"
    assert csv_text.unguarded(rows[1][1]) == name
    assert rows[2][1] == "b"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for row in rows for cell in row)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4), max_size=4))
def test_any_text_survives_guarded_csv(rows):
    rows = [row for row in rows if any(row)]
    text = csv_text.as_text(rows)
    parsed = list(csv.reader(io.StringIO(text, newline="")))
    assert [[csv_text.unguarded(cell) for cell in row] for row in parsed] == rows


@pytest.mark.parametrize("number", ["-1", "+3.5", "-1e-05", "0"])
def test_numbers_are_no_formulas(number):
    assert csv_text.guarded(number) == csv_text.unguarded(number) == number


@pytest.mark.parametrize("name", ["=cmd", "@home", "'=quoted", "a;=cmd"])
def test_a_table_that_pellucid_wrote_is_read_back(name, tmp_path):
    for index in range(8):
        Image.new("L", (8, 8), 30 * index).save(tmp_path / f"={index}.png")
    rows = [("path", "label"), *((f"={index}.png", name if index % 2 else "b") for index in range(8))]
    (tmp_path / "table.csv").write_text(csv_text.as_text(rows), encoding="utf-8")
    data = pellucid.load(tmp_path / "table.csv")
    assert set(data.classes) == {name, "b"}
    assert sum(len(split) for split in data.splits.values()) == 8


def test_cells_with_another_separator_are_quoted():
    assert csv_text.as_text([["a;=cmd", "b"]]) == '"a;=cmd","b"\n'
