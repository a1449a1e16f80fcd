"""Rules for scripts on faults in forms that look unlike those of the tables: loops, functions, `fit`, several results."""

# One planted fault is one line of the tables below, however long.
# ruff: noqa: E501

from __future__ import annotations

import textwrap

import pytest

from pellucid.lint import lint

BEGIN = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, SequentialSampler
from torchvision import datasets

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(5408, 10)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))

train_set = datasets.MNIST("data", train=True)
test_set = datasets.MNIST("data", train=False)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=256)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""

EPOCH = """
model.train()
for x, y in train_loader:
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
"""

SCORE = """
model.eval()
with torch.no_grad():
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
"""

FIT = f"""
def fit(rate):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
{textwrap.indent(EPOCH + SCORE, "    ")}
    return hits
"""


def epochs(more: str = "", head: str = "for epoch in range(9):") -> str:
    """A training that scores the test pictures in every round, and what is done there with the score."""
    return f"{head}\n{textwrap.indent(EPOCH + SCORE + more, '    ')}\n"


TWO = "return F.softmax(self.head(self.features(x).flatten(1)), dim=1), self.head(self.features(x).flatten(1))"
ONE = "return self.head(self.features(x).flatten(1))"
LOGS = BEGIN.replace("nn.Linear(5408, 10)", "nn.Sequential(nn.Linear(5408, 10), nn.LogSoftmax(dim=1))")

PLANTED = [
    ("softmax-before-cross-entropy", BEGIN + EPOCH.replace("F.cross_entropy(model(x), y)", "nn.functional.cross_entropy(torch.log(torch.softmax(model(x), 1)), y)")),
    ("softmax-before-cross-entropy", LOGS + EPOCH.replace("F.cross_entropy(model(x), y)", "nn.CrossEntropyLoss()(model(x), y)")),
    ("softmax-before-cross-entropy", BEGIN.replace(ONE, TWO) + EPOCH.replace("model(x)", "model(x)[0]")),
    ("softmax-before-cross-entropy", BEGIN.replace(ONE, TWO) + EPOCH.replace("    F.cross_entropy(model(x), y)", "    found = model(x)\n    F.cross_entropy(found[0], y)")),
    ("missing-zero-grad", BEGIN + "def update(loss):\n    loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()\nfor x, y in train_loader:\n    update(F.cross_entropy(model(x), y))\n"),
    ("missing-eval", BEGIN + EPOCH + SCORE.replace("model.eval()", "other = Net()\nother.eval()")),
    ("missing-eval", BEGIN + EPOCH + SCORE.replace("model.eval()\n", "@torch.inference_mode()\ndef score():\n    return np.mean([(model(x).argmax(1) == y).float().mean() for x, y in test_loader])\nmodel.train()\nscore()\nmodel.eval()\n")),
    ("test-data-chooses", BEGIN + "hits = 0\n" + epochs(head="while hits < 9_900:")),
    ("test-data-chooses", BEGIN + "def fit():\n    before = 0\n" + textwrap.indent(epochs("if hits < before:\n    return model\nbefore = hits\n"), "    ") + "fit()\n"),
    ("test-data-chooses", BEGIN + "top = 0\n" + epochs("is_best = hits > top\nif is_best:\n    torch.save(model, 'best.pt')\ntop = hits\n")),
    ("test-data-chooses", BEGIN + epochs("if should_stop(hits):\n    break\n")),
    ("test-data-chooses", BEGIN + "found = []\n" + epochs("found.append(hits)\n") + "best_epoch = int(np.argmax(found))\n"),
    ("test-data-chooses", BEGIN + FIT + "results = []\nfor rate in (0.1, 0.01):\n    results.append((fit(rate), rate))\nbest_rate = sorted(results)[-1][1]\n"),
    ("test-data-chooses", BEGIN + FIT + "scores = {rate: fit(rate) for rate in (0.1, 0.01)}\nbest_rate = max(scores, key=scores.get)\n"),
    ("test-data-chooses", "stop = keras.callbacks.EarlyStopping(patience=3)\nmodel.fit(x_train, y_train, validation_data=(x_test, y_test), callbacks=[stop])\n"),
    ("test-data-chooses", BEGIN + "trainer = L.Trainer(callbacks=[L.callbacks.EarlyStopping('val_loss')])\ntrainer.fit(module, train_loader, test_loader)\n"),
    ("no-shuffle", BEGIN.replace("shuffle=True", "sampler=SequentialSampler(train_set)") + EPOCH),
    ("no-shuffle", BEGIN + EPOCH.replace("in train_loader", "in zip(x_train.split(64), y_train.split(64))")),
    ("no-shuffle", BEGIN + "loaders = {'train': DataLoader(train_set, 64), 'test': test_loader}\n" + EPOCH.replace("in train_loader", "in loaders['train']")),
    ("no-shuffle", BEGIN.replace(", shuffle=True", "") + "trainer = L.Trainer()\ntrainer.fit(module, train_loader, test_loader)\n"),
    ("trains-on-test", BEGIN.replace("DataLoader(train_set,", "DataLoader(ConcatDataset([train_set, test_set]),") + EPOCH),
    ("trains-on-test", "from sklearn.svm import SVC\nSVC().fit(x_test, y_test)\n"),
]  # fmt: skip

HEALTHY = {
    "the logits of two results": BEGIN.replace(ONE, TWO) + EPOCH.replace("model(x)", "model(x)[1]"),
    "the logits by name": BEGIN.replace(ONE, TWO) + EPOCH.replace("    F.cross_entropy(model(x), y)", "    shares, logits = model(x)\n    F.cross_entropy(logits, y)"),
    "a network made anew for every rate": BEGIN + FIT + "for rate in (0.1, 0.01):\n    print(fit(rate))\n",
    "loaders by name": BEGIN + "loaders = {'train': train_loader, 'test': test_loader}\n" + EPOCH.replace("in train_loader", "in loaders['train']"),
    "a function that says how good it is": BEGIN + "def word(hits):\n    if hits > 9_900:\n        return 'good'\n    return 'bad'\n" + epochs("print(word(hits))\n"),
    "lightning": BEGIN + "trainer = L.Trainer(callbacks=[L.callbacks.EarlyStopping('val_loss')])\ntrainer.fit(module, train_loader, DataLoader(val_set, 64))\ntrainer.test(module, test_loader)\n",
    "joined, and split again": "x = np.concatenate([np.load('train.npy'), np.load('test.npy')])\nx_train, x_test, y_train, y_test = train_test_split(x, y)\nSVC().fit(x_train, y_train)\nKMeans(3).fit(x_test)\n",
}  # fmt: skip


def _rules(folder, text: str) -> set[str]:
    (folder / "train.py").write_text(text, encoding="utf-8")
    return {row[1] for row in lint(folder / "train.py")["flaws"].rows}


@pytest.mark.parametrize(("rule", "text"), PLANTED)
def test_a_fault_in_another_form_is_found_and_nothing_else(tmp_path, rule, text):
    assert _rules(tmp_path, text) == {rule}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_script_in_another_form_is_left_in_peace(tmp_path, name):
    assert _rules(tmp_path, HEALTHY[name]) == set()
