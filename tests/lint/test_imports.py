"""A script's imports of files beside it: followed, never run, within bounds; findings name the right file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pellucid.lint import lint
from pellucid.lint.scripts import modules
from pellucid.lint.scripts.script import read

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 100)
        self.drop = nn.Dropout(0.5)
        self.scores = nn.Linear(100, 10)

    def forward(self, x):
        return self.scores(self.drop(self.hidden(x.flatten(1)).relu()))
"""

DATA = """
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

TRAIN = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
HELD = datasets.MNIST("data", train=False, transform=transforms.ToTensor())


def loaders(size=64):
    return DataLoader(TRAIN, batch_size=size, shuffle=True), DataLoader(HELD, batch_size=size)
"""

ENGINE = """
import torch


def learn(network, batches, optimizer, loss_of):
    network.train()
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_of(network(x), y)
        loss.backward()
        optimizer.step()


def score(network, batches):
    network.eval()
    right = 0
    with torch.no_grad():
        for x, y in batches:
            right += (network(x).argmax(1) == y).sum().item()
    return right
"""

SCRIPT = """
import torch
from torch import nn

from data import loaders
from engine import learn, score
from models.net import Net

train_loader, test_loader = loaders()
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    learn(model, train_loader, optimizer, nn.CrossEntropyLoss())
print(score(model, test_loader))
"""

FILES = {"train.py": SCRIPT, "data.py": DATA, "engine.py": ENGINE, "models/__init__.py": "", "models/net.py": NET}


def lay_out(folder: Path, **changed: str) -> Path:
    """The files, some of them changed: `engine=text`."""
    names = {name.rpartition("/")[2].removesuffix(".py"): name for name in FILES if not name.endswith("__init__.py")}
    files = FILES | {names.get(name, f"{name}.py"): text for name, text in changed.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "train.py"


def found(path: Path) -> list[tuple[str, str]]:
    return [(row[1], row[2]) for row in lint(path)["flaws"].rows]


def test_a_healthy_project_has_no_flaw_and_says_what_was_read(tmp_path):
    script = lay_out(tmp_path)
    findings = lint(script)
    assert findings["flaws"].rows == ()
    note = findings["flaws"].note
    assert "Imported files that were read: data.py, engine.py, models/net.py, models/__init__.py." in note or (
        "Imported files that were read: data.py, engine.py, models/net.py." in note
    )
    assert f"`pellucid lint {tmp_path / 'models/net.py'}:Net`" in note


_UNGUARDED = ENGINE.replace(
    "    with torch.no_grad():\n        for x, y in batches:\n    ", "    for x, y in batches:\n"
)
_SOFT = NET.replace("return ", "return nn.functional.softmax(").replace(".relu()))", ".relu())), dim=1)")
_KEEPS = "    right = score(model, test_loader)\n    if right > best:\n        best = right"


@pytest.mark.parametrize(
    ("rule", "location", "changed"),
    [
        ("missing-zero-grad", "engine.py:9", {"engine": ENGINE.replace("        optimizer.zero_grad()\n", "")}),
        ("missing-eval", "engine.py:18", {"engine": ENGINE.replace("    network.eval()\n", "")}),
        ("missing-no-grad", "engine.py:18", {"engine": _UNGUARDED}),
        ("no-shuffle", "data.py:10", {"data": DATA.replace(", shuffle=True", "")}),
        ("softmax-before-cross-entropy", "engine.py:9", {"net": _SOFT}),
        ("trains-on-test", "engine.py:7", {"train": SCRIPT.replace("model, train_loader", "model, test_loader")}),
        ("test-data-chooses", "train.py:15", {"train": SCRIPT.replace("print(score(model, test_loader))", _KEEPS)}),
    ],
)
def test_a_fault_in_a_file_that_is_imported_is_found_with_its_file_and_line(tmp_path, rule, location, changed):
    assert found(lay_out(tmp_path, **changed)) == [(rule, location)]


WAYS = {
    "a module": SCRIPT.replace("from engine import learn, score", "import engine")
    .replace("learn(model, ", "engine.learn(model, ")
    .replace("score(model", "engine.score(model"),
    "a module by another name": SCRIPT.replace("from engine import learn, score", "import engine as e")
    .replace("learn(model, ", "e.learn(model, ")
    .replace("score(model", "e.score(model"),
    "other names": SCRIPT.replace("import learn, score", "import learn as fit, score as rate")
    .replace("learn(model, ", "fit(model, ")
    .replace("score(model", "rate(model"),
    "everything": SCRIPT.replace("from engine import learn, score", "from engine import *"),
    "within a function": SCRIPT.replace("from engine import learn, score\n", "").replace(
        "for epoch", "from engine import learn, score\nfor epoch"
    ),
    "a package's dotted name": SCRIPT.replace("from models.net import Net", "import models.net").replace(
        "Net()", "models.net.Net()"
    ),
    "a network by another name": SCRIPT.replace("import Net", "import Net as Digits").replace("Net()", "Digits()"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_importing_is_followed(tmp_path, way):
    healthy = lay_out(tmp_path / "healthy", train=WAYS[way])
    assert found(healthy) == []
    faulty = lay_out(tmp_path / "faulty", train=WAYS[way], engine=ENGINE.replace("    network.eval()\n", ""))
    assert found(faulty) == [("missing-eval", "engine.py:18")]


def test_a_package_hands_on_what_its_files_define(tmp_path):
    script = lay_out(
        tmp_path,
        train=SCRIPT.replace("from models.net import Net", "from models import Net"),
        net=NET.replace("import nn\n", "import nn\n\nfrom .size import HIDDEN\n").replace("100", "HIDDEN"),
        engine=ENGINE.replace("    network.eval()\n", ""),
    )
    (tmp_path / "models/__init__.py").write_text("from .net import Net\n")
    (tmp_path / "models/size.py").write_text("HIDDEN = 100\n")
    assert found(script) == [("missing-eval", "engine.py:18")]
    names = [one.name for one in read(script).source.modules]
    assert set(names) == {"train.py", "data.py", "engine.py", "models/__init__.py", "models/net.py", "models/size.py"}


def test_what_a_file_does_when_it_is_imported_counts_and_what_it_does_as_a_script_does_not(tmp_path):
    made = DATA + "\n\ntrain_batches = DataLoader(TRAIN)\nheld_back = DataLoader(HELD)\n"
    script = lay_out(
        tmp_path,
        data=made,
        train=SCRIPT.replace("import loaders", "import held_back, train_batches")
        .replace("train_loader, test_loader = loaders()\n", "")
        .replace("train_loader", "train_batches")
        .replace("test_loader", "held_back"),
    )
    assert found(script) == [("no-shuffle", "data.py:13")]
    # What follows `if __name__ == "__main__":` in an imported file is never reached.
    tried = ENGINE + '\n\nif __name__ == "__main__":\n    model = object()\n    for x in test_loader:\n        '
    tried += "model(x).backward()\n"
    assert found(lay_out(tmp_path / "more", engine=tried)) == []
    # And what nobody calls is not looked at either, as it may be another program's.
    idle = ENGINE + "\n\ndef idle(network, test_loader):\n    for x in test_loader:\n        network(x).backward()\n"
    assert found(lay_out(tmp_path / "idle", engine=idle)) == []


def test_equal_names_in_two_files_are_told_apart(tmp_path):
    # The script's own `prepare` does nothing; that of the engine switches modes, and is the one that is called there.
    engine = ENGINE.replace("    network.eval()", "    prepare(network)")
    engine += "\n\ndef prepare(network):\n    network.eval()\n"
    script = SCRIPT.replace("train_loader, test", "def prepare(network):\n    pass\n\n\ntrain_loader, test")
    assert found(lay_out(tmp_path / "right", engine=engine, train=script)) == []
    engine = engine.replace("\n    network.eval()", "\n    pass")
    script = script.replace("\n    pass", "\n    network.eval()")
    assert found(lay_out(tmp_path / "wrong", engine=engine, train=script)) == [("missing-eval", "engine.py:19")]
    names = ("loader = DataLoader(range(3))", "loader = DataLoader(range(3), shuffle=True)")
    # Loaders on the same line of two files are two loaders.
    (tmp_path / "one.py").write_text(f"from torch.utils.data import DataLoader\n{names[1]}\n")
    (tmp_path / "two.py").write_text(f"from torch.utils.data import DataLoader\n{names[0]}\n")
    (tmp_path / "go.py").write_text(
        "import torch\nfrom one import loader as first\nfrom two import loader as second\n"
        "for x in first:\n    x.backward()\nfor x in second:\n    x.backward()\n"
    )
    assert found(tmp_path / "go.py") == [("no-shuffle", "two.py:2")]


def test_circles_end(tmp_path):
    (tmp_path / "a.py").write_text("from b import f\nimport train\ndef g(x):\n    return f(x)\n")
    (tmp_path / "b.py").write_text("from a import g\nfrom b import f\ndef f(x):\n    return g(x)\n")
    (tmp_path / "train.py").write_text("import torch\nfrom a import g\nfrom b import nothing\ng(1)\nnothing(2)\n")
    assert found(tmp_path / "train.py") == []
    assert [one.name for one in read(tmp_path / "train.py").source.modules] == ["train.py", "a.py", "b.py"]


def test_bounds_hold_and_what_is_left_out_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(modules, "FILES", 3)
    monkeypatch.setattr(modules, "SIZE", 500_000)
    (tmp_path / "large.py").write_text("x = 1\n" * 100_000)
    (tmp_path / "broken.py").write_text("def f(:\n")
    for i in range(5):
        (tmp_path / f"m{i}.py").write_text("")
    names = ["large", "broken", *(f"m{i}" for i in range(5))]
    (tmp_path / "train.py").write_text("".join(f"import {name}\n" for name in names))
    note = lint(tmp_path / "train.py")["flaws"].note
    assert "Imported files that were read: m0.py, m1.py, m2.py." in note
    assert "'large.py' is imported but was not read: it is larger than 500 kB." in note
    assert "'broken.py' is imported but was not read: it cannot be read as Python (line 1: invalid syntax)." in (note)
    assert "'m3.py' is imported but was not read: 3 files were already read." in note
    deep = tmp_path / "deep"
    deep.mkdir()
    for i in range(9):
        (deep / f"d{i}.py").write_text(f"import d{i + 1}\n")
    (deep / "train.py").write_text("import d0\n")
    monkeypatch.setattr(modules, "FILES", 40)
    note = lint(deep / "train.py")["flaws"].note
    assert "Imported files that were read: d0.py, d1.py, d2.py, d3.py, d4.py, d5.py." in note
    assert "'d6.py' is imported but was not read: it is more than 6 imports away from the script." in note


def test_nothing_outside_the_folder_is_read_and_nothing_is_run(tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    inside = tmp_path / "project"
    (inside / "package").mkdir(parents=True)
    (inside / "package/__init__.py").write_text("from ...outside import x\nfrom .... import outside\n")
    (inside / "link.py").symlink_to(outside)
    shutil.copy(outside, inside / "beside.py")
    (inside / "train.py").write_text("import torch, os, package, link, beside\nfrom .. import outside\n")
    assert [one.name for one in read(inside / "train.py").source.modules] == [
        "train.py",
        "package/__init__.py",
        "beside.py",
    ]
    assert found(inside / "train.py") == []
    assert not (tmp_path / "ran").exists()


def test_names_of_a_file_reach_its_functions_after_a_branch(tmp_path):
    # What is set after an `if` at the top is seen by functions that are called later.
    (tmp_path / "train.py").write_text(
        "import sys\nimport torch\nfrom torch.utils.data import DataLoader\n"
        "if len(sys.argv) > 1:\n    rate = 0.1\n"
        "batches = DataLoader(range(3))\n\n\n"
        "def learn():\n    for x in batches:\n        x.backward()\n\n\nlearn()\n"
    )
    assert found(tmp_path / "train.py") == [("no-shuffle", "train.py:6")]
