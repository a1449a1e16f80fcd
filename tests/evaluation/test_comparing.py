"""Two models on the same pictures: the verdict, and every reason to refuse one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError
from pellucid.evaluation import compare
from pellucid.evaluation.comparing import verdict
from pellucid.evaluation.run_predictions import RunPredictions
from pellucid.records import Findings, Predictions
from pellucid.statistics.comparison import Cells, mcnemar, tango
from pellucid.statistics.intervals import wilson

CLASSES = ("ant", "bee", "cat")


def says(predicted: np.ndarray, labels: np.ndarray, **changes: Any) -> Predictions:
    """Predictions of those classes, each with a probability of 0.8."""
    probabilities = np.full((len(labels), 3), 0.1, dtype=np.float32)
    probabilities[np.arange(len(labels)), predicted] = 0.8
    ids = np.array([f"test/{i}" for i in range(len(labels))])
    made = Predictions(ids, probabilities, CLASSES, np.asarray(labels), dataset="zoo", split="test", model="a" * 64)
    return replace(made, **changes)


def pair(both: int, only_a: int, only_b: int, neither: int) -> tuple[Predictions, Predictions]:
    """Two models that are right and wrong on so many pictures."""
    n = both + only_a + only_b + neither
    labels = np.arange(n) % 3
    right_a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    right_b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    order = np.random.default_rng(0).permutation(n)
    wrong = (labels + 1) % 3
    a = np.where(right_a[order], labels, wrong)
    b = np.where(right_b[order], labels, wrong)
    return says(a, labels), says(b, labels, model="b" * 64)


def test_what_is_found():
    found = compare(*pair(300, 9, 23, 28), names=("first", "second"))
    assert [item.name for item in found] == [
        *("compared", "accuracy_a", "accuracy_b", "difference", "p_value"),
        *("who_is_right", "per_class", "disagreements"),
    ]
    a, b, difference, p = (found[name] for name in ("accuracy_a", "accuracy_b", "difference", "p_value"))
    assert (a.value, a.n, (a.low, a.high)) == (309 / 360, 360, wilson(309, 360))
    assert (b.value, b.n, (b.low, b.high)) == (323 / 360, 360, wilson(323, 360))
    assert difference.value == pytest.approx(b.value - a.value)
    assert (difference.low, difference.high) == tango(9, 23, 360)
    assert "Tango 1998" in difference.note
    assert (p.value, p.n) == (mcnemar(9, 23), 32)
    assert found["who_is_right"].rows == (("both", 300), ("only A", 9), ("only B", 23), ("neither", 28))
    assert found["compared"].rows == (
        ("A", "first", "zoo", "test", 360, 360),
        ("B", "second", "zoo", "test", 360, 360),
    )
    assert found["compared"].note == ""
    assert found.title == (
        "B is right on 23 pictures that A gets wrong, A on 9 that B gets wrong; B is better (p = 0.02)"
    )
    assert Findings.from_json(json.loads(found.dumps())) == found


@pytest.mark.parametrize(
    ("table", "end"),
    [
        ((300, 23, 9, 28), "A gets wrong, A on 23 that B gets wrong; A is better (p = 0.02)"),
        ((340, 3, 1, 16), "A gets wrong, A on 3 that B gets wrong; no difference can be shown with n = 360"),
        ((340, 0, 60, 1), "B is better (p < 0.0001)"),
        ((9_000, 0, 0, 1_000), "on the same pictures; no difference can be shown with n = 10,000"),
    ],
)  # fmt: skip
def test_the_verdict(table, end):
    _, only_a, only_b, _ = table
    assert end in verdict(Cells(*table), mcnemar(only_a, only_b))


def test_where_interval_and_test_part_it_is_said():
    found = compare(*pair(59, 16, 6, 80))  # the second worked example of Fagerland, Lydersen and Laake
    assert found["difference"].high < 0
    assert "no difference can be shown with n = 161 (p = 0.052)" in found.title
    assert found["difference"].note.endswith(
        "it excludes 0, but the exact test, which is more conservative, finds no significant difference"
    )


def test_swapping_them_turns_everything_round():
    a, b = pair(200, 12, 30, 18)
    one, other = compare(a, b), compare(b, a)
    assert other["difference"].value == -one["difference"].value
    assert other["difference"].low == pytest.approx(-one["difference"].high)
    assert other["p_value"].value == one["p_value"].value


def test_each_class_is_compared_on_its_own_pictures():
    labels = np.array([0, 0, 0, 0, 1, 1])
    found = compare(says([0, 0, 1, 1, 1, 0], labels), says([0, 0, 0, 1, 1, 1], labels))["per_class"]
    rows = {row[0]: row[1:] for row in found.rows}
    assert rows["ant"] == (0.5, 0.75, 0.25, *tango(0, 1, 4), 4)
    assert rows["bee"] == (0.5, 1.0, 0.5, *tango(0, 1, 2), 2)
    assert rows["cat"] == (None, None, None, None, None, 0)


def test_the_pictures_on_which_they_differ():
    labels = np.array([0, 0, 1, 1, 2, 2])
    found = compare(says([0, 1, 1, 0, 0, 0], labels), says([0, 0, 0, 1, 1, 0], labels))["disagreements"]
    assert found.rows == (
        ("test/1", "ant", "bee", "ant", "B"),
        ("test/3", "bee", "ant", "bee", "B"),
        ("test/2", "bee", "bee", "ant", "A"),
        ("test/4", "cat", "ant", "bee", "neither"),
    )


def test_pictures_are_found_by_id_whatever_their_order():
    a, b = pair(100, 5, 11, 4)
    order = np.random.default_rng(3).permutation(len(b))
    shuffled = replace(b, ids=b.ids[order], probabilities=b.probabilities[order], labels=b.labels[order])
    assert compare(a, shuffled) == compare(a, b)


def test_classes_are_found_by_name_whatever_their_order():
    a, b = pair(100, 5, 11, 4)
    turned = replace(b, classes=CLASSES[::-1], probabilities=b.probabilities[:, ::-1], labels=2 - b.labels)
    assert compare(a, turned) == compare(a, b)


def test_only_what_both_have_is_compared_and_that_is_said():
    a, b = pair(100, 5, 11, 4)
    part = replace(b, ids=b.ids[20:], probabilities=b.probabilities[20:], labels=b.labels[20:])
    found = compare(a, part)
    assert found["accuracy_a"].n == found["accuracy_b"].n == 100
    assert found["accuracy_a"].value == np.mean((a.predicted == a.labels)[20:])
    assert found["compared"].note == "The comparison covers the 100 pictures that both models have predicted."
    assert [row[4:] for row in found["compared"].rows] == [(120, 100), (100, 100)]


def test_the_same_model_and_validation_are_said():
    a, _ = pair(10, 0, 0, 2)
    a = replace(a, split="validation")
    note = compare(a, a)["compared"].note
    assert "The validation split selected each model's epoch, so both accuracies are optimistic." in note
    assert "A and B are the same model." in note


def refusal(a: Predictions, b: Predictions) -> str:
    with pytest.raises(DataError) as caught:
        compare(a, b)
    return str(caught.value)


def test_other_data_is_refused_unless_it_is_known_to_be_the_same():
    a, b = pair(10, 1, 2, 3)
    b = replace(b, dataset="farm")
    assert refusal(a, b).startswith("A was scored on 'zoo', B on 'farm'; a comparison needs the same pictures.")
    assert len(compare(RunPredictions("A", a, "f"), RunPredictions("B", b, "f"))) == 8


def test_other_splits_are_refused():
    a, b = pair(10, 1, 2, 3)
    assert "A was scored on the test split, B on the validation split" in refusal(a, replace(b, split="validation"))


def test_other_classes_are_refused():
    a, b = pair(10, 1, 2, 3)
    said = refusal(a, replace(b, classes=("ant", "bee", "dog")))
    assert said == "A and B have different classes, so they cannot be compared: only A has 'cat'; only B has 'dog'."
    many = says([0], np.array([0]), classes=tuple("abcdefgh"), probabilities=np.full((1, 8), 0.125, dtype=np.float32))
    assert "only B has 'a', 'b', 'c', 'd', 'e' and 3 more" in refusal(a, many)


def test_other_labels_are_refused():
    a, b = pair(10, 1, 2, 3)
    labels = b.labels.copy()
    labels[4] = 2
    said = refusal(a, replace(b, labels=labels))
    assert said.startswith("The labels of 1 of 16 shared pictures differ: 'test/4' is 'bee' for A, 'cat' for B.")


def test_nothing_in_common_is_refused():
    a, b = pair(10, 1, 2, 3)
    strangers = replace(b, ids=np.array([f"other/{i}" for i in range(len(b))]))
    assert refusal(a, strangers).startswith(
        "A and B have no picture in common: A has 16, such as 'test/0', B 16, such as 'other/0'."
    )
    empty = replace(b, ids=b.ids[:0], probabilities=b.probabilities[:0], labels=b.labels[:0])
    assert "B 0, such as none" in refusal(a, empty)


def test_what_cannot_be_judged_is_refused():
    a, b = pair(10, 1, 2, 3)
    assert refusal(a, replace(b, labels=None)).startswith("The labels of B's pictures are unknown")
    broken = b.probabilities.copy()
    broken[2] = np.nan
    assert refusal(replace(a, probabilities=broken), b).startswith(
        "The probabilities of A are infinite or NaN for 1 of 16 pictures"
    )
    doubled = b.ids.copy()
    doubled[1] = doubled[0]
    assert "Some pictures of B have the same id" in refusal(a, replace(b, ids=doubled))
