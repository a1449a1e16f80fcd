"""Accuracy by similarity to the nearest training photo."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.evaluation import similarity
from pellucid.evaluation.similarity import accuracy_by_similarity, nearest_similarity
from pellucid.records import Predictions
from pellucid.statistics.intervals import wilson


def predictions(right: np.ndarray) -> Predictions:
    n = len(right)
    labels = np.arange(n) % 2
    predicted = np.where(right, labels, 1 - labels)
    ids = np.array([str(i) for i in range(n)])
    return Predictions(ids=ids, probabilities=np.eye(2, dtype=np.float32)[predicted], classes=("a", "b"), labels=labels)


def test_the_nearest_is_that_of_brute_force(monkeypatch):
    generator = np.random.default_rng(0)
    features, train = generator.normal(size=(13, 5)), generator.normal(size=(7, 5))
    expected = [max(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for b in train) for a in features]
    np.testing.assert_allclose(nearest_similarity(features, train), expected, atol=1e-6)
    monkeypatch.setattr(similarity, "_VALUES_AT_ONCE", 10)
    np.testing.assert_allclose(nearest_similarity(features, train), expected, atol=1e-6)
    assert nearest_similarity(np.zeros((0, 5)), train).shape == (0,)
    assert nearest_similarity(np.zeros((1, 5)), train).tolist() == [0.0], "features of zero are like nothing"


def test_dissimilar_photos_have_an_accuracy_of_their_own():
    near = np.concatenate([np.full(30, 0.95), np.full(10, 0.85), np.full(15, 0.75), np.full(5, 0.2)])
    right = np.ones(60, dtype=bool)
    right[[0, 41, 42, 43, 56]] = False
    metric, table = accuracy_by_similarity(predictions(right), near)
    assert (metric.value, metric.n) == (16 / 20, 20)
    assert (metric.low, metric.high) == wilson(16, 20)
    assert metric.note.endswith("on the 40 others 97.5 %")
    assert [row[:3] for row in table.rows] == [
        ("below 0.6", 5, 4 / 5), ("0.7 to 0.8", 15, 12 / 15), ("0.8 to 0.9", 10, 1.0), ("0.9 to 1", 30, 29 / 30),
    ]  # fmt: skip
    assert sum(row[1] for row in table.rows) == 60


@pytest.mark.parametrize("similar", [9, 51])
def test_nothing_is_said_of_a_handful(similar):
    near = np.concatenate([np.full(similar, 0.9), np.full(60 - similar, 0.5)])
    assert accuracy_by_similarity(predictions(np.ones(60, dtype=bool)), near) == []
