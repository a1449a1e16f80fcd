import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from pellucid.records import Figure, Findings, Metric, Table
from pellucid.report.terminal import render


def printed(findings, width=100, colours=None, files=None):
    console = Console(
        file=io.StringIO(), width=width, highlight=False, force_terminal=colours is not None, color_system=colours
    )
    render(findings, console, files)
    return console.file.getvalue()


def test_metrics_come_first_then_mistakes_then_files_then_tables(findings):
    text = printed(findings, files={"Model": "runs/a/model.safetensors", "Report": "runs/a/report.html"})
    parts = (
        "Accuracy",
        "Log loss",
        "The most confident",
        "Model   runs/a",
        "Report  runs/a",
        "Scores of each class",
        "The most common",
    )
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    assert text.startswith("digits, test split\n")
    assert "92.5 %  (89.3 to 94.8 %, n = 360) right on 333 of 360 test pictures" in text
    assert "always predicting '3'" in text
    assert "✗ test/209: predicted 1 (40.7 % sure), label 6" in text
    assert "\x1b" not in text
    assert "the mean of −log p" not in text  # a definition is for the report


def test_a_terminal_gets_colours(findings, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in printed(findings, colours="standard")


def test_twenty_classes_are_printed_in_full_and_in_their_order():
    rows = tuple((f"c{i:02}", 1 - i / 20, 5) for i in range(20))
    text = printed(Findings((Table("per_class", ("class", "F1 %", "n"), rows),)))
    assert [line.split()[0] for line in text.splitlines() if line.startswith("c0")] == [f"c0{i}" for i in range(10)]
    assert "lowest F1" not in text


def test_of_a_hundred_classes_the_worst_are_printed_and_the_report_is_named(hundred_classes):
    text = printed(hundred_classes, width=80, files={"Report": "report.html"})
    lines = text.splitlines()
    assert lines[1].startswith("Accuracy ")
    first = next(index for index, line in enumerate(lines) if line.startswith("class "))
    rows = lines[first + 2 : first + 22]
    f1 = [float(re.findall(r"([\d.]+|–)(?: \(\S+ to \S+\))?", row[4:])[2]) for row in rows]
    scores = next(item for item in hundred_classes if item.name == "per_class")
    assert f1 == sorted(f1)
    assert f1 == sorted(round(100 * row[3], 1) for row in scores.rows)[:20]
    assert "The 20 classes with the lowest F1, of 100; the report has them all." in text
    assert "And 19 more: the report has them." in text
    assert len(lines) < 70


def test_of_many_classes_compared_those_where_b_loses_most_are_printed():
    rows = tuple((f"c{i:02}", 0.5, 0.5 + i / 100, i / 100, -0.1, 0.1, 9) for i in range(21))
    columns = ("class", "A %", "B %", "B − A %", "low %", "high %", "n")
    text = printed(Findings((Table("per_class", columns, rows[::-1]),)))
    assert "The 20 classes where B is weakest compared with A, of 21; --json has them all." in text
    assert "c00" in text
    assert "c20" not in text


def test_long_tables_say_what_they_leave_out():
    rows = tuple((f"c{i:03}", None if i == 7 else (i * 37 % 100) / 100, 5) for i in range(100))
    confusions = Table("confusions", ("label", "predicted", "count"), tuple(("a", f"b{i}", 1) for i in range(12)))
    other = Table("others", ("name",), tuple((f"x{i}",) for i in range(41)))
    text = printed(Findings((Table("per_class", ("class", "F1 %", "n"), rows), confusions, other)))
    assert "The 20 classes with the lowest F1, of 100; --json has them all." in text
    assert "c000" in text  # an F1 of 0
    assert "c007" not in text  # not defined is not the lowest
    assert "And 2 more; --json has them all." in text
    assert "And 1 more; --json has them all." in text


def test_a_narrow_terminal_loses_no_number(findings):
    text = printed(findings, width=50)
    assert "92.5 %" in text
    assert max(map(len, text.splitlines()[:3])) <= 50


def test_paths_of_files_are_neither_wrapped_nor_markup():
    path = "[red]runs[/red]/\x1b[2J" + "a" * 100
    assert printed(Findings(), width=40, files={"Model": path}) == f"\nModel   [red]runs[/red]/\\x1b[2J{'a' * 100}\n"


def test_names_are_not_markup_and_move_no_cursor():
    name = "[red]bee[/red]\x1b[2J\n"
    table = Table("confusions", ("label", "predicted", "count"), ((name, "b", 1),), name)
    cell = {"id": name, "label": name, "predicted": name, "probability": 0.25}
    figure = Figure("mistakes", "pictures", {"cells": [cell]}, note="One.")
    metric = Metric("accuracy", 0.5, 2, 0.1, 0.9, unit="fraction", note=name)
    text = printed(Findings((metric, table, figure), title=name))
    assert "\x1b" not in text
    assert text.count(r"[red]bee[/red]\x1b[2J\n") == 7


def test_nothing_found_prints_nothing_and_an_empty_table_says_none():
    assert printed(Findings()) == ""
    assert "None." in printed(Findings((Table("confusions", ("label",), ()),)))


@pytest.mark.parametrize("heavy", ["matplotlib", "torch", "jinja2"])
def test_imports_nothing_heavy(heavy):
    code = f"import sys, pellucid.report.terminal; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
