from __future__ import annotations

import json
from pathlib import Path

import pytest

from pellucid.workflows import tune as workflow

QUICK = ["--network", "logistic-regression", "--epochs", 1, "--trials", 2, "--search", "learning_rate=1e-4..1e-1"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_search_is_printed_and_ends_with_the_command(pellucid):
    done = pellucid("tune", "digits", *QUICK)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"2 trials, in {Path('tunes/digits-logistic-regression-001')}"
    assert lines[1].startswith("trial 1/2 ")
    assert lines[1].endswith("learning_rate=0.002")
    assert lines[2].startswith("trial 2/2 ")
    assert "digits, validation split: search of learning_rate" in lines
    assert lines[-2].startswith(
        "Train so  pellucid train digits --network logistic-regression --epochs 1 --learning-rate 0."
    )
    assert lines[-1] == f"Search    {Path('tunes/digits-logistic-regression-001')}"
    assert done.out.count("pellucid train digits") == 1


def test_json_and_going_on(pellucid):
    done = pellucid("tune", "digits", *QUICK, "--json", "--out", "mine", "--threads", 1)
    found = done.findings
    assert len(found["trials"]["rows"]) == 2
    assert found["command"]["rows"][0][0] in done.err
    assert "trial 2/2" in done.err
    more = pellucid("tune", "--resume", "mine", "--trials", 3, "--quiet")
    assert more.code == 0, more.err
    assert "trial 1/" not in more.out
    assert len(json.loads(Path("mine/trials.json").read_text(encoding="utf-8"))) == 3
    assert pellucid("tune", "digits", *QUICK, "--out", "mine").sentence.startswith("mine exists already")


def test_an_interrupted_search_says_how_to_go_on(pellucid, monkeypatch):
    original = workflow.learn

    def interrupted(*arguments: object, **more: object) -> object:
        if len(
            json.loads(Path("mine/trials.json").read_text(encoding="utf-8"))
            if Path("mine/trials.json").exists()
            else []
        ):
            raise KeyboardInterrupt
        return original(*arguments, **more)

    monkeypatch.setattr(workflow, "learn", interrupted)
    done = pellucid("tune", "digits", *QUICK, "--quiet", "--out", "mine")
    assert done.code == 130
    assert done.sentence == "Interrupted after 1 of 2 trials. Resume with: pellucid tune --resume mine"
    assert "Train so  pellucid train" in done.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Which data? Give a name (`pellucid datasets` lists them) or a folder of class folders."),
        (["digits", "--network", "lenet"], "There is no network named 'lenet'. Did you mean 'lenet5'?"),
        (["digits", "--network", "mlp", "--budget", "5"], "A budget is a time with its unit,"),
        (["digits", "--network", "mlp", "--recipe-set", "epoch=3"], "There is no training setting named 'epoch'."),
        (
            ["digits", "--network", "mlp", "--search", "keep=best,last"],
            "keep is not searched: it decides which epoch counts.",
        ),
        (["digits", "--network", "mlp", "--search", "batch_size=8"], "The search of batch_size was given as '8',"),
        (["digits", "--network", "mlp", "--pruner", "no"], "There is no pruner named 'no'."),
        (
            ["digits", "--resume", "tunes/x", "--pruner", "none"],
            "--resume continues a search with its own settings; leave out: DATA, --pruner.",
        ),
        (
            ["--resume", "tunes/x"],
            f"{Path('tunes/x')} is not the folder of a search. `pellucid tune` makes them, in tunes/.",
        ),
    ],
)
def test_mistakes(pellucid, words, sentence):
    done = pellucid("tune", *words)
    assert done.code in (1, 2)
    assert done.sentence.startswith(sentence)
    assert not Path("tunes").exists()


def test_which_network(pellucid):
    assert pellucid("tune", "digits").sentence.startswith("Which network? Give --network NAME")
