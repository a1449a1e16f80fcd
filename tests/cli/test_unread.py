"""A training does not die, nor forget what Ctrl-C promises, because nobody reads what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.records import Model

START = "from pellucid.cli import main; main()"
CTRL_C_IN_VALIDATION = """
import signal
from pellucid.training import loop

measured = loop.measure

def measure(*given, **more):
    signal.raise_signal(signal.SIGINT)
    return measured(*given, **more)

loop.measure = measure
"""
TRAIN = ["train", "digits", "--network", "logistic-regression", "--epochs", "2", "--no-report", "--out", "mine"]
TUNE = ["tune", "digits", "--network", "logistic-regression", "--epochs", "2", "--trials", "2", "--out", "mine"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def unread(code: str, *arguments: str, with_errors: bool = False) -> tuple[int, str]:
    """Runs a command whose reader goes away at once: the exit code, and what it says on standard error."""
    stderr = subprocess.STDOUT if with_errors else subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=stderr) as running:
        assert running.stdout is not None
        running.stdout.close()
        said = "" if running.stderr is None else running.stderr.read().decode()
    return running.returncode, said


def test_a_training_goes_on():
    assert unread(START, *TRAIN) == (0, "")
    assert Path("mine/predictions.parquet").is_file()


@pytest.mark.parametrize("with_errors", [False, True])
def test_ctrl_c_keeps_the_best_epoch_of_a_training(with_errors):
    code, said = unread(CTRL_C_IN_VALIDATION + START, *TRAIN, with_errors=with_errors)
    assert code == 130
    assert Model.load("mine").specification.training["chosen_epoch"] == 1
    kept = f"Interrupted. Kept the model of epoch 1: {Path('mine/model.safetensors')}."
    assert said == ("" if with_errors else f"{kept} Resume with: pellucid train --resume mine\n")


def test_a_search_goes_on():
    assert unread(START, *TUNE) == (0, "")
    assert len(json.loads(Path("mine/trials.json").read_text(encoding="utf-8"))) == 2


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_ctrl_c_ends_a_search(quiet):
    code, said = unread(CTRL_C_IN_VALIDATION + START, *TUNE, *quiet)
    assert (code, said) == (130, "Interrupted after 0 of 2 trials. Resume with: pellucid tune --resume mine\n")
