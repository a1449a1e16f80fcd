"""How a training shows itself: plain lines when piped, a live bar in a terminal, a curve in a notebook."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

import pellucid
from pellucid.records import display as views
from pellucid.training.callbacks import TrainingOverview
from pellucid.training.display import LineDisplay, LiveDisplay, default_display, epoch_line
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

PLAN = TrainingOverview("mlp", "digits", epochs=2, steps_per_epoch=3, pictures=1293, validation_pictures=144)
ROW = {
    "epoch": 1, "step": 3, "learning_rate": 0.1, "train_loss": 1.23456, "train_accuracy": 0.5,
    "validation_loss": 0.98765, "validation_accuracy": 2 / 3,
}  # fmt: skip


def test_a_line_of_an_epoch():
    wanted = "epoch  1/10   loss 1.2346   accuracy 50.00 %   validation loss 0.9877   accuracy 66.67 %   4.1 s"
    assert epoch_line(ROW, 10, 4.1234) == wanted


def test_lines_are_plain():
    stream = io.StringIO()
    training = learn(
        pellucid.load("digits"),
        make_plan(pellucid.load("digits"), "mlp", epochs=2),
        progress=False,
        callbacks=[LineDisplay(Console(file=stream, soft_wrap=True))],
    )
    lines = stream.getvalue().splitlines()
    train, validation = training.data.train, training.data.validation
    assert lines[0].startswith("mlp learns from 1,293 pictures of digits")
    assert len(train) == 1293
    assert f"{len(validation):,} others" in stream.getvalue().replace("\n", " ")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("epoch ") == 2


def test_the_default_display(monkeypatch):
    assert type(default_display(Console(file=io.StringIO()))) is LineDisplay
    assert type(default_display(Console(file=io.StringIO(), force_terminal=True))) is LiveDisplay
    assert type(default_display()) is LineDisplay
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(views, "view", lambda name: lambda: f"a curve of the {name}")
    assert default_display() == "a curve of the training"
    monkeypatch.setattr(views, "view", lambda name: None)
    assert type(default_display()) is LineDisplay


def test_the_bar_shows_epoch_step_loss_accuracy_and_is_taken_away():
    stream = io.StringIO()
    live = LiveDisplay(Console(file=stream, force_terminal=True, width=120, legacy_windows=False))
    live.on_start(PLAN)
    live.on_step(4, 0.25, 0.75)
    live.progress.refresh()
    shown = stream.getvalue()
    live.on_step(5, 99.0, 0.0)  # too soon after the last one to be read, let alone drawn
    live.on_epoch(ROW)
    live.on_end({})
    assert "epoch 2/2" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "4/6" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "loss 0.2500  accuracy 75.0 %" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "99.0" not in stream.getvalue()
    assert not live.progress.live.is_started
    assert "loss" not in stream.getvalue().split("step")[0], "nothing is shown before it was measured"


def test_planned_settings_are_printed_first():
    stream = io.StringIO()
    lines = LineDisplay(Console(file=stream))
    lines.on_planned("2 epochs fit into 5 min")
    lines.on_start(PLAN)
    assert stream.getvalue().splitlines()[0] == "2 epochs fit into 5 min"


def test_the_bar_of_a_resumed_training_continues_and_shows_the_time_left(monkeypatch):
    stream = io.StringIO()
    live = LiveDisplay(Console(file=stream, force_terminal=True, width=120, legacy_windows=False))
    clock = [100.0]
    monkeypatch.setattr("pellucid.training.display.time.perf_counter", lambda: clock[0])
    live.on_start(
        TrainingOverview("mlp", "digits", epochs=10, steps_per_epoch=100, pictures=1000, validation_pictures=0)
    )
    live.on_resumed(500, [None] * 5)
    assert live._time_left() == ""
    for step in range(501, 511):
        clock[0] += 1
        live.on_step(step, 0.5, 0.5)
    live.progress.refresh()
    live.on_end({})
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", stream.getvalue())
    assert live._time_left() == "8 min left", "490 steps of a second"
    assert "epoch 6/10" in shown
    assert "510/1000" in shown
    assert "8 min left" in shown


COMMAND = """
import sys
sys.argv = ["pellucid", "train", "digits", "--network", "mlp", "--epochs", "{epochs}", "--out", {out!r}, "--no-report",
            "--threads", "1"]
from pellucid.cli import main
main()
"""


def in_a_terminal(epochs: int, out: Path, interrupt_after: str = "") -> tuple[int, str]:
    """Runs a training in a pseudo-terminal: its exit code and all that it wrote."""
    import pty

    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(COMMAND).format(epochs=epochs, out=str(out))],
        stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=out.parent,
    )  # fmt: skip
    os.close(slave)
    written, deadline, sent = b"", time.monotonic() + 120, False
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not chunk:
                break
            written += chunk
        if interrupt_after and not sent and interrupt_after.encode() in written:
            process.send_signal(signal.SIGINT)
            sent = True
    code = process.wait(30)
    os.close(master)
    return code, written.decode()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
def test_the_bar_and_ctrl_c_in_a_real_terminal(tmp_path):
    out = tmp_path / "run"
    code, text = in_a_terminal(5000, out, interrupt_after=" left")
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)
    assert code == 130, plain
    assert "Traceback" not in plain
    assert re.search(r"Interrupted\. Kept the model of epoch \d+: .*model\.safetensors", plain.replace("\r\n", ""))
    assert len(pellucid.Model.load(out).classes) == 10
    assert re.search(r"epoch \d+/5000\s+step\s+\d+/65000", plain)
    assert re.search(r"loss \d\.\d{4}  accuracy \d+\.\d %", plain)
    assert re.search(r"(\d+ (s|min|h)|under 5 s) left", plain)
    assert "\x1b[?25h" in text, "the cursor is shown again"
