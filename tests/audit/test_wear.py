"""Test-set wear: the ledger's count becomes an interval that holds for all models."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.audit import Subject
from pellucid.audit.wear import check
from pellucid.records import Predictions, Split, ledger


@pytest.fixture
def subject(tmp_path, monkeypatch) -> Subject:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    labels = np.arange(200) % 2
    probabilities = np.eye(2, dtype=np.float32)[np.where(np.arange(200) < 20, 1 - labels, labels)]
    split = Split("test", np.zeros((200, 1, 4, 4), np.uint8), labels, ("a", "b"))
    return Subject(Predictions(split.ids, probabilities, split.classes, labels), split)


def test_a_split_that_chose_among_many_models_is_worn(subject):
    fingerprint = subject.pictures.fingerprint()
    for number in range(30):
        ledger.record_scoring(fingerprint, data="d", model=f"{number}")
    remark, metric = check(subject)
    assert remark.level == "warning"
    assert "Scored 30 times, by 30 models" in remark.text
    assert metric.low < 0.83 < 0.9 < metric.high, "wider than the 85 to 93 % of a single model"


def test_a_fresh_split_is_not_worn(subject):
    assert "no scoring" in check(subject)[0].text
    for _ in range(3):
        ledger.record_scoring(subject.pictures.fingerprint(), data="d", model="the same")
    remark, metric = check(subject)
    assert remark.level == "info"
    assert "Scored 3 times, by 1 model." in remark.text
    assert metric.low == pytest.approx(0.8506, abs=1e-3)


def test_the_interval_holds_for_all_models_as_often_as_it_says():
    from pellucid.statistics.intervals import wilson

    random, models, n, held = np.random.default_rng(0), 20, 300, 0
    for _ in range(500):
        right = random.binomial(n, 0.9, models)
        limits = [wilson(int(r), n, 1 - 0.05 / models) for r in right]
        held += all(low <= 0.9 <= high for low, high in limits)
    assert held / 500 >= 0.92
