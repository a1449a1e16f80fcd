"""`import pellucid`, `--help`, listings and errors in arguments import nothing heavy."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import pellucid
from pellucid.cli.commands import COMMANDS

HEAVY = ("torch", "matplotlib", "scipy", "sklearn", "pyarrow", "PIL", "jinja2", "IPython", "timm", "torchvision")

RUN = """
import json, sys
{statement}
try:
    {call}
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
print("\\n" + json.dumps([code, sorted(name for name in sys.modules if "." not in name)]))
"""


def imported(statement: str, call: str = "pass") -> tuple[int, set[str]]:
    """Runs `call` in a fresh Python: its exit code, and the modules that it imported."""
    script = RUN.format(statement=statement, call=call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, encoding="utf-8")
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


def test_importing_pellucid_imports_nothing_heavy():
    _, modules = imported("import pellucid")
    assert "pellucid" in modules
    assert not modules & {*HEAVY, "numpy", "typer", "rich"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "-h"]])
def test_help_imports_nothing_heavy(arguments):
    code, modules = imported("from pellucid.cli import main", f"main({arguments!r})")
    assert code == 0
    assert "typer" in modules
    assert not modules & {*HEAVY, "numpy"}


@pytest.mark.parametrize("command", ["datasets", "networks"])
def test_listings_import_nothing_heavy(command):
    code, modules = imported("from pellucid.cli import main", f"main([{command!r}])")
    assert code == 0
    assert not modules & set(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ["trian", "digits"],
        ["train", "digits", "--network", "convnt"],
        ["train", "digts", "--network", "convnet"],
        ["train", "digits", "--network", "convnet", "--epochs", "-1"],
        ["train", "digits", "--network", "convnet", "--recipe", "defalt"],
        ["predict", "no-such-model.safetensors", "x.png"],
        ["train", "digits", "--network", "convnet", "--augment", "flipp"],
        ["train", "digits", "--network", "convnet", "--augment", "rotate:x"],
        ["train", "digits", "--network", "convnet", "--optimizer", "adm"],
        ["train", "digits", "--network", "convnet", "--schedule", "cosin"],
        ["train", "digits", "--network", "convnet", "--loss", "hing"],
        ["train", "digits", "--network", "convnet", "--recipe-set", "initialisation=normal"],
        ["train", "digits", "--network", "convnet", "--recipe-set", "lr=0.1"],
        ["train", "digits", "--network", "convnet", "--device", "gpu"],
        ["train", "digits", "--network", "convnet", "--device", "mps" if sys.platform != "darwin" else "cuda"],
        ["train", "digits", "--network", "convnet", "--from", "no-such-model.safetensors"],
        ["train", "digits", "--network", "no-such-file.py:Net"],
        ["train", "digits", "--network", "convnet", "--out", "."],
        ["tune", "digits", "--network", "convnet", "--out", "."],
        ["tune", "digits", "--network", "convnet", "--pruner", "hyperbad"],
        ["tune", "digits", "--network", "convnet", "--search", "learning_rate=2..1"],
    ],
)
def test_mistakes_in_arguments_are_reported_before_anything_heavy_is_imported(arguments):
    code, modules = imported("from pellucid.cli import main", f"main({arguments!r})")
    assert code in (1, 2)
    assert not modules & set(HEAVY)


def test_every_public_name_can_be_loaded():
    for name in pellucid.__all__:
        assert getattr(pellucid, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Modle'"):
        _ = pellucid.Modle


def test_the_namespace_holds_public_names_and_subpackages_alone():
    script = "import json, pellucid; print(json.dumps([name for name in vars(pellucid) if name[0] != '_']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) <= {*pellucid.__all__, "version"}


def test_commands_exist_in_python():
    for command in {"check", "compare", "evaluate", "inspect", "predict", "show", "train"} & set(COMMANDS):
        assert command in pellucid.__all__
        assert getattr(pellucid, command).__doc__


def test_dir_shows_the_public_names_alone():
    importlib.import_module("pellucid.cli.app")
    importlib.import_module("pellucid.records.model")
    assert dir(pellucid) == sorted(pellucid.__all__)
    assert set(pellucid.__all__) == {*pellucid._PUBLIC, "__version__"}
