from __future__ import annotations

import numpy as np
import pytest

from pellucid.evaluation.scoring import accuracy_without, count_scoring, evaluate
from pellucid.records import Predictions, Split
from pellucid.statistics.intervals import wilson


@pytest.fixture
def predictions() -> Predictions:
    """Ten, of which the last two are wrong."""
    labels = np.array([0, 1] * 5)
    said = labels.copy()
    said[8:] = 1 - said[8:]
    probabilities = np.where(said[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32)
    ids = np.array([f"p{i}" for i in range(10)])
    return Predictions(ids=ids, probabilities=probabilities, classes=("a", "b"), labels=labels, split="test")


def test_the_accuracy_without_copies(predictions):
    found = accuracy_without(predictions, ["p0", "p1", "p2", "p9"])
    assert found is not None
    assert (found.value, found.n) == (5 / 6, 6)
    assert (found.low, found.high) == wilson(5, 6)
    assert found.note == "without the 4 test pictures that are also in the training data"
    one = accuracy_without(predictions, ["p0"])
    assert one is not None
    assert one.note == "without the one test picture that is also in the training data"


def test_nothing_to_say(predictions):
    assert accuracy_without(predictions, ["another"]) is None
    assert accuracy_without(predictions, predictions.ids.tolist()) is None


def test_the_count_stands_beside_the_accuracy_alone(predictions, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    split = Split("test", np.zeros((10, 1, 2, 2), np.uint8), predictions.labels, ("a", "b"), predictions.ids)
    before = evaluate(predictions)
    after = count_scoring(before, split, "sha")
    assert after["accuracy"].note == "the 1st time that this test split was scored"
    assert [item for item in after if item.name != "accuracy"] == [item for item in before if item.name != "accuracy"]
    twice = count_scoring(after, split, "sha")
    assert twice["accuracy"].note.endswith("scored; the 2nd time that this test split was scored")
