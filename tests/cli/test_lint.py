from __future__ import annotations

import pytest

from pellucid.cli import lint as command
from pellucid.lint import RULES

SCRIPT = """
from torch import nn
model = nn.Sequential(nn.Linear(9, 9), nn.Dropout(0.5))
for x, y in train_loader:
    loss_of(model(x), y).backward()
    optimizer.step()
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_healthy_network_ends_with_0(pellucid):
    done = pellucid("lint", "lenet5")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("lenet5, pictures of 1×28×28, 10 classes: no problems found. ")


def test_what_is_only_mentioned_ends_with_0(pellucid):
    done = pellucid("lint", "deep-convnet")
    assert done.code == 0
    lines = done.out.splitlines()
    assert "4 infos" in lines[0]
    assert "info  dropout-before-batch-norm" in lines
    places = [line for line in lines if "→" in line]
    assert places[1:] == [
        "  features.3 (dropout 0.1) → features.6 (batch norm)",
        "  features.8 (dropout 0.1) → features.11 (batch norm)",
        "  features.13 (dropout 0.1) → features.16 (batch norm)",
    ]
    assert len([line for line in lines if line.startswith("  why")]) == 2  # said once, for all places


def test_a_warning_ends_with_1(pellucid, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    done = pellucid("lint", "train.py")
    assert done.code == 1
    assert done.err == ""
    assert done.out.startswith("train.py: 1 warning. ")
    assert "  train.py:5\n  why   backward() adds to the existing gradients" in done.out
    found = pellucid("lint", "train.py", "--json")
    assert found.code == 1
    assert found.findings["warnings"]["value"] == 1
    assert found.findings["flaws"]["rows"][0][:3] == ["warning", "missing-zero-grad", "train.py:5"]


def test_a_model_file_and_a_run_folder(pellucid, model_file):
    assert pellucid("lint", model_file).code == 0
    assert "logistic-regression, pictures of 1×8×8, 10 classes: no problems found" in pellucid("lint", model_file).out


def test_shape_and_classes_are_taken(pellucid):
    assert pellucid("lint", "mlp", "--shape", "3x8X8", "--classes", 2).out.startswith(
        "mlp, pictures of 3×8×8, 2 classes"
    )


def test_the_rules_are_listed(pellucid):
    assert [line.split()[0] for line in pellucid("lint", "--rules").out.splitlines()[1:]] == list(RULES)
    assert [row[0] for row in pellucid("lint", "--rules", "--json").findings["rules"]["rows"]] == list(RULES)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Lint what? Give a network or a script: pellucid lint lenet5. --rules lists the rules."),
        (["lenet"], 2, "Did you mean 'lenet5'?"),
        (["lenet5", "--shape", "28"], 2, "--shape is '28', but should be channels, height and width"),
        (["lenet5", "--shape", "1,a,3"], 2, "for example --shape 3,64,64."),
        (["lenet5", "--shape", "1,0,3"], 2, "--shape is '1,0,3'"),
        (["convnet", "--shape", "1,2,2"], 1, "convnet"),
        (["none.py"], 1, "There is no file none.py."),
        (["none/model.safetensors"], 1, "none/model.safetensors does not exist"),
        (["train.py", "--object", "3"], 2, "--object is for networks, and train.py is a script."),
    ],
)
def test_mistakes_get_a_sentence(pellucid, arguments, code, said):
    done = pellucid("lint", *arguments)
    assert done.code == code
    assert said in done.sentence


def test_a_terminal_gets_lines_that_fit(monkeypatch):
    monkeypatch.setattr(command.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    lines = command._paragraph("why   ", "word " * 30)
    assert len(lines) > 2
    assert all(len(line) <= 50 for line in lines)
    assert all(line.startswith("        ") for line in lines[1:])


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(command.sys.stderr, "isatty", lambda: True, raising=False)
    with command._progress() as progress:
        progress(1, 4, "its outputs")
