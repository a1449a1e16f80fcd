from __future__ import annotations

import json
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from pellucid.cli import train as command
from pellucid.records import Model, display
from pellucid.training.callbacks import Callback

QUICK = ["--network", "logistic-regression", "--epochs", 2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_training_prints_the_findings_and_where_everything_lies(pellucid):
    done = pellucid("train", "digits", *QUICK, "--no-report")
    assert done.code == 0
    assert done.err == ""
    assert "epoch 2/2" in done.out
    assert "accuracy" in done.out.split("digits, test split")[1].lower()
    assert "n = 360" in done.out
    lines = done.out.splitlines()
    model = lines.index(f"Model   {Path('runs/digits-logistic-regression-001/model.safetensors')}")
    if find_spec("pellucid.report"):
        assert lines.index("The most confident mistakes") < model < lines.index("Scores of each class")
    run = json.loads(Path("runs/digits-logistic-regression-001/run.json").read_text(encoding="utf-8"))
    assert run["command"] == "pellucid train digits --network logistic-regression --epochs 2 --no-report"


def test_the_next_run_gets_the_next_number_and_the_same_weights(pellucid):
    for _ in range(2):
        assert pellucid("train", "digits", *QUICK, "--no-report", "--quiet").code == 0
    first, second = (Path(f"runs/digits-logistic-regression-00{i}/model.safetensors").read_bytes() for i in (1, 2))
    assert first == second


def test_json_is_the_only_thing_on_standard_output(pellucid):
    done = pellucid("train", "digits", *QUICK, "--no-report", "--json")
    assert done.findings["accuracy"]["n"] == 360
    assert "epoch 2/2" in done.err
    assert "Model   " in done.err
    written = json.loads(Path("runs/digits-logistic-regression-001/findings.json").read_text(encoding="utf-8"))
    assert written == json.loads(done.out)


def test_quiet_shows_no_progress(pellucid):
    done = pellucid("train", "digits", *QUICK, "--no-report", "--quiet", "--out", "mine")
    assert "epoch" not in done.out
    assert "Model   mine" in done.out


def test_every_option_reaches_the_training(pellucid):
    done = pellucid(
        *("train", "digits", "--network", "mlp", "--recipe", "plain", "--epochs", 1, "--batch-size", 128),
        *("--learning-rate", 0.01, "--optimizer", "sgd", "--loss", "squared-error", "--schedule", "cosine"),
        *("--augment", "shift:1", "--scaling", "symmetric", "--size", 10, "--seed", 7, "--threads", 1),
        *("--device", "cpu", "--set", "widths=[20]", "--recipe-set", "weight-decay=0.25"),
        *("--quiet", "--no-report", "--out", "mine"),
    )
    assert done.code == 0, done.err
    said = Model.load("mine").specification
    recipe = said.training["recipe"]
    expected = {
        "epochs": 1,
        "batch_size": 128,
        "learning_rate": 0.01,
        "optimizer": "sgd",
        "loss": "squared-error",
        "schedule": "cosine",
        "augmentation": ["shift:1"],
        "weight_decay": 0.25,
    }
    assert {key: recipe[key] for key in expected} == expected
    assert said.preprocessing.scaling == "symmetric"
    assert said.preprocessing.shape == (1, 10, 10)
    assert said.training["seed"] == 7
    assert said.network.settings == {"widths": [20]}


def test_training_goes_on_from_a_model(pellucid, model_file):
    done = pellucid("train", "digits", "--from", model_file, "--epochs", 1, "--quiet", "--no-report", "--out", "mine")
    assert done.code == 0, done.err
    assert Model.load("mine").specification.training["started_from"] == Model.load(model_file).sha256


def test_a_network_of_ones_own(pellucid, scans):
    Path("mynet.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, shape, classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))\n",
        encoding="utf-8",
    )
    network = ["--network", "mynet.py:Net"]
    done = pellucid("train", "digits", *network, "--epochs", 1, "--quiet", "--no-report", "--out", "mine")
    assert done.code == 0, done.err
    assert pellucid("evaluate", "mine", "digits", *network).code == 0
    assert pellucid("predict", "mine", scans, *network).code == 0


def test_a_folder_without_test_pictures_is_scored_on_validation_and_says_so(pellucid, class_folders):
    shutil.copytree(class_folders, "photos/train")
    done = pellucid("train", "photos", *QUICK, "--quiet", "--no-report")
    assert done.code == 0, done.err
    assert ", validation split" in done.out
    assert "Note: there is no test split" in done.err


def test_an_interrupted_training_says_where_the_model_is(pellucid, monkeypatch):
    """Ctrl-C after the first epoch, as the training hears of it."""

    class Impatient(Callback):
        def on_epoch(self, row: dict) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command, "_display", lambda *, as_json: Impatient())
    done = pellucid("train", "digits", "--network", "logistic-regression", "--epochs", 50, "--no-report")
    assert done.code == 130
    place = Path("runs/digits-logistic-regression-001/model.safetensors")
    assert done.sentence == (
        f"Interrupted. Kept the model of epoch 1: {place}. Resume with: pellucid train --resume {place.parent}"
    )
    assert Model.load(place).specification.training["chosen_epoch"] == 1


def test_a_training_that_was_over_before_it_was_interrupted_says_so(pellucid, monkeypatch):
    def impatient(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.workflows.train.evaluate", impatient)
        done = pellucid("train", "digits", *QUICK, "--quiet", "--no-report", "--out", "mine")
    assert done.code == 130
    assert done.sentence == (
        f"Interrupted. Kept the model, which is fully trained: {Path('mine/model.safetensors')}. "
        f"Resume with: pellucid train --resume mine"
    )
    assert "interrupted" in pellucid("runs", ".").out


def test_curves_for_tensorboard_go_into_the_run_folder(pellucid):
    done = pellucid("train", "digits", *QUICK, "--quiet", "--no-report", "--log", "tensorboard", "--log", "tensorboard")
    assert done.code == 0, done.err
    assert len(list(Path("runs/digits-logistic-regression-001/tensorboard").glob("events.out.tfevents.*"))) == 1


def test_an_unknown_log_is_refused_before_anything_is_made(pellucid):
    done = pellucid("train", "digits", *QUICK, "--log", "tensorbord")
    assert done.code == 2
    assert done.sentence == "There is no log named 'tensorbord'. Did you mean 'tensorboard'? Known: tensorboard."
    assert not Path("runs").exists()


def test_find_lr_prints_a_suggestion_and_the_curve_and_trains_nothing(pellucid):
    done = pellucid("train", "digits", "--network", "mlp", "--find-lr", "--threads", 1)
    assert done.code == 0, done.err
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "Which learning rates suit mlp on digits (training pictures alone)"
    drawn = lines[1:9]
    assert all(set(line[9:]) <= set(" ▁▂▃▄▅▆▇█") for line in drawn)
    assert any("█" in line for line in drawn)
    assert "▲" in lines[9]
    assert lines[10].split()[0] == "1e-07"
    assert lines[11].startswith("Suggested: --learning-rate 0.00")
    folder = Path("runs/digits-mlp-learning-rates-001")
    draws = display.view("figure") is not None  # the report is a capability that can be deleted
    assert (lines[-1] == f"Curve   {folder / 'learning-rates.png'}") is draws
    if draws:
        assert sorted(path.name for path in folder.iterdir()) == ["findings.json", "learning-rates.png"]
    assert list(Path("runs").glob("*")) == [folder] * draws
    assert pellucid("runs").out.strip() == "There are no runs in runs." * draws


def test_find_lr_as_json_into_a_file(pellucid):
    done = pellucid("train", "digits", "--network", "mlp", "--find-lr", "--json", "--out", "curve.png")
    found = done.findings
    assert 1e-4 < found["suggested_learning_rate"]["value"] < 0.1
    assert len(found["learning_rate_range"]["data"]["rates"]) == found["suggested_learning_rate"]["n"]
    if display.view("figure") is not None:
        assert done.err == "Curve   curve.png\n"
        assert Path("curve.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("runs").exists()


def test_find_lr_where_the_loss_falls_nowhere(pellucid):
    plan = ["--recipe-set", "momentum=0", "--optimizer", "sgd", "--recipe-set", "gradient_clip=1e-30"]
    done = pellucid("train", "digits", "--network", "mlp", "--find-lr", *plan, "--out", "curve.png")
    assert done.code == 0
    assert "The loss of mlp fell at no rate from 1e-07 to 10, so none can be suggested." in done.out
    assert "▲" not in done.out


def test_a_folder_that_is_there_is_refused_before_the_rates_are_tried(pellucid):
    Path("mine").mkdir()
    done = pellucid("train", "digits", "--network", "mlp", "--find-lr", "--out", "mine")
    assert done.sentence.startswith("mine exists already, and a run is never overwritten.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch-size", "many"], "--batch-size was given 'many', but should be a whole number of pictures, for"),
        (["--memory-limit", "2GB"], "A memory limit is for the batch size 'auto', which was not given."),
        (["--batch-size", "auto", "--memory-limit", "2"], "A memory limit is a size with its unit,"),
        (["--budget", "5"], "A budget is a time with its unit, for example 90s, 5m or 1h30m; given: '5'."),
        (["--budget", "5m", "--epochs", 2], "A budget determines the number of epochs; give one of the two"),
        (["--budget", "5m", "--find-lr"], "--find-lr does not train, so it takes no --budget and no"),
        (["--best-within", "5m", "--find-lr"], "--find-lr does not train, so it takes no --budget and no"),
        (["--log", "tensorboard", "--find-lr"], "--find-lr does not train, so it takes no --log"),
        (["--batch-size", "auto", "--find-lr"], "--find-lr takes the batch size as a number."),
        (
            ["--budget", "10s", "--seed", 0, "--resume", "runs/x"],
            "--resume continues a run with its own settings; leave out: --budget, --seed.",
        ),
    ],
)
def test_what_cannot_be_measured(pellucid, words, sentence):
    data = [] if "--resume" in words else ["digits", "--network", "mlp"]
    done = pellucid("train", *data, *words)
    assert done.code == 2
    assert done.sentence.startswith(sentence)
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["train", "tune"])
@pytest.mark.parametrize("words", [["caf\udce9"], ["digits", "--out", "caf\udce9"]])
def test_a_name_that_is_no_text_is_refused(pellucid, command, words):
    done = pellucid(command, *words, "--network", "mlp")
    assert done.code == 2
    assert done.sentence.startswith("The name caf\\x")
    assert "is not UTF-8, and the files of a training are written in UTF-8. Rename it" in done.sentence
    assert not any(Path().iterdir())


def test_a_budget_on_the_command_line(pellucid, monkeypatch):
    monkeypatch.setattr("pellucid.training.budget.epochs_within", lambda *_: (2, "2 epochs fit into 5 min"))
    done = pellucid("train", "digits", "--network", "logistic-regression", "--budget", "5m", "--no-report")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "2 epochs fit into 5 min"
    assert "epoch 2/2" in done.out


def test_augmentation_in_one_word_of_the_plan(pellucid):
    words = ["--recipe-set", "augmentation=flip,shift:1", "--epochs", 1, "--quiet", "--no-report", "--out", "mine"]
    assert pellucid("train", "digits", "--network", "logistic-regression", *words).code == 0
    assert Model.load("mine").specification.training["recipe"]["augmentation"] == ["flip", "shift:1"]
