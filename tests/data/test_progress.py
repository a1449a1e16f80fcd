from __future__ import annotations

import hashlib
import io
import sys
import time
from typing import Any

import pytest

from pellucid.data import gathering, hashing, progress
from pellucid.data.progress import watched
from pellucid.errors import FormatError
from pellucid.records import PictureFiles


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


def slow_digest(*_: object) -> Any:
    """A digest that takes a hundredth of a second."""
    time.sleep(0.01)
    return hashlib.sha256()


def slow_probe(*_: object, **__: object) -> Any:
    """The header of no picture, after a hundredth of a second."""
    time.sleep(0.01)
    raise FormatError("no picture")


@pytest.mark.parametrize("work", ["hashes", "headers"])
def test_an_interruption_does_not_wait_for_the_files_that_are_left(work, tmp_path, monkeypatch):
    def interrupted(items, *_: object, **__: object):
        next(iter(items))
        raise KeyboardInterrupt

    calls = []
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    for path in paths:
        path.write_bytes(b"x")
    if work == "hashes":
        monkeypatch.setattr(hashing, "watched", interrupted)
        monkeypatch.setattr(hashing.hashlib, "file_digest", lambda *_: calls.append(1) or slow_digest())
        read = lambda: hashing.content_hashes(PictureFiles(tuple(paths)))  # noqa: E731
    else:
        monkeypatch.setattr(gathering, "watched", interrupted)
        monkeypatch.setattr(gathering, "probe", lambda *_, **__: calls.append(1) or slow_probe())
        read = lambda: gathering.read_headers([gathering.Picture(path.name, path, "train", "a") for path in paths])  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        read()
    assert 0 < len(calls) < 100
