"""Folders with names that a terminal or a spreadsheet would obey: every command shows them, and none obeys them."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = ("cat\x1b]0;owned\x07", "=1+1", "\x9b31mred", "[bold]x[", "[nope]")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of classes and files with such names, in the current folder."""
    rng = np.random.default_rng(0)
    try:
        for name in CLASSES:
            (tmp_path / "set" / name).mkdir(parents=True)
            for number in range(8):
                pixels = rng.integers(0, 256, (12, 12), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}\x1b[2J.png")
    except OSError:
        pytest.skip("this system allows no such names")
    monkeypatch.chdir(tmp_path)
    return "set"


def test_no_command_obeys_a_name(pellucid, photos):
    for command in (
        f"check {photos}",
        f"check {photos} --json",
        f"train {photos} --network logistic-regression --epochs 1 --out r",
        f"evaluate r {photos}",
        f"evaluate r {photos} --json",
        f"predict r {photos} --top 2 --out p.csv",
        f"predict r {photos} --json",
        f"label r {photos} --top 20 --out l.csv",
        f"sort r {photos} --out s",
        "info r",
        "info r --json",
        "runs .",
        f"predict r {photos}/missing\x1b[2J.png",
    ):
        done = pellucid(*command.split(" "))
        assert not CONTROL.search(done.out), command
        assert not CONTROL.search(done.err), command
        assert (done.code == 0) == ("missing" not in command), done.err
    tables = [
        list(csv.reader(io.StringIO(Path(file).read_bytes().decode(), newline="")))
        for file in ("p.csv", "l.csv", "s/sorted.csv")
    ]
    for rows in tables:
        assert len(rows) > 20
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    assert any("'=1+1" in row for row in tables[0])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_in_a_terminal_obeys_no_name(photos):
    import pty

    output = bytearray()

    command = [sys.executable, "-m", "pellucid", "train", photos, "--network", "logistic-regression", "--epochs", "2"]
    descriptor, terminal = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)
    os.close(terminal)
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # Linux says so at the end
            break
        if not piece:
            break
        output.extend(piece)
    os.close(descriptor)
    assert process.wait(timeout=60) == 0
    text = output.decode("utf-8", "replace")
    assert "\x07" not in text
    assert "\x9b" not in text
    assert "\x1b]" not in text
