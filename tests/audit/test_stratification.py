"""Hidden stratification: a planted kind is named; errors that do not depend on the kind raise no alarm."""

from __future__ import annotations

import numpy as np

from pellucid.audit import Subject
from pellucid.audit.stratification import check
from pellucid.records import Predictions


def subject(seed: int, *, planted: bool) -> tuple[Subject, np.ndarray]:
    """Two classes of 200 pictures; a fifth of the second class is a kind of its own. Gives which pictures are that."""
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 200)
    kind = (labels == 1) & (np.arange(400) % 5 == 0)
    features = random.normal(0, 1, (400, 16)).astype(np.float32) + 4 * labels[:, None]
    features[kind, 0] += 9
    features[kind, 1] -= 9
    rate = np.where(kind & planted, 0.5, 0.05)
    wrong = random.random(400) < rate
    probabilities = np.eye(2, dtype=np.float32)[np.where(wrong, 1 - labels, labels)]
    ids = np.array([f"{i}" for i in range(400)])
    audited = Subject(Predictions(ids, probabilities, ("a", "b"), labels))
    audited.__dict__["features"] = features
    return audited, kind


def test_a_planted_kind_is_named_with_its_interval():
    audited, kind = subject(0, planted=True)
    remark, table = check(audited)
    assert remark.level == "warning"
    assert "A kind of 'b' fails" in remark.text
    assert 30 <= remark.n <= 60
    assert kind[[int(name) for name in remark.pictures]].mean() > 0.8
    assert table.rows[0][-1] == "worse"


def test_equal_kinds_raise_an_alarm_in_at_most_one_of_twenty_audits():
    alarms = sum(check(subject(seed, planted=False)[0])[0].level != "info" for seed in range(100))
    assert alarms <= 10  # 5 expected at most; P(more than 10) is about 1 %


def test_too_few_pictures_are_said():
    audited, _ = subject(0, planted=True)
    few = Subject(Predictions(audited.predictions.ids[:50], audited.predictions.probabilities[:50], ("a", "b"),
                              audited.labels[:50]))  # fmt: skip
    few.__dict__["features"] = audited.features[:50]
    assert "too few" in check(few)[0].text
