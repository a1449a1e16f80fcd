"""SIGTERM ends every stage of every command with exit code 130 and a sentence that says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.training.interruption import termination_as_interrupt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program can hear"),
]

HARNESS = """
import importlib, sys, threading, time
module, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
del sys.argv[1:4]
if module == "import":
    class Finder:
        def find_spec(self, wanted, *_):
            if wanted == name and self in sys.meta_path:
                sys.meta_path.remove(self)
                print("HERE", flush=True)
                time.sleep(20)
    sys.meta_path.insert(0, Finder())
else:
    owner = importlib.import_module(module)
    *path, attribute = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    whole = getattr(owner, attribute)
    calls = []
    def slow(*given, **more):
        calls.append(1)
        if len(calls) == times:
            print("HERE", flush=True)
            pause = 3 if threading.current_thread() is threading.main_thread() else 0.5
            exec("time.sleep(pause)")  # as in the code of a dataclass, after which `python -m` would end by SIGINT
        return whole(*given, **more)
    setattr(owner, attribute, slow)
from pellucid.cli import main
main()
"""
"""Runs the command line, and waits for SIGTERM at the n-th call of a function, or at the import of a module."""

AGAIN = "Interrupted before the end. Run the same command again.\n"
NOTHING = (
    "Interrupted before anything was learned, so there is no run to resume. Run the same command again; what was "
    "decoded or computed by then is in the cache.\n"
)
RESUME = "Resume with: pellucid train --resume mine\n"
DIGITS = ["train", "digits", "--network", "logistic-regression", "--epochs", "2", "--out", "mine"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with an empty cache, and forty small photos in `photos`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "photos" / ("ants", "bees")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(path)
    return tmp_path


def terminated(at: tuple[str, str, int], *arguments: str) -> tuple[int, str]:
    """Runs a command, sends SIGTERM when it arrives there, and returns its exit code and standard error."""
    Path("harness.py").write_text(HARNESS, encoding="utf-8")
    words = [sys.executable, "-m", "harness", at[0], at[1], str(at[2]), *arguments]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line == "HERE\n":
                running.send_signal(signal.SIGTERM)
        assert running.stderr is not None
        written = running.stderr.read()
    return running.returncode, "".join(line for line in written.splitlines(keepends=True) if "Note:" not in line)


STAGES = {
    "before everything": (("pellucid.cli", "_run", 1), DIGITS, AGAIN),
    "import of the command line": (("import", "typer", 1), DIGITS, AGAIN),
    "reading the command line": (("pellucid.cli.app", "Commands.make_context", 1), DIGITS, AGAIN),
    "import of NumPy": (("import", "numpy.linalg", 1), DIGITS, AGAIN),
    "import of torch": (("import", "torch.nn", 1), DIGITS, AGAIN),
    "loading the data": (("pellucid.data.loading", "load", 1), ["train", "photos"], AGAIN),
    "reading the headers": (("pellucid.data.gathering", "probe", 1), ["train", "photos"], AGAIN),
    "check": (("pellucid.workflows.train", "check_data", 1), ["train", "photos", "--out", "mine"], NOTHING),
    "decoding": (
        ("pellucid.data.preprocessing", "_of_file", 3),
        ["train", "photos", "--network", "logistic-regression", "--size", "128", "--no-check", "--out", "mine"],
        NOTHING,
    ),
    "features": (
        ("pellucid.inference.torch_runner", "FeatureExtractor.__call__", 1),
        ["train", "photos", "--out", "mine"],
        NOTHING,
    ),
    "first validation": (
        ("pellucid.training.loop", "measure", 1),
        DIGITS,
        f"Interrupted. Kept the model of epoch 1: mine/model.safetensors. {RESUME}",
    ),
    "last validation": (
        ("pellucid.training.loop", "measure", 2),
        DIGITS,
        f"Interrupted. Kept the model, which is fully trained: mine/model.safetensors. {RESUME}",
    ),
    "scoring": (
        ("pellucid.workflows.train", "evaluate", 1),
        DIGITS,
        f"Interrupted. Kept the model, which is fully trained: mine/model.safetensors. {RESUME}",
    ),
    "report": (
        ("pellucid.report.page", "write_run", 1),
        DIGITS,
        f"Interrupted. Kept the model, which is fully trained: mine/model.safetensors. {RESUME}",
    ),
    "end of the training": (
        ("pellucid.workflows.train", "save_times", 1),
        DIGITS,
        f"Interrupted. {RESUME}",
    ),
    "check of a folder": (("pellucid.data.checking.scan", "_scan_file", 1), ["check", "photos"], AGAIN),
    "prediction": (("pellucid.inference.runner", "predict", 1), ["predict", "lite0", "photos"], AGAIN),
}


@pytest.mark.parametrize("stage", STAGES)
def test_sigterm_ends_each_stage_with_130_and_the_way_on(stage, folder):
    at, arguments, sentence = STAGES[stage]
    if stage == "report":
        pytest.importorskip("pellucid.report")  # it can be deleted
    code, written = terminated(at, *arguments)
    assert (code, written) == (130, sentence)
    assert not list(folder.rglob("*.part"))
    resumable = (folder / "mine" / "checkpoint" / "plan.json").is_file()
    assert resumable == sentence.endswith(RESUME), "the sentence names what there is"


def test_a_resumed_run_and_a_search_name_the_way_on_too(folder):
    code, _ = terminated(("pellucid.training.loop", "measure", 1), *DIGITS)
    assert code == 130
    for at in (("pellucid.workflows.train", "load", 1), ("pellucid.training.methods.scratch", "prepare", 1)):
        assert terminated(at, "train", "--resume", "mine") == (130, f"Interrupted. {RESUME}")
    tune = ["tune", "digits", "--network", "logistic-regression", "--epochs", "2", "--trials", "2", "--out", "searched"]
    assert terminated(("pellucid.training.loop", "measure", 1), *tune) == (
        130,
        "Interrupted after 0 of 2 trials. Resume with: pellucid tune --resume searched\n",
    )


def test_handlers_are_as_before_after_the_command_line():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_sigterm_that_the_starter_ignores_stays_ignored():
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination_as_interrupt():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_another_thread_changes_no_handler():
    handlers = []

    def work() -> None:
        with termination_as_interrupt():
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]
