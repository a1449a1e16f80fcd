"""What is measured before a training begins stands in its plan, and a training that goes on obeys the plan."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.records import RunFolder
from pellucid.records.runs import summarise
from pellucid.training import batch_size, budget
from pellucid.training.callbacks import Callback
from pellucid.workflows import planning
from pellucid.workflows import train as workflow

QUICK: dict[str, Any] = {"progress": False, "report": False}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def few():
    digits = pellucid.load("digits")
    return replace(digits, splits={"train": digits.train.take(np.arange(300)), "test": digits.test.take(np.arange(60))})


class Watch(Callback):
    """Remembers what was planned, and what lay in the folder when the first step was taken; may press Ctrl-C."""

    def __init__(self, stop_after: int = 0) -> None:
        self.stop_after = stop_after
        self.planned: list[str] = []
        self.first: dict[str, Any] = {}
        self.epochs = 0

    def on_folder(self, path: Path) -> None:
        self.folder = path

    def on_planned(self, sentence: str) -> None:
        self.planned.append(sentence)

    def on_step(self, step: int, loss: Any, accuracy: Any) -> None:
        if not self.first:
            self.first = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            self.state = summarise(self.folder).state

    def on_epoch(self, row: dict[str, Any]) -> None:
        self.epochs = row["epoch"]
        if row["epoch"] == self.stop_after:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def of_three_epochs(monkeypatch):
    """What is measured is real; what is made of it fits three epochs, however busy this machine is."""
    asked: list[budget.Cost] = []

    def epochs_within(_seconds: float, cost: budget.Cost) -> tuple[int, str]:
        asked.append(cost)
        return 3, "3 epochs fit into it"

    monkeypatch.setattr(budget, "epochs_within", epochs_within)
    return asked


def test_a_budget_is_settled_before_the_first_step_and_stands_in_run_json(few, of_three_epochs):
    watch = Watch()
    done = workflow.run(few, "logistic-regression", budget="5m", callbacks=[watch], command="pellucid ...", **QUICK)
    assert watch.planned == ["3 epochs fit into it"]
    assert watch.first["recipe"]["epochs"] == 3
    assert watch.first["planned"] == {"epochs": "3 epochs fit into it"}
    assert watch.state == "running", "a run that is at work shows what it is"
    assert len(done.training.history) == 3
    said = done.folder.read_json()
    assert said["planned"] == {"epochs": "3 epochs fit into it"}
    assert said["recipe"]["epochs"] == 3
    cost = of_three_epochs[0]
    assert cost.step > 0
    assert cost.epoch > cost.steps * cost.step
    assert cost.steps == 5
    assert summarise(done.folder.path).state == "finished"


def test_a_training_that_goes_on_obeys_the_plan_and_not_the_clock(few, of_three_epochs):
    straight = workflow.run(few, "mlp", epochs=3, **QUICK)
    stopped = workflow.run(few, "mlp", budget="5m", callbacks=[Watch(stop_after=1)], **QUICK)
    assert stopped.interrupted
    assert RunFolder(stopped.folder.path).read_plan().planned == {"epochs": "3 epochs fit into it"}
    ended = workflow.resume(stopped.folder.path, data=few, progress=False)
    assert len(of_three_epochs) == 1, "nothing is measured again"
    assert ended.model == straight.model
    assert ended.training.history == straight.training.history


def test_ctrl_c_while_it_is_measured_leaves_nothing_behind(few, monkeypatch):
    def impatient(_training, folder, _clock):
        (folder / "trial").mkdir()
        (folder / "trial" / "step").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(budget, "_saving_seconds", impatient)
    with pytest.raises(KeyboardInterrupt):
        workflow.run(few, "mlp", budget="5m", **QUICK)
    assert not any(Path("runs").iterdir())


def test_a_budget_in_which_nothing_fits_leaves_nothing_behind(few):
    with pytest.raises(UsageError, match="Not one epoch fits into 10 ms"):
        workflow.run(few, "mlp", budget=0.01, **QUICK)
    assert not list(Path("runs").iterdir())


def test_a_batch_that_fills_memory(few, monkeypatch):
    monkeypatch.setattr(batch_size.ProcessTrials, "measure", lambda self, batch: 1_000_000 * batch)
    watch = Watch()
    done = workflow.run(
        few, "mlp", epochs=1, batch_size="auto", memory_limit="9MB", threads=1, callbacks=[watch], **QUICK
    )
    assert done.training.recipe.batch_size == 9
    sentence = (
        "batch size 9: it takes 9 MB of 9 MB, and 10 would take 10 MB. The learning rate 0.002 was meant for batches "
        "of 100, and may want to change: measure it with --find-lr, or try 0.0006 (as the square root of the batch "
        "size)"
    )
    assert watch.planned == [sentence]
    assert done.folder.read_json()["planned"]["batch_size"] == watch.planned[0]


def test_a_batch_that_is_nearly_the_plans_own_gives_no_advice_on_the_rate():
    recipe = pellucid.Recipe(batch_size=100)
    assert planning._learning_rate_advice(80, recipe) == ""
    assert "0.004" in planning._learning_rate_advice(25, recipe)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"budget": "5m", "epochs": 3}, "A budget determines the number of epochs; give one of the two"),
        ({"budget": "5m", "best_within": 60.0}, "A budget and best-within exclude each other"),
        ({"memory_limit": "2GB"}, "A memory limit is for the batch size 'auto', which was not given."),
        ({"memory_limit": "2", "batch_size": "auto"}, "A memory limit is a size with its unit"),
        ({"budget": "soon"}, "A budget is a time with its unit, for example 90s, 5m or 1h30m; given: 'soon'."),
    ],
)
def test_what_does_not_go_together(few, given, sentence):
    with pytest.raises(UsageError) as error:
        workflow.run(few, "mlp", **given, **QUICK)
    assert str(error.value).startswith(sentence)
    assert not Path("runs").exists()
