from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.cli.runs import COLUMNS
from pellucid.records import Findings, Metric, RunFolder
from pellucid.records.run import locked
from pellucid.training.recipes import Recipe

HEAVY = {"torch", "scipy", "sklearn", "pyarrow", "PIL", "matplotlib", "jinja2"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make(path: str, network: str = "mlp", scored: str = "test", **changes: object) -> RunFolder:
    """A finished run as `pellucid train` leaves it, as far as a list looks at it."""
    run = RunFolder(Path(path))
    run.path.mkdir(parents=True)
    plan = Recipe().but(batch_size=100, optimizer="adam", weight_decay=0.0).but(**changes)  # the first are mlp's own
    about = {"name": network, "source": "", "settings": {}}
    run.write_json(
        {"data": {"name": "digits"}, "network": about, "recipe": plan.model_dump(mode="json"), "seed": 3}
        | {"scored": scored, "chosen_epoch": 1, "interrupted": False}
    )
    run.write_findings(Findings((Metric("accuracy", 0.9, 360, 0.8649, 0.9271, unit="fraction"),)))
    run.history.write_text("epoch\n1\n2\n", encoding="utf-8")
    run.times.write_text("epoch,seconds\n1,0.5\n2,0.75\n", encoding="utf-8")
    run.model.touch()
    return run


def rows(done) -> list[dict[str, object]]:
    found = done.findings["runs"]
    assert tuple(found["columns"]) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in found["rows"]]


def test_a_training_appears_in_the_list(pellucid):
    train = ["train", "digits", "--network", "logistic-regression", "--epochs", 2, "--recipe-set", "split_seed=4"]
    assert pellucid(*train, "--quiet", "--no-report", "--seed", 5).code == 0
    done = pellucid("runs")
    assert (done.code, done.err) == (0, "")
    title, line = done.out.splitlines()
    assert title.split() == ["run", "data", "network", "accuracy", "epochs", "seconds", "seed", "settings"]
    assert line.startswith(str(Path("runs/digits-logistic-regression-001")))
    assert "n = 360)" in line
    assert line.endswith("5     epochs=2, split_seed=4")
    (row,) = rows(pellucid("runs", "--json"))
    written = json.loads(Path("runs/digits-logistic-regression-001/findings.json").read_text(encoding="utf-8"))
    measured = written["findings"][0]
    assert [row[name] for name in ("accuracy %", "low %", "high %", "n")] == [
        measured[name] for name in ("value", "low", "high", "n")
    ]
    assert (row["settings"], row["seed"], row["split"], row["epochs"]) == ({"epochs": 2, "split_seed": 4}, 5, "test", 2)


def test_what_a_person_reads(pellucid):
    make("runs/a", augmentation=("flip", "shift:2"), early_stopping=2, learning_rate=0.01)
    done = pellucid("runs")
    assert done.out.splitlines()[1] == (
        f"{Path('runs/a')}  digits  mlp      90.0 % (86.5 to 92.7, n = 360)  1/2     1.2      3     "
        f"learning_rate=0.01, augmentation=flip+shift:2, early_stopping=2"
    )


def test_settings_are_differences_from_the_networks_own_plan(pellucid):
    make("runs/a", learning_rate=2e-3)
    make("runs/b", network="custom")
    first, second = rows(pellucid("runs", "--json"))
    assert first["settings"] == {}
    # Of a network of one's own the plan is not at hand: it is compared with the general one.
    assert second["settings"] == {"batch_size": 100, "optimizer": "adam", "weight_decay": 0.0}


def test_runs_that_are_not_finished_and_damaged_ones_are_named_as_such(pellucid):
    stopped = make("runs/a")
    stopped.findings.unlink()
    stopped.write_json(stopped.read_json() | {"interrupted": True})
    running = RunFolder(Path("runs/b"))
    running.path.mkdir()
    running.history.write_text("epoch\n1\n", encoding="utf-8")
    make("runs/c").run_json.write_text("{", encoding="utf-8")
    Path("runs/pictures").mkdir()
    done = pellucid("runs")
    assert done.code == 0
    lines = done.out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [str(Path(f"runs/{name}")) for name in "abc"]
    assert "interrupted" in lines[0]
    assert "unfinished" in lines[1]
    assert "damaged" in lines[2]
    assert done.err.startswith(f"Damaged: {Path('runs/c')} is not a run folder: its run.json cannot be read")
    found = rows(pellucid("runs", "--json"))
    assert [row["state"] for row in found] == ["interrupted", "unfinished", "damaged"]
    assert [row["accuracy %"] for row in found] == [None] * 3
    assert "run.json" in str(found[2]["problem"])


def test_what_else_a_run_may_be(pellucid):
    make("runs/a", scored="validation")
    without = make("runs/b")
    without.write_findings(Findings((Metric("loss", 0.5, 3),)))
    own = make("runs/c")
    about = own.read_json()
    about["network"] = {"name": "custom", "source": "mynet.py:Net", "settings": {"width": 20}}
    own.write_json(about | {"chosen_epoch": None})
    lines = pellucid("runs").out.splitlines()[1:]
    assert "n = 360), validation split" in lines[0]
    assert "not measured" in lines[1]
    assert "mynet.py:Net (width=20)" in lines[2]
    assert "  2       1.2" in lines[2]


def test_no_runs_and_no_folder(pellucid, tmp_path):
    done = pellucid("runs")
    assert done.code == 1
    assert done.sentence.startswith("There is no folder of runs at runs. `pellucid train` makes run folders in runs/")
    assert pellucid("runs", tmp_path).out == f"There are no runs in {tmp_path}.\n"
    assert rows(pellucid("runs", tmp_path, "--json")) == []


def test_hundreds_of_runs_are_listed_without_anything_heavy():
    first = make("runs/digits-mlp-000", learning_rate=0.5)
    for number in range(1, 300):
        shutil.copytree(first.path, f"runs/digits-mlp-{number:03d}")
    script = (
        "import sys, json\nfrom pellucid.cli import main\n"
        "try:\n    main(['runs'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, encoding="utf-8")
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 300 + 1
    assert not HEAVY & set(json.loads(lines[-1]))


def test_a_run_that_is_at_work_is_said_to_be_running(pellucid):
    run = RunFolder(Path("runs/b"))
    run.path.mkdir(parents=True)
    run.history.write_text("epoch\n1\n", encoding="utf-8")
    with locked(run):
        assert " running " in pellucid("runs").out
    assert " unfinished " in pellucid("runs").out
