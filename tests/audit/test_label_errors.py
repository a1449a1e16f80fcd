"""Label errors: planted ones come first, and clean labels raise few suspicions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pellucid
from pellucid.audit import Subject
from pellucid.audit.label_errors import Suspects, check, judge, ranked
from pellucid.records import Predictions


@pytest.fixture(scope="module")
def audited() -> Subject:
    data = pellucid.load("digits")
    model = pellucid.train(data, "convnet", epochs=4, progress=False)
    return Subject(pellucid.predict(model, data.test), data.test, np.arange(len(data.test)), data.train, model)


def planted(audited: Subject, rate: float, seed: int) -> tuple[Subject, np.ndarray]:
    """The same with some labels replaced by others: the subject, and which ones, bool (N,)."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(audited), dtype=bool)
    wrong[random.permutation(len(audited))[: round(rate * len(audited))]] = True
    shift = random.integers(1, 10, len(audited)) * wrong
    labels = (audited.labels + shift) % 10
    assert audited.pictures is not None
    return replace(
        audited,
        predictions=replace(audited.predictions, labels=labels),
        pictures=replace(audited.pictures, labels=labels),
    ), wrong


def average_precision(wrong: np.ndarray, order: np.ndarray) -> float:
    hits = wrong[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_planted_errors_come_first_with_the_right_suggestion(audited):
    subject, wrong = planted(audited, 0.05, 0)
    remark, table, figure = check(subject)
    assert remark.level == "warning"
    first = [row[1] for row in table.rows[: wrong.sum()]]
    assert wrong[first].mean() >= 0.9
    suggestions = {row[1]: row[4] for row in table.rows}
    names = audited.classes
    hits = [suggestions[i] == names[audited.labels[i]] for i in np.flatnonzero(wrong).tolist()]
    assert np.mean(hits) >= 0.9
    assert 0.7 * wrong.sum() <= remark.n <= 1.5 * wrong.sum()
    assert len(figure.data["cells"]) >= 8


def test_it_is_better_than_the_probability_of_the_label_on_planted_errors(audited):
    ours, theirs = [], []
    for seed in range(5):
        subject, wrong = planted(audited, 0.05, seed)
        judges = [subject.predictions.probabilities.astype(float), *judge(subject.features, subject.labels, 10)]
        ours.append(average_precision(wrong, ranked(Suspects(subject.labels, judges).scores)))
        own = subject.predictions.probabilities[np.arange(len(wrong)), subject.labels]
        theirs.append(average_precision(wrong, ranked(-own)))
    assert np.mean(ours) >= np.mean(theirs)


def test_clean_labels_raise_few_suspicions(audited):
    assert check(audited)[0].n <= 0.02 * len(audited)


def test_probabilities_alone_suffice(audited):
    subject, wrong = planted(audited, 0.05, 1)
    _, table = check(Subject(subject.predictions))
    assert wrong[[row[1] for row in table.rows[: wrong.sum()]]].mean() >= 0.8
    assert table.columns == ("split", "index", "score", "given", "suggested")


def test_the_index_counts_pictures_that_cannot_be_read(audited):
    subject = replace(audited, indices=np.arange(len(audited)) + 7)
    assert min(row[1] for row in check(subject)[1].rows) == 7


def test_a_model_does_not_judge_the_pictures_that_it_learned_from(audited):
    labels = audited.labels
    sure = np.eye(10, dtype=np.float32)[labels]
    few = Predictions(audited.predictions.ids[:20], sure[:20], audited.classes, labels[:20], split="train")
    assert "too few" in check(Subject(few))[0].text
