import io
import subprocess
import sys

import pytest
from rich.console import Console

from pellucid.records import Figure, Findings, Metric, Table
from pellucid.report.terminal import render


def shown(findings, width=100, colours=None):
    console = Console(
        file=io.StringIO(), width=width, highlight=False, force_terminal=colours is not None, color_system=colours
    )
    render(findings, console)
    return console.file.getvalue()


def test_metrics_come_first_then_tables_then_mistakes(findings):
    text = shown(findings)
    places = [
        text.index(part) for part in ("Accuracy", "Loss", "Class by class", "The commonest conf", "The most conf")
    ]
    assert places == sorted(places)
    assert text.startswith("digits, test split\n")
    assert "92.5 %  (89.3 to 94.8 %, n = 360) right on 333 of 360 test pictures" in text
    assert "always saying '3'" in text
    assert "✗ test/209: 1 (40.7 % sure), given 6" in text
    assert "\x1b" not in text


def test_a_terminal_gets_colours(findings, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in shown(findings, colours="standard")


def test_long_tables_say_what_they_leave_out():
    rows = tuple((f"c{i:03}", None if i == 7 else (i * 37 % 100) / 100, 5) for i in range(100))
    confusions = Table("confusions", ("given", "predicted", "count"), tuple(("a", f"b{i}", 1) for i in range(12)))
    other = Table("others", ("name",), tuple((f"x{i}",) for i in range(41)))
    text = shown(Findings((Table("per_class", ("class", "F1 %", "n"), rows), confusions, other)))
    assert "The 40 with the lowest F1 of 100; --json has them all." in text
    assert "c000" in text  # an F1 of 0
    assert "c007" not in text  # not defined is not the lowest
    assert "And 2 more; --json has them all." in text
    assert "And 1 more; --json has them all." in text


def test_a_narrow_terminal_loses_no_number(findings):
    text = shown(findings, width=50)
    assert "92.5 %" in text
    assert max(map(len, text.splitlines()[:3])) <= 50


def test_names_are_not_markup_and_move_no_cursor():
    name = "[red]bee[/red]\x1b[2J\n"
    table = Table("confusions", ("given", "predicted", "count"), ((name, "b", 1),), name)
    cell = {"id": name, "given": name, "predicted": name, "probability": 0.25}
    figure = Figure("mistakes", "pictures", {"cells": [cell]}, note="One.")
    metric = Metric("accuracy", 0.5, 2, 0.1, 0.9, unit="fraction", note=name)
    text = shown(Findings((metric, table, figure), title=name))
    assert "\x1b" not in text
    assert text.count(r"[red]bee[/red]\x1b[2J\n") == 7


def test_nothing_found_prints_nothing_and_an_empty_table_says_none():
    assert shown(Findings()) == ""
    assert "None." in shown(Findings((Table("confusions", ("given",), ()),)))


@pytest.mark.parametrize("heavy", ["matplotlib", "torch", "jinja2"])
def test_imports_nothing_heavy(heavy):
    code = f"import sys, pellucid.report.terminal; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
