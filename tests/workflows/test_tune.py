"""A search: on validation alone, the same after a kill as if it had never stopped, and honest about what it found."""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.cli import main
from pellucid.errors import MissingDataError, StorageError, TrainingError, UsageError
from pellucid.records import Findings
from pellucid.records.tune import Trial, TuneFolder
from pellucid.training import loop
from pellucid.training.plan import ResolvedPlan, make_plan
from pellucid.workflows import proposing, search_space, tune_findings
from pellucid.workflows import train as trainings
from pellucid.workflows import tune as workflow
from pellucid.workflows.tune import Search, Watcher, resume, tune

RATES = ["learning_rate=1e-5..1e-1"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def few():
    digits = pellucid.load("digits")
    return replace(digits, splits={"train": digits.train.take(np.arange(300)), "test": digits.test.take(np.arange(60))})


SEARCH = {"trials": 20, "budget": None, "pruner": "median"}


def quick(data: Any, network: Any = "logistic-regression", **more: Any) -> workflow.Tuning:
    """A search with fields of `Search` and of the plan's record, arguments of `make_plan`, `out` and `watcher`."""
    more = {"trials": 3, "epochs": 2, "search": RATES} | more
    space = Search(more.pop("search"), *(more.pop(name, usual) for name, usual in SEARCH.items()))
    options = {name: more.pop(name) for name in ("out", "watcher") if name in more}
    record = {name: more.pop(name) for name in ("source", "command", "threads") if name in more}
    fixed = [name for name in more if name in pellucid.Recipe.model_fields]
    return tune(data, make_plan(data, network, **more).with_record(**record), space, fixed=fixed, **options)


def without_times(trials: list[Trial]) -> list[Trial]:
    return [trial.model_copy(update={"seconds": 0.0}) for trial in trials]


def test_a_search_finds_a_rate_that_learns(few):
    found = quick(few, trials=6, source="digits")
    assert [trial.number for trial in found.trials] == [1, 2, 3, 4, 5, 6]
    assert found.trials[0].chosen == {"learning_rate": 0.002}, "first the plan as it is"
    assert not found.interrupted
    best = max((trial for trial in found.trials if trial.state == "finished"), key=lambda trial: trial.accuracy)
    assert found.best == best.chosen
    assert found.best["learning_rate"] > 1e-3
    accuracy = found.findings["validation_accuracy"]
    assert accuracy.value == best.accuracy
    assert accuracy.n == len(few.train) - 270 == 30
    assert accuracy.low < accuracy.value <= accuracy.high
    assert "optimistic, because it was chosen on these pictures" in accuracy.note
    assert found.findings["as_planned"].value == found.trials[0].accuracy
    assert found.findings["best_settings"].rows == (("learning_rate", f"{found.best['learning_rate']:g}", "0.002"),)
    assert len(found.findings["trials"].rows) == 6
    assert found.command == (
        f"pellucid train digits --network logistic-regression --epochs 2 --learning-rate "
        f"{found.best['learning_rate']:g}"
    )
    stored = Findings.from_json(json.loads(found.folder.findings.read_text(encoding="utf-8")))
    assert stored["command"].rows == ((found.command,),)
    assert sorted(path.name for path in found.folder.path.iterdir()) == ["findings.json", "plan.json", "trials.json"]


def test_what_a_learning_rule_has_no_use_for_is_not_searched(few):
    found = quick(few, "perceptron", trials=1, search=())
    assert "learning_rate" in (space := TuneFolder(found.folder.path).read_plan().space)
    assert "weight_decay" not in space
    with pytest.raises(UsageError, match="The setting optimizer has no effect on perceptron"):
        quick(few, "perceptron", search=["optimizer=adam,sgd"])


def test_the_best_settings_give_the_accuracy_that_was_found(few):
    found = quick(few)
    again = pellucid.train(few, "logistic-regression", epochs=2, progress=False, **found.best)
    assert again.specification.metrics["validation_accuracy"]["value"] == found.findings["validation_accuracy"].value


def test_the_test_split_is_not_looked_at(few):
    without = replace(few, splits={"train": few.train})
    assert without_times(quick(few).trials) == without_times(quick(without).trials)


class CtrlC(Watcher):
    """Presses Ctrl-C within a trial, or fails as a machine does that loses its power."""

    def __init__(self, trial: int, error: BaseException | None = None) -> None:
        self.trial, self.error = trial, error

    def on_epoch(self, trial: int, row: Any) -> None:
        if trial == self.trial:
            if self.error is not None:
                raise self.error
            signal.raise_signal(signal.SIGINT)


def test_it_goes_on_as_if_it_had_never_stopped(few):
    straight = quick(few, trials=8, epochs=3)
    stopped = quick(few, trials=8, epochs=3, watcher=CtrlC(3))
    assert stopped.interrupted
    assert len(stopped.trials) == 2, "the third had not ended"
    with pytest.raises(RuntimeError):
        resume(stopped.folder.path, data=few, watcher=CtrlC(7, RuntimeError("the power is gone")))
    ended = resume(stopped.folder.path, data=few)
    assert not ended.interrupted
    assert without_times(ended.trials) == without_times(straight.trials)
    assert ended.findings["validation_accuracy"] == straight.findings["validation_accuracy"]
    assert {trial.state for trial in ended.trials} > {"finished"}, "some fell behind, and were ended early"
    more = resume(stopped.folder.path, data=few, trials=9)
    assert without_times(more.trials)[:8] == without_times(straight.trials)
    assert len(more.trials) == 9


class Proposed:
    """A trial as optuna has it."""

    def __init__(self, *, fallen: bool) -> None:
        self.params = {"learning_rate": 0.01}
        self.fallen = fallen

    def report(self, accuracy: float, epoch: int) -> None:
        pass

    def should_prune(self) -> bool:
        return self.fallen


@pytest.mark.parametrize(("epoch", "state"), [(2, "finished"), (1, "pruned"), (1, "diverged")])
def test_ctrl_c_while_a_trial_is_validated_ends_the_search_after_it(few, monkeypatch, epoch, state):
    """In its last epoch: all were made, it was stopped early, or it diverged."""
    measured, calls = loop.measure, []

    def measure(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) != 2 + epoch:  # the first trial has two epochs
            return measured(*given, **more)
        signal.raise_signal(signal.SIGINT)
        return (math.nan, 0.0) if state == "diverged" else measured(*given, **more)

    def propose(_plan: Any, _space: Any, done: list[Trial]) -> Proposed:
        return Proposed(fallen=bool(done) and state == "pruned")

    monkeypatch.setattr(loop, "measure", measure)
    monkeypatch.setattr(proposing, "propose", propose)
    found = quick(few, trials=4)
    assert found.interrupted
    assert [trial.state for trial in found.trials] == ["finished", state]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_the_last_trial_is_validated_leaves_nothing_to_do(few):
    found = quick(few, trials=1, epochs=1, watcher=CtrlC(1))
    assert not found.interrupted
    assert len(found.trials) == 1


def test_no_trial_is_ended_early_after_its_last_epoch(few):
    assert {trial.state for trial in quick(few, trials=12).trials} == {"finished"}, "a second epoch is the last"
    plan = pellucid.Recipe(epochs=3)
    found = tune(few, make_plan(few, "logistic-regression", recipe=plan), Search([*RATES, "epochs=2,3"], trials=12))
    fallen = [trial for trial in found.trials if trial.state == "pruned"]
    assert fallen
    assert all(len(trial.accuracies) < int(trial.chosen["epochs"]) for trial in fallen)


def test_a_second_process_is_kept_out(few):
    found = quick(few, trials=1)
    with found.folder.locked(), pytest.raises(StorageError) as error:
        resume(found.folder.path, data=few, trials=2)
    assert str(error.value) == f"{found.folder.path} is in use by another process. Wait for it, or start a new search."


def test_data_that_have_changed_are_refused(few):
    found = quick(few, trials=1)
    other = replace(few, splits={"train": few.train.take(np.arange(200))})
    with pytest.raises(UsageError, match="have changed since, so its trials cannot be compared"):
        resume(found.folder.path, data=other, trials=2)


def test_a_loss_that_becomes_no_number_is_a_trial_too(few):
    found = quick(few, "mlp", trials=2, search=["learning_rate=1e7,1e8"], optimizer="sgd", momentum=0.0)
    assert [(trial.state, trial.accuracy, trial.epoch) for trial in found.trials] == [("diverged", None, 0)] * 2
    assert found.best == {}
    assert found.command == ""
    assert found.findings["trials"].note == "0 finished, 2 diverged (infinite or NaN loss)."


def test_another_failure_is_none_of_the_searchs_business(few, monkeypatch):
    monkeypatch.setattr(workflow, "learn", lambda *_, **__: (_ for _ in ()).throw(TrainingError("The disk broke.")))
    with pytest.raises(TrainingError, match="The disk broke"):
        quick(few)


def test_a_time_is_kept(few):
    found = quick(few, trials=50, budget=1e-6, out="my search")
    assert len(found.trials) == 1, "one is made in any case"
    quote = '"' if os.name == "nt" else "'"
    assert found.notes == (
        f"The time is over after 1 of 50 trials. `pellucid tune --resume {quote}my search{quote}` makes the others.",
    )


def test_what_mattered(few):
    """Thirty trials whose accuracy the learning rate alone decides."""
    found = quick(few, trials=1, search=["learning_rate=1e-4..1e-1", "label_smoothing=0..0.2"])
    assert "importance" not in found.findings, "one trial cannot say"
    drawn = np.random.default_rng(0).uniform(size=(30, 2))
    trials = [
        found.trials[0].model_copy(
            update={
                "number": number,
                "chosen": {"learning_rate": float(1e-4 * 1000**rate), "label_smoothing": float(0.2 * smoothing)},
                "accuracy": 0.2 + 0.7 * float(rate),
            }
        )
        for number, (rate, smoothing) in enumerate(drawn, start=1)
    ]
    space = search_space.space(found.plan.space, pellucid.Recipe())
    shares = proposing.importance(found.plan, space, trials)
    assert shares["learning_rate"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)
    said = tune_findings.findings(found.plan, trials, space, shares, 30, "few")["importance"]
    assert [row[0] for row in said.rows] == ["learning_rate", "label_smoothing"]
    assert said.note.endswith("(fANOVA over finished trials).")
    hint = tune_findings.findings(found.plan, trials[:7], space, shares, 30, "few")["importance"]
    assert hint.note.endswith("With 7 trials this is only a hint.")


def test_a_network_that_was_built_and_settings_of_ones_own(few):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = quick(few, network, trials=1, threads=torch.get_num_threads())
    assert found.command.startswith("pellucid train DATA --epochs 2")
    with pytest.raises(UsageError, match=r"data of .* were not loaded by name"):
        resume(found.folder.path)
    with pytest.raises(UsageError, match=r"network of .* has no name to load it by"):
        resume(found.folder.path, data=few)
    assert len(resume(found.folder.path, data=few, network=network, trials=2).trials) == 2


def test_a_model_to_start_from(few, tmp_path):
    path = pellucid.train(few, "mlp", settings={"widths": [20]}, epochs=1, progress=False).save(
        tmp_path / "m.safetensors"
    )
    found = quick(few, None, start="m.safetensors", trials=1, size=8, seed=3, recipe="plain")
    assert found.command.split()[:5] == ["pellucid", "train", "DATA", "--from", str(path.resolve())]
    assert found.command.endswith("--size 8 --seed 3")
    assert "--recipe plain" in found.command
    assert len(resume(found.folder.path, data=few, trials=2).trials) == 2


@pytest.mark.parametrize("handed_over", [True, False])
def test_it_goes_on_from_the_model_that_it_began_with(few, tmp_path, monkeypatch, handed_over):
    learned = pellucid.train(few, "mlp", settings={"widths": [20]}, epochs=3, progress=False)
    path = learned.save(tmp_path / "m.safetensors")
    settings = {"trials": 3, "epochs": 1, "start": learned if handed_over else "m.safetensors"}
    straight = quick(few, "mlp", **settings)
    begun = quick(few, "mlp", **settings | {"trials": 1})
    named = (begun.folder.start if handed_over else path).resolve()
    assert f"--from {named} " in begun.command
    pellucid.train(few, "mlp", settings={"widths": [20]}, epochs=1, seed=9, progress=False).save(path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ended = resume(tmp_path / begun.folder.path, data=few, trials=3)
    assert without_times(ended.trials) == without_times(straight.trials)
    assert f"--from {named} " in ended.command


def test_the_command_says_every_setting(few):
    found = quick(
        few, "mlp", trials=1, search=["augmentation=none,flip+shift:1"], settings={"widths": [20]}, batch_size=50
    )
    space = search_space.space(found.plan.space, pellucid.Recipe())
    trial = found.trials[0].model_copy(update={"chosen": {"augmentation": "flip+shift:1"}})
    assert tune_findings.command(found.plan, trial, space) == (
        "pellucid train DATA --network mlp --set 'widths=[20]' --epochs 2 --batch-size 50 --augment flip "
        "--augment shift:1"
    )
    assert found.command.endswith("--recipe-set augmentation=none")


def test_the_command_says_a_plan_that_was_handed_over(few, monkeypatch):
    recipe = pellucid.Recipe(
        epochs=1, optimizer="sgd", learning_rate=0.12345678, momentum=0.5, tta=("shift",), augmentation=("shift:1",)
    )
    found = quick(few, "mlp", recipe=recipe, trials=1, search=["loss=none,hinge"], source="digits", epochs=1)
    words = shlex.split(found.command)
    assert words[:3] == ["pellucid", "train", "digits"]
    plans: list[ResolvedPlan] = []
    monkeypatch.setattr(trainings, "run_plan", lambda _data, plan, **_: plans.append(plan))
    monkeypatch.setattr("pellucid.cli.train._finish", lambda *_, **__: None)
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    assert ended.value.code == 0
    assert plans[0].network.network == "mlp"
    assert plans[0].recipe == recipe


def test_the_command_says_nothing_that_train_refuses(few):
    recipe = pellucid.Recipe(epochs=1, momentum=0.5, weight_decay=0.3)
    found = quick(few, "perceptron", recipe=recipe, trials=1, search=["batch_size=16,32"], epochs=1)
    assert "--epochs 1" in found.command
    assert "momentum" not in found.command and "weight_decay" not in found.command


@pytest.mark.parametrize(("chosen", "said"), [("none", "--recipe-set loss=none"), ("hinge", "--loss hinge")])
def test_the_command_says_the_networks_own_loss_as_train_takes_it(few, chosen, said):
    found = quick(few, "mlp", trials=1, search=["loss=none,hinge"])
    trial = found.trials[0].model_copy(update={"chosen": {"loss": chosen}})
    space = search_space.space(found.plan.space, pellucid.Recipe())
    assert tune_findings.command(found.plan, trial, space).endswith(f" --epochs 2 {said}")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"trials": 0}, "A search has at least one trial; given: 0."),
        ({"pruner": "median!"}, "There is no pruner named 'median!'. Did you mean 'median'?"),
        ({"learning_rate": 0.1}, "learning_rate was given, and is to be searched too. Give one of the two."),
        ({"budget": "later"}, "A budget is a time with its unit"),
    ],
)
def test_what_makes_no_sense(few, given, sentence):
    with pytest.raises(UsageError) as error:
        quick(few, **given)
    assert str(error.value).startswith(sentence)
    assert not Path("tunes").exists()


def test_hyperband(few):
    assert len(quick(few, pruner="hyperband", trials=2).trials) == 2


def test_what_is_given_is_not_searched(few):
    found = quick(few, search=(), trials=1, batch_size=64)
    assert "batch_size" not in found.plan.space
    assert "--batch-size 64" in found.command


def test_without_the_library(few, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError) as error:
        quick(few)
    assert str(error.value) == (
        'A search for settings needs optuna, which is not installed. Install it with: pip install "pellucid[tune]".'
    )


def test_folders_that_are_none_or_damaged(tmp_path):
    with pytest.raises(MissingDataError, match="is not the folder of a search"):
        resume(tmp_path)
    folder = TuneFolder(tmp_path)
    folder.plan.write_text("{", encoding="utf-8")
    folder.trials.write_text("[{}]", encoding="utf-8")
    for read in (folder.read_plan, folder.read_trials):
        with pytest.raises(pellucid.PellucidError, match="is damaged, so the search cannot be resumed"):
            read()
