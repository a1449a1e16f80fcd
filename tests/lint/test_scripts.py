"""Rules for scripts: each finds its fault planted in three styles of script, and nothing in the healthy ones."""

# One planted fault is one line of the tables below, however long.
# ruff: noqa: E501

from __future__ import annotations

import json
import textwrap

import pytest

from pellucid.errors import FormatError, MissingDataError, UsageError
from pellucid.lint import RULES, lint

FLAT = """
import torch
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchvision import datasets, transforms

train_data = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
test_data = datasets.MNIST("data", train=False, transform=transforms.ToTensor())
train_data, val_data = random_split(train_data, [50_000, 10_000])
train_loader = DataLoader(train_data, batch_size=64, shuffle=True)
val_loader = DataLoader(val_data, batch_size=256)
test_loader = DataLoader(test_data, batch_size=256)

model = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters())
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
best_accuracy = 0.0
for epoch in range(10):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
    model.eval()
    correct, total_loss = 0, 0.0
    with torch.no_grad():
        for images, labels in val_loader:
            outputs = model(images)
            total_loss += criterion(outputs, labels).item()
            correct += (outputs.argmax(dim=1) == labels).sum().item()
    accuracy = correct / len(val_data)
    scheduler.step(total_loss)
    if accuracy > best_accuracy:
        best_accuracy = accuracy
        torch.save(model.state_dict(), "best.pt")
model.load_state_dict(torch.load("best.pt"))
correct = 0
with torch.no_grad():
    for images, labels in test_loader:
        correct += (model(images).argmax(dim=1) == labels).sum().item()
print(correct / len(test_data))
"""

FUNCTIONS = """
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.preprocessing import StandardScaler
from torch import nn, optim
from torch.utils import data

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = x.mean(dim=(2, 3))
        return self.fc(x)

def prepare(x_train, x_test):
    scaler = StandardScaler()
    x_train = scaler.fit_transform(x_train)
    x_test = scaler.transform(x_test)
    return x_train, x_test

def loader_of(x, y, shuffle):
    return data.DataLoader(data.TensorDataset(x, y), batch_size=32, shuffle=shuffle)

def train_epoch(net, loader, opt):
    net.train()
    for x, y in loader:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()

def accuracy(net, loader):
    net.eval()
    right = n = 0
    with torch.no_grad():
        for x, y in loader:
            right += (net(x).argmax(1) == y).sum()
            n += len(y)
    return right / n

def fit(net, train, held_out, opt, epochs):
    best, wait = 0, 0
    for epoch in range(epochs):
        train_epoch(net, train, opt)
        score = accuracy(net, held_out)
        if score > best:
            best, wait = score, 0
        else:
            wait += 1
        if wait > 5:
            break

def main():
    x_train, y_train, x_val, y_val, x_test, y_test = np.load("all.npz").values()
    x_train, x_test = prepare(x_train, x_test)
    net = Net()
    opt = optim.SGD(net.parameters(), lr=0.1)
    fit(net, loader_of(x_train, y_train, True), loader_of(x_val, y_val, False), opt, 20)
    print(accuracy(net, loader_of(x_test, y_test, False)))

if __name__ == "__main__":
    main()
"""

TRAINER = """
import copy
import torch
import torch.nn as nn
import torchvision
from torch.utils.data import DataLoader

class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.ModuleList([
            nn.Flatten(),
            nn.Linear(3072, 256),
            nn.BatchNorm1d(256),
            nn.ReLU(),
            nn.Linear(256, classes),
        ])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

class Trainer:
    def __init__(self, model, train_set, val_set):
        self.model = model
        self.train_loader = DataLoader(train_set, 64, shuffle=True)
        self.val_loader = DataLoader(val_set, 64)
        self.loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.best = (0, None)

    def step(self, batch):
        inputs, targets = batch
        self.optimizer.zero_grad()
        logits = self.model(inputs)
        loss = self.loss_fn(logits, targets)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def epoch(self):
        self.model.train()
        for batch in self.train_loader:
            self.step(batch)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        hits = 0
        for inputs, targets in loader:
            hits += (self.model(inputs).argmax(-1) == targets).sum().item()
        return hits / len(loader.dataset)

    def run(self, epochs):
        for _ in range(epochs):
            self.epoch()
            found = self.evaluate(self.val_loader)
            if found > self.best[0]:
                self.best = (found, copy.deepcopy(self.model.state_dict()))

train_images = torch.load("train.pt")
mean, std = train_images.mean(), train_images.std()
transform = torchvision.transforms.Normalize(mean, std)
train_set = torchvision.datasets.CIFAR10(".", train=True, transform=transform)
test_set = torchvision.datasets.CIFAR10(".", train=False, transform=transform)
train_set, val_set = torch.utils.data.random_split(train_set, [45_000, 5_000])
trainer = Trainer(Classifier(10), train_set, val_set)
trainer.run(10)
print(trainer.evaluate(DataLoader(test_set, 64)))
"""

HEALTHY = {"flat": FLAT, "functions": FUNCTIONS, "trainer": TRAINER}

# Rule, style, what is replaced, by what. An empty replacement takes the line out.
PLANTED = [
    ("no-shuffle", "flat", "batch_size=64, shuffle=True", "batch_size=64"),
    ("no-shuffle", "functions", "loader_of(x_train, y_train, True)", "loader_of(x_train, y_train, False)"),
    ("no-shuffle", "functions", ", shuffle=shuffle", ""),
    ("no-shuffle", "trainer", "train_set, 64, shuffle=True", "train_set, 64, shuffle=False"),
    ("trains-on-test", "flat", "for images, labels in train_loader", "for images, labels in test_loader"),
    ("trains-on-test", "functions", "loader_of(x_train, y_train, True)", "loader_of(x_test, y_test, True)"),
    ("trains-on-test", "trainer", "Trainer(Classifier(10), train_set", "Trainer(Classifier(10), test_set"),
    ("missing-zero-grad", "flat", "        optimizer.zero_grad()\n", ""),
    ("missing-zero-grad", "functions", "        opt.zero_grad()\n", ""),
    ("missing-zero-grad", "trainer", "        self.optimizer.zero_grad()\n", ""),
    ("missing-zero-grad", "flat", "        loss.backward()\n", "        loss.backward()\n        optimizer.zero_grad()\n"),
    ("missing-eval", "flat", "    model.eval()\n", ""),
    ("missing-eval", "functions", "    net.eval()\n", ""),
    ("missing-eval", "trainer", "        self.model.eval()\n", ""),
    ("missing-train", "flat", "    model.train()\n", ""),
    ("missing-train", "functions", "    net.train()\n", ""),
    ("missing-train", "trainer", "        self.model.train()\n", ""),
    ("missing-no-grad", "flat", "    with torch.no_grad():\n        for images, labels in val_loader", "    if True:\n        for images, labels in val_loader"),
    ("missing-no-grad", "functions", "with torch.no_grad():", "if True:"),
    ("missing-no-grad", "trainer", "    @torch.no_grad()\n", ""),
    ("test-data-chooses", "flat", "in val_loader", "in test_loader"),
    ("test-data-chooses", "flat", "val_loader = DataLoader(val_data", "val_loader = DataLoader(test_data"),
    ("test-data-chooses", "functions", "loader_of(x_val, y_val, False)", "loader_of(x_test, y_test, False)"),
    ("test-data-chooses", "trainer", "Trainer(Classifier(10), train_set, val_set)", "Trainer(Classifier(10), train_set, test_set)"),
    ("normalised-on-test", "flat", "model = nn", "test_data.data = (test_data.data - test_data.data.mean()) / test_data.data.std()\nmodel = nn"),
    ("normalised-on-test", "functions", "scaler.transform(x_test)", "scaler.fit_transform(x_test)"),
    ("normalised-on-test", "trainer", 'train_images = torch.load("train.pt")', 'train_images = torch.cat([torch.load("train.pt"), torch.load("data/test.pt")])'),
    ("softmax-before-cross-entropy", "flat", "nn.Linear(100, 10))", "nn.Linear(100, 10), nn.Softmax(dim=1))"),
    ("softmax-before-cross-entropy", "flat", "outputs = model(images)\n        loss", "outputs = model(images).softmax(dim=1)\n        loss"),
    ("softmax-before-cross-entropy", "functions", "return self.fc(x)", "return F.softmax(self.fc(x), dim=1)"),
    ("softmax-before-cross-entropy", "functions", "net(x), y)", "torch.softmax(net(x), -1), y)"),
    ("softmax-before-cross-entropy", "trainer", "            nn.Linear(256, classes),", "            nn.Linear(256, classes),\n            nn.Softmax(-1),"),
]  # fmt: skip


@pytest.fixture
def flaws(tmp_path):
    """The rules, levels and places of what is found in the text of a script."""

    def find(text: str, name: str = "train.py") -> list[tuple[str, str, str]]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return [(rule, level, place) for level, rule, place, *_ in lint(tmp_path / name)["flaws"].rows]

    return find


@pytest.mark.parametrize("style", HEALTHY)
def test_nothing_is_found_in_a_healthy_script(flaws, style):
    assert flaws(HEALTHY[style]) == []


@pytest.mark.parametrize(("rule", "style", "old", "new"), PLANTED)
def test_a_planted_fault_is_found_and_nothing_else(flaws, rule, style, old, new):
    assert old in HEALTHY[style]
    found = flaws(HEALTHY[style].replace(old, new, 1))
    assert {name for name, *_ in found} == {rule}
    assert {level for _, level, _ in found} == {RULES[rule].level}


BEGIN = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
"""

CLEAN = {
    "a sampler or shuffling": """
sampler = None
if distributed:
    sampler = torch.utils.data.distributed.DistributedSampler(train_set)
loader = DataLoader(train_set, 32, shuffle=(sampler is None), sampler=sampler)
model = nn.Linear(2, 2)
for x, y in loader:
    opt.zero_grad()
    F.cross_entropy(model(x), y).backward()
    opt.step()
""",
    "settings that are not known here": """
settings = {"batch_size": 3}
settings.update(more)
train_loader = DataLoader(train_set, **settings)
model = nn.Linear(2, 2)
for x, y in train_loader:
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    opt.step()
""",
    "both phases in one loop": """
loaders = {phase: DataLoader(sets[phase], batch_size=4, shuffle=True) for phase in ["train", "val"]}
model = build()
best = 0.0
for epoch in range(9):
    for phase in ["train", "val"]:
        if phase == "train":
            model.train()
        else:
            model.eval()
        hits = 0
        for x, y in loaders[phase]:
            opt.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(x)
                loss = F.cross_entropy(outputs, y)
                if phase == "train":
                    loss.backward()
                    opt.step()
            hits += (outputs.argmax(1) == y).sum()
        if phase == "val" and hits > best:
            best = hits
            torch.save(model.state_dict(), "best.pt")
""",
    "a teacher that stays fixed": """
teacher = torch.load("teacher.pt")
teacher.eval()
student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
for epoch in range(3):
    student.train()
    for x, y in DataLoader(train_set, 8, shuffle=True):
        with torch.no_grad():
            wanted = teacher(x)
        loss = (student(x) - wanted).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    student.eval()
    with torch.inference_mode():
        for x, y in test_loader:
            found = student(x).argmax(1)
            if found[0] > 3:
                print("a large one")
""",
    "gradients added up over several batches": """
model = nn.Linear(2, 2)
for epoch in range(3):
    for i, (x, y) in enumerate(DataLoader(train_set, 8, shuffle=True)):
        (F.cross_entropy(model(x), y) / 4).backward()
        if i % 4 == 3:
            opt.step()
            opt.zero_grad(set_to_none=True)
for epoch in range(3):
    for x, y in DataLoader(train_set, 8, True):
        scaler.scale(F.cross_entropy(model(x), y)).backward()
    scaler.step(opt)
    opt.zero_grad()
""",
    "slices in an order drawn anew": """
model = nn.Linear(2, 2)
for epoch in range(3):
    order = torch.randperm(len(x_train))
    for i in range(0, len(order), 32):
        part = order[i : i + 32]
        loss = F.cross_entropy(model(x_train[part]), y_train[part])
        model.zero_grad()
        loss.backward()
        opt.step()
        for w in model.parameters():
            w.grad = None
""",
    "steps and gradients by hand": """
weights = torch.zeros(784, 10, requires_grad=True)
for x, y in DataLoader(train_set, 8, shuffle=True):
    F.cross_entropy(x @ weights, y).backward()
    with torch.no_grad():
        weights -= 0.1 * weights.grad
        weights.grad.zero_()
""",
    "a closure": """
model = nn.Linear(2, 2)
for step in range(20):
    def closure():
        opt.zero_grad()
        loss = F.cross_entropy(model(x_train), y_train)
        loss.backward()
        return loss
    opt.step(closure)
""",
    "test accuracy shown in every epoch, and decided by nobody": """
model = nn.Linear(2, 2)
history = []
for epoch in range(3):
    model.train()
    for x, y in DataLoader(train_set, 8, shuffle=True):
        opt.zero_grad()
        F.cross_entropy(model(x), y).backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        test_accuracy = (model(x_test).argmax(1) == y_test).float().mean()
    history.append(test_accuracy)
    if test_accuracy > 0.9:
        print("good")
    scheduler.step()
print(max(history), np.mean(history))
""",
    "probabilities beside the loss": """
model = nn.Linear(2, 2)
for x, y in DataLoader(train_set, 8, shuffle=True):
    logits = model(x)
    probabilities = logits.softmax(dim=1)
    sure = probabilities.max()
    loss = F.cross_entropy(logits, y)
    other = F.nll_loss(F.log_softmax(logits, 1), y)
    opt.zero_grad()
    (loss + other).backward()
    opt.step()
""",
    "a class that makes a network is none": """
for x, y in test_loader:
    scores = LinearClassifier(x)
""",
    "no training at all": """
class Odd:
    def __call__(self, x):
        return self(x)
    def again(self):
        return self.again()
match 1:
    case _:
        pass
try:
    total: int
    values = [f"{v}" for v in {1, 2}] + [*range(3)]
except ValueError:
    raise
x = lambda y: y
while False:
    del x
""",
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_only_looks_like_a_fault_is_none(flaws, name):
    assert flaws(BEGIN + CLEAN[name]) == []


LOOP = """
train_loader = DataLoader(train_set, 8, shuffle=True)
test_loader = DataLoader(test_set, 8)
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))
best, accuracies = 0, []
for epoch in range(5):
    model.train()
    for x, y in train_loader:
        opt.zero_grad()
        F.cross_entropy(model(x), y).backward()
        opt.step()
    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in test_loader:
            hits += (model(x).argmax(1) == y).sum()
    accuracies.append(hits)
"""

MORE = [
    ("test-data-chooses", LOOP + "    best = max(best, hits)\n"),
    ("test-data-chooses", LOOP + "    plateau.step(hits)\n"),
    ("test-data-chooses", LOOP + "    early_stopping(hits, model)\n"),
    ("test-data-chooses", LOOP + "    if hits > 9_800:\n        break\n"),
    ("test-data-chooses", LOOP + "    if best < hits:\n        torch.save(model, 'm.pt')\n"),
    ("test-data-chooses", f"def objective(trial):\n{textwrap.indent(LOOP, '    ')}    return hits\n"),
    ("normalised-on-test", "from sklearn.model_selection import train_test_split\nx = StandardScaler().fit_transform(x)\na, b = train_test_split(x)\n"),
    ("normalised-on-test", "mean, std = x_test.mean(), x_test.std()\nx_test = (x_test - mean) / std\n"),
    ("normalised-on-test", "m = np.mean(test_images, axis=0)\nn = np.std(test_images)\ntest_images -= m\nclean = (test_images - m) / n\n"),
    ("no-shuffle", "model = nn.Linear(2, 2)\nfor i in range(0, 60_000, 64):\n    loss = F.cross_entropy(model(x_train[i : i + 64]), y_train[i : i + 64])\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"),
    ("missing-zero-grad", "w = torch.zeros(784, 10, requires_grad=True)\nfor x, y in DataLoader(train_set, 8, shuffle=True):\n    F.cross_entropy(x @ w, y).backward()\n    with torch.no_grad():\n        w -= 0.1 * w.grad\n"),
    ("missing-zero-grad", LOOP.replace("        opt.zero_grad()\n", "").replace("    model.train()\n", "    model.train()\n    opt.zero_grad()\n")),
    ("missing-eval", LOOP.replace("    model.eval()\n", "    model.eval()\n    model.train(True)\n")),
    ("missing-train", LOOP.replace("    model.train()\n", "").replace("    model.eval()\n", "    model.train(False)\n")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), MORE)
def test_other_ways_of_the_same_faults(flaws, rule, text):
    assert {name for name, *_ in flaws(BEGIN + text)} == {rule}


def test_what_does_no_harm_is_only_mentioned(flaws):
    plain = LOOP.replace(", nn.BatchNorm1d(10)", "").replace("    model.eval()\n", "")
    assert [(rule, level) for rule, level, _ in flaws(BEGIN + plain)] == [("missing-eval", "info")]
    twice = LOOP.replace("model(x), y)", "F.log_softmax(model(x), dim=1), y)")
    assert [(rule, level) for rule, level, _ in flaws(BEGIN + twice)] == [("softmax-before-cross-entropy", "info")]


def test_a_place_is_a_line(flaws):
    line = LOOP.splitlines().index("        F.cross_entropy(model(x), y).backward()") + len(BEGIN.splitlines()) + 1
    (found,) = flaws(BEGIN + LOOP.replace("        opt.zero_grad()\n", "        pass\n"))
    assert found[2] == f"train.py:{line}"


def test_notebooks_are_read_cell_by_cell(flaws):
    cells = [
        {"cell_type": "markdown", "source": ["for text in [\n"]},
        {"cell_type": "code", "source": "%matplotlib inline\n!pip list\n" + BEGIN},
        {"cell_type": "code", "source": ["%%time\n", "not Python\n"]},
        {"cell_type": "code", "source": [line + "\n" for line in LOOP.replace("    model.eval()\n", "").splitlines()]},
    ]
    (found,) = flaws(json.dumps({"cells": cells}), "lesson.ipynb")
    assert found[0] == "missing-eval"
    assert found[2].startswith("lesson.ipynb, cell 3, line ")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "for x in", "cannot be read as Python (line 1)"),
        ("a.py", "x = '\0'", "cannot be read as Python"),
        ("b.ipynb", "{}", "it is not a notebook, because it has no cells"),
        ("b.ipynb", "nothing", "cannot be read as Python"),
    ],
)
def test_what_cannot_be_read_is_said(flaws, name, text, said):
    with pytest.raises(FormatError) as error:
        flaws(text, name)
    assert said in str(error.value)
    assert "file.py:Class" in str(error.value)


def test_a_missing_script_and_options_for_networks(tmp_path):
    with pytest.raises(MissingDataError) as missing:
        lint(tmp_path / "train.py")
    assert "There is no file" in str(missing.value)
    with pytest.raises(UsageError) as usage:
        lint("train.py", classes=10)
    assert str(usage.value) == "--classes is for networks, and train.py is a script. Leave it out."


def test_other_libraries_have_other_modes(flaws):
    assert flaws("for x, y in test_loader:\n    print(model(x))\n") == []
    assert {rule for rule, *_ in flaws("import torch\nfor x, y in test_loader:\n    print(model(x))\n")} == {
        "missing-eval",
        "missing-no-grad",
    }


def test_functions_that_call_each_other_over_and_over_come_to_an_end(flaws):
    # Eight calls each, eight deep: sixteen million, were each followed.
    parts = [f"def f{i}(x):\n" + f"    f{i + 1}(x)\n" * 8 for i in range(9)]
    assert flaws("import torch\n" + "".join(parts) + "f0(1)\n") == []
