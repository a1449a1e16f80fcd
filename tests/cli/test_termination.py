"""SIGTERM ends every stage of every command as Ctrl-C does: exit code 130, one sentence, nothing half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli.app import terminating_like_ctrl_c
from pellucid.records import Model

NOTHING = "Interrupted before the first checkpoint, so there is nothing to resume. Run the same command again."


def terminated(stage: str, *arguments: str | Path, cache: Path, calls: int = 1) -> subprocess.CompletedProcess[str]:
    """Runs `pellucid` in a process that receives SIGTERM at the given call of a function, `module:name`."""
    module, name = stage.split(":")
    program = textwrap.dedent(f"""
        import importlib, signal, sys
        module = importlib.import_module({module!r})
        original, count = getattr(module, {name!r}), [0]
        def stage(*arguments, **settings):
            count[0] += 1
            if count[0] == {calls}:
                signal.raise_signal(signal.SIGTERM)
            return original(*arguments, **settings)
        setattr(module, {name!r}, stage)
        from pellucid.cli import main
        main(sys.argv[1:])
    """)
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        env=os.environ | {"PELLUCID_CACHE": str(cache)},
    )


@pytest.fixture
def photos(tmp_path) -> Path:
    """24 small photos of two classes, all different."""
    draw = np.random.default_rng(0)
    for label in ("ants", "bees"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            spots = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(spots).resize((80 + number, 72)).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("pellucid.data.gathering:probe", "Interrupted."),  # reading the folder
        ("pellucid.workflows.train:check_data", NOTHING),  # the check
        ("pellucid.data.preprocessing:prepare_one", NOTHING),  # decoding
        ("pellucid.training.methods.features:backbone_features", NOTHING),  # features of the photos
    ],
)
def test_at_the_start_of_a_training(stage, sentence, photos, tmp_path):
    out = tmp_path / "run"
    done = terminated(stage, "train", photos, "--out", out, "--quiet", cache=tmp_path / "cache")
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr.strip().splitlines()[-1] == sentence
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("stage", ["pellucid.workflows.train:evaluate", "pellucid.report.page:write_run"])
def test_while_a_trained_model_is_scored(stage, tmp_path):
    if "report" in stage:
        pytest.importorskip("pellucid.report")  # it can be deleted
    out = tmp_path / "run"
    command = ("train", "digits", "--network", "logistic-regression", "--epochs", "2", "--quiet", "--out", out)
    done = terminated(stage, *command, cache=tmp_path / "cache")
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        f"Interrupted. Kept the model, which is fully trained: {out / 'model.safetensors'}. "
        f"Resume with: pellucid train --resume {out}"
    )
    assert Model.load(out).classes[0] == "0"


@pytest.mark.parametrize(
    ("stage", "command"),
    [
        ("pellucid.data.loading:load", ("check", "digits")),
        ("pellucid.cli.picture_paths:gather", ("predict", "lite0", "scans")),
    ],
)
def test_in_other_commands(stage, command, tmp_path):
    done = terminated(stage, *command, cache=tmp_path / "cache")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "Interrupted.")


def test_a_handler_that_exists_stays_and_the_default_returns():
    before = signal.getsignal(signal.SIGTERM)
    with terminating_like_ctrl_c():
        assert signal.getsignal(signal.SIGTERM) is (signal.default_int_handler if before == signal.SIG_DFL else before)
    assert signal.getsignal(signal.SIGTERM) is before
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with terminating_like_ctrl_c():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_in_another_thread_nothing_is_changed():
    seen = []

    def work() -> None:
        with terminating_like_ctrl_c():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
