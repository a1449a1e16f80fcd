"""What every check of the registry promises."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.audit import Subject, audit, auditing
from pellucid.audit.registry import CHECKS
from pellucid.errors import DataError, UnknownNameError
from pellucid.records import Findings, Predictions, Remark


@pytest.fixture(scope="session")
def digits():
    """A model of the digits, its predictions and its pictures."""
    data = pellucid.load("digits")
    model = pellucid.train(data, "mlp", epochs=3, progress=False)
    predictions = pellucid.predict(model, data.test)
    camera = np.array(["a", "b"])[np.arange(len(data.test)) % 2]
    rows = np.arange(len(data.test))
    return Subject(predictions, data.test, rows, data.train, model, columns={"camera": camera})


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_what_it_looks_for(name):
    check = CHECKS[name]
    assert check.looks_for.endswith(".")
    assert "." not in check.looks_for[:-1], "one sentence"
    assert check.title[0].isupper()
    assert importlib.import_module(check.module).__doc__
    assert check.module == f"pellucid.audit.{name}"
    assert Path(__file__).with_name(f"test_{name}.py").is_file(), "a planted fault, and clean data"


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_gives_a_remark_first_and_the_same_again(name, digits):
    first = CHECKS[name].load()(digits)
    assert isinstance(first[0], Remark)
    assert first[0].name == name
    assert first[0].text.endswith((".", ")"))
    assert len({item.name for item in first}) == len(first)
    text = Findings(tuple(first)).dumps()
    assert Findings(tuple(CHECKS[name].load()(digits))).dumps() == text
    assert first[0].level == "info" or first[0].advice, "an alarm says what to do next"


@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if check.needs])
def test_a_check_that_lacks_something_says_so(name, digits):
    bare = Subject(digits.predictions)
    (remark,) = [item for item in audit(bare, [name]) if item.name == name]
    assert remark.level == "info"
    assert remark.text.startswith(auditing.NOT_MADE)
    assert audit(bare, [name])["checks"].rows[0][1] == "not checked"


def test_results_are_cached_by_everything_that_they_depend_on(digits, monkeypatch):
    first = audit(digits, ["groups"]).dumps()
    monkeypatch.setattr("pellucid.audit.groups.check", lambda _: pytest.fail("it was computed again"))
    assert audit(digits, ["groups"]).dumps() == first
    other = replace(digits, columns={"camera": digits.columns["camera"][::-1]})
    with pytest.raises(pytest.fail.Exception):
        audit(other, ["groups"])


def test_an_unknown_check_and_predictions_without_labels_are_refused(digits):
    with pytest.raises(UnknownNameError, match="groups"):
        audit(digits, ["group"])
    bare = digits.predictions
    unlabelled = Predictions(bare.ids, bare.probabilities, bare.classes)
    with pytest.raises(DataError, match="labels"):
        audit(Subject(unlabelled))


def test_all_checks_together_are_one_document(digits):
    findings = audit(digits)
    assert [row[0] for row in findings["checks"].rows] == list(CHECKS)
    names = [item.name for item in findings]
    assert len(set(names)) == len(names)
    assert Findings.from_json(findings.to_json()).dumps() == findings.dumps()
