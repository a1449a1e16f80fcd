from __future__ import annotations

import io
import sys

import pytest

from pellucid.data import progress
from pellucid.data.progress import watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def attach(monkeypatch):
    """Makes standard error a terminal; within the test, as pytest sets its own in between."""

    def run() -> Terminal:
        terminal = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(progress, "_OFTEN", -1.0)
        return terminal

    return run


def test_whoever_asked_is_told_and_nobody_else(attach, monkeypatch):
    terminal = attach()
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    told = []
    assert list(watched("abc", 3, "Reading", lambda done, total: told.append((done, total)))) == ["a", "b", "c"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert terminal.getvalue() == ""


def test_a_terminal_shows_long_work_with_the_time_left(attach, monkeypatch):
    terminal = attach()
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(watched(range(5), 5, "Reading")) == list(range(5))
    assert "Reading" in terminal.getvalue()
    assert "left" in terminal.getvalue()
    assert list(watched(range(5), 0, "Reading what has no known end")) == list(range(5))


def test_short_work_shows_nothing(attach):
    terminal = attach()
    assert list(watched(range(5), 5, "Reading")) == list(range(5))
    assert terminal.getvalue() == ""


def test_nothing_is_shown_where_nobody_looks(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(watched(range(5), 5, "Reading")) == list(range(5))
    assert sys.stderr.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    assert list(watched(range(5), 5, "Reading")) == list(range(5))
