"""Findings: what the terminal, the JSON and the report share."""

from __future__ import annotations

import json

import pytest

from pellucid.errors import FormatError
from pellucid.records import Figure, Findings, Metric, Table

FOUND = Findings(
    (
        Metric("accuracy", 0.989, 10_000, 0.987, 0.991, "fraction"),
        Metric("loss", 0.0412345, 10_000, unit="nats", note="of the given class"),
        Table("per_class", ("class", "recall %"), (("cat", 0.5), ("dog", None)), "undefined where a class is absent"),
        Figure("confusion_matrix", "confusion-matrix", {"classes": ["a", "b"], "counts": [[1, 0], [2, 3]]}, "Title"),
    ),
    title="test",
)


def test_they_come_back_from_json():
    assert Findings.from_json(json.loads(FOUND.dumps())) == FOUND
    assert Findings.from_json(json.loads(Findings().dumps())) == Findings()


def test_the_json_is_versioned_and_omits_unknown_values():
    document = json.loads(FOUND.dumps())
    assert document["version"] == 2
    assert document["findings"][0] == {
        "name": "accuracy",
        "value": 0.989,
        "low": 0.987,
        "high": 0.991,
        "n": 10_000,
        "unit": "fraction",
    }
    assert "low" not in document["findings"][1]


def test_a_value_of_zero_is_not_omitted():
    assert Metric("errors", 0, 5, unit="count").to_json() == {"name": "errors", "value": 0, "n": 5, "unit": "count"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused(value):
    with pytest.raises(ValueError):
        Findings((Metric("loss", value, 1),)).dumps()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"version": 1, "findings": []}, "their version is 1"),
        ({"version": 3, "findings": []}, "their version is 3"),
        ({"findings": []}, "their version is None"),
        ([], "their version is None"),
        ({"version": 2}, "damaged"),
        ({"version": 2, "findings": [{"name": "accuracy"}]}, "damaged"),
        ({"version": 2, "findings": [{"name": "t", "columns": ["a"]}]}, "damaged"),
        ({"version": 2, "findings": [{"name": "accuracy", "value": 1, "n": 1, "colour": "red"}]}, "damaged"),
        ({"version": 2, "findings": 3}, "damaged"),
    ],
)
def test_other_documents_are_refused(content, part):
    with pytest.raises(FormatError) as caught:
        Findings.from_json(content)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric("accuracy", 0.989, 10_000, 0.987, 0.991, "fraction"), "accuracy 98.9 % (98.7 to 99.1, n = 10,000)"),
        (Metric("top_5_accuracy", 0.5, 3, unit="fraction"), "top 5 accuracy 50.0 % (n = 3)"),
        (Metric("a", 0.9996, 10, unit="fraction"), "a 99.96 % (n = 10)"),
        (Metric("a", 0.99996, 10, unit="fraction"), "a 99.996 % (n = 10)"),
        (Metric("a", 0.9999996, 10, unit="fraction"), "a 99.99996 % (n = 10)"),
        (Metric("a", 0.00004, 10, unit="fraction"), "a 0.004 % (n = 10)"),
        (Metric("a", 1.0, 10, 0.7, 1.0, "fraction"), "a 100.00 % (70.00 to 100.00, n = 10)"),
        (Metric("a", 0.0, 10, unit="fraction"), "a 0.00 % (n = 10)"),
        (Metric("loss", 0.0412345, 7, unit="nats", note="why"), "loss 0.04123 nats (n = 7): why"),
        (Metric("time", 1.5, 7, 1.25, 1.75, "seconds"), "time 1.5 seconds (1.25 to 1.75, n = 7)"),
        (Metric("errors", 12345, 20_000, unit="count"), "errors 12,345 (n = 20,000)"),
    ],
)
def test_how_a_metric_reads(metric, text):
    assert str(metric) == text


@pytest.mark.parametrize("value", [1 - 10.0**-k for k in range(1, 12)] + [10.0**-k for k in range(1, 12)])
def test_only_certainty_reads_as_certainty(value):
    shown = float(str(Metric("a", value, 1, unit="fraction")).split()[1])
    assert 0 < shown < 100


def test_they_are_looked_up_by_name_and_by_place():
    assert FOUND["loss"] is FOUND[1]
    assert "per_class" in FOUND
    assert FOUND[0] in FOUND
    assert "recall" not in FOUND
    assert len(FOUND) == len(list(FOUND)) == 4
    with pytest.raises(KeyError):
        FOUND["recall"]
    more = FOUND + (Metric("loss2", 1, 1),)  # noqa: RUF005 (the addition is what is tested)
    assert len(more) == 5
    assert more.title == "test"


def test_metrics_are_printed():
    assert str(FOUND).splitlines() == [str(FOUND[0]), str(FOUND[1])]
    assert str(FOUND["per_class"]) == "per class: 2 rows"
    assert str(FOUND["confusion_matrix"]) == "Title"
    assert str(Figure("a_b", "grid", {})) == "a b"
