"""What can be given to lint, and the table of rules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pellucid.errors import MissingDataError, ModelFileError, UnknownNameError, UsageError
from pellucid.inference.building import weights_of
from pellucid.lint import RULES, lint, linting
from pellucid.lint.registry import LEVELS
from pellucid.networks.catalogue import create
from pellucid.records import Findings, Model
from pellucid.records.model import NetworkSpecification, Preprocessing, Specification

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        size = shape[0] * shape[1] * shape[2]
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(size, 30), nn.Linear(30, classes))

    def forward(self, x):
        return self.layers(x)

class Fixed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3072, 30), nn.ReLU(), nn.Linear(30, 7))

class Never(nn.Module):
    def forward(self, x):
        raise ValueError("never")
"""


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return tmp_path / "net.py"


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    network = create("lenet5", (1, 28, 28), 10)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    preprocessing = Preprocessing(channels=1, height=28, width=28)
    specification = Specification(
        network=NetworkSpecification(name="lenet5"),
        classes=tuple(str(i) for i in range(10)),
        preprocessing=preprocessing,
    )
    return Model(specification, weights_of(network))


def rules_of(found: Findings) -> list[str]:
    return [row[1] for row in found["flaws"].rows]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_said_in_full_and_tested(name):
    rule = RULES[name]
    assert rule.level in LEVELS
    assert (rule.load().__doc__ or "").endswith(("\n    ", "."))
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert f'"{name}"' in tests
    assert f"| `{name}` |" in (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")


def test_the_rules_are_listed_without_torch():
    program = "import sys; from pellucid.lint import linting; linting.rules(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert [row[0] for row in linting.rules()["rules"].rows] == list(RULES)


def test_a_script_is_read_without_torch_and_never_run(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nimport torch\n", encoding="utf-8")
    program = (
        "import sys; from pellucid.lint import lint; found = lint(sys.argv[1]); "
        "sys.exit('torch' in sys.modules or len(found['flaws'].rows))"
    )
    subprocess.run([sys.executable, "-c", program, str(script)], check=True)
    assert not (tmp_path / "ran").exists()


def test_a_script_names_the_networks_in_it(file):
    note = lint(file)["flaws"].note
    assert note == f"9 script rules were checked. To lint a network in it: `pellucid lint {file}:Net`."


def test_a_network_of_a_file(file):
    found = lint(f"{file}:Net")
    assert rules_of(found) == ["nothing-between"]
    assert found.title == f"{file}:Net, pictures of 1×28×28, 10 classes"
    assert found["flaws"].rows[0][2] == "layers.1 (dense) → layers.2 (dense)"
    assert Findings.from_json(found.to_json()) == found
    assert rules_of(lint(f"{file}:Fixed")) == []
    assert rules_of(lint(f"{file}:Fixed", classes=7)) == []
    assert rules_of(lint(f"{file}:Fixed", classes=10)) == ["output-count"]
    assert lint(f"{file}:Net", shape=(3, 8, 8), classes=4).title.endswith("3×8×8, 4 classes")
    with pytest.raises(UsageError, match="'Never' does not run on any of the usual input shapes"):
        lint(f"{file}:Never")


def test_a_model_and_its_file(model, tmp_path):
    path = model.save(tmp_path / "model.safetensors")
    for target in (model, path, str(path)):
        # Its weights are learned ones: that they are all 0 is not how it began.
        assert "initial-variance" not in rules_of(lint(target))
    assert lint(path).title == "lenet5, pictures of 1×28×28, 10 classes"
    with pytest.raises(UsageError) as error:
        lint(path, classes=3)
    assert str(error.value) == "--classes is for networks by name; a model file has its own. Leave it out."
    with pytest.raises(UsageError, match="--shape is for networks by name"):
        lint(path, shape=(1, 8, 8))
    with pytest.raises(ModelFileError):
        lint(path, network=create("mlp", (1, 28, 28), 10))


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("lenet", UnknownNameError, "Did you mean 'lenet5'?"),
        (
            "runs/none",
            MissingDataError,
            "runs/none does not exist. Give a model file, a run folder or a script.",
        ),
        ("model.safetensors", MissingDataError, "model.safetensors does not exist"),
        ("none.py:Net", MissingDataError, "There is no file none.py"),
    ],
)
def test_what_is_not_there_is_said(target, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        lint(target)
    assert said in str(raised.value)


def test_an_option_for_models_is_refused_for_names():
    with pytest.raises(UsageError) as error:
        lint("lenet5", network="net.py:Net")
    assert str(error.value) == "--network is for a model file, and 'lenet5' is not one. Leave it out."


def test_how_large_the_object_is_can_be_said():
    assert rules_of(lint("resnet20", object_size=400)) == ["small-receptive-field"]


def test_the_examples_of_the_rules_are_python():
    # Each fault of the tables is a script that could be run: a rule must not live on broken syntax.
    import importlib.util

    path = Path(__file__).with_name("test_scripts.py")
    specification = importlib.util.spec_from_file_location("planted", path)
    planted = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(planted)
    for _, style, old, new in planted.PLANTED:
        ast.parse(planted.HEALTHY[style].replace(old, new, 1))
