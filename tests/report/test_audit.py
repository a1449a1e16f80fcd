"""What the report says of an audit, of the purpose, and of the limits."""

import json

import pytest

from pellucid.records import Figure, Findings, Metric, Remark, Table
from pellucid.report import page
from pellucid.report.page import write_run

CURVE = Table(
    "robustness_curve",
    ("change", "strength", "accuracy %", "low %", "high %", "n", "of clean %"),
    (
        ("clean", 0, 0.9, 0.85, 0.94, 100, 1.0),
        ("blur", 1, 0.8, 0.7, 0.88, 100, 0.9),
        ("blur", 5, 0.2, 0.1, 0.3, 100, 0.2),
    ),
)


@pytest.fixture
def audit():
    cell = {"id": "a.png", "label": "3", "predicted": "8", "probability": 0.97}
    return Findings(
        (
            Metric("accuracy", 0.9, 100, unit="fraction"),
            Remark("groups", "info", "Not checked: the pictures have no columns."),
            Remark("robustness", "warning", "A weak blur costs 10 points.", "Train with blur.", 100),
            CURVE,
            Remark("label_errors", "warning", "1 of 100 labels is probably wrong.", "Look at it.", 1),
            Figure("label_error_pictures", "pictures", {"cells": [cell]}),
            Remark("leaks", "info", "None is also in train."),
            Figure("leaked_pictures", "pictures", {"cells": [{"id": "b.png"}]}),
        )
    )


def test_a_report_without_an_audit_says_what_was_not_checked(run):
    text = write_run(run).read_text(encoding="utf-8")
    assert "Nobody has looked for these in this run: groups, shortcuts, robustness, wrong labels" in text
    assert "pellucid audit RUN DATA" in text
    assert "Robustness</h2>" not in text


def test_each_check_of_an_audit_has_its_section(run, audit):
    run.write_audit(audit)
    text = write_run(run).read_text(encoding="utf-8")
    assert "<strong>Alarm.</strong> A weak blur costs 10 points." in text
    assert "<strong>No alarm.</strong> None is also in train." in text
    assert "suggested: 8" in text
    assert "given: 3" in text
    assert "Groups: the pictures have no columns." in text
    assert (run.pictures / "robustness-chart.png").read_bytes().startswith(b"\x89PNG")
    assert "Nobody has looked for these in this run: groups, shortcuts, hidden kinds" in text


def test_the_purpose_is_shown_or_shown_as_missing(findings, about):
    assert page.render(findings, about=about).count("<dd>not given</dd>") == 2
    text = page.render(findings, about=about | {"purpose": "Sort forms", "not_for": "Cheques"})
    assert "<dd>Sort forms</dd>" in text
    assert "<dd>Cheques</dd>" in text
    assert "<dd>not given</dd>" not in text


def test_the_limits_come_from_the_facts(findings, about, audit):
    text = page.render(findings, about=about)
    assert "The accuracy was measured on 360 test pictures, so chance alone leaves it uncertain by 5.5 points" in text
    assert "Groups are unknown." in text
    assert "All pictures come from one source, digits." in text
    few = Findings((Table("per_class", ("class", "n"), (("ant", 29), ("bee", 30))),))
    assert "1 class has fewer than 30 scored pictures, too few to say much about each: ant (29)." in page.render(
        few, about=about
    )


def test_the_model_card_has_a_header_and_escapes_names(run, audit):
    about = json.loads(run.run_json.read_text(encoding="utf-8"))
    about["data"]["name"] = "<b>*x*"
    about["purpose"] = "Sort [forms]"
    run.write_json(about)
    run.write_audit(audit)
    write_run(run)
    card = run.model_card.read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: pellucid\npipeline_tag: image-classification\n")
    assert "# convnet on \\<b\\>\\*x\\*" in card
    assert "- For: Sort \\[forms\\]" in card
    assert "- Not for: not given" in card
    assert "| Accuracy | 92.5 % | 89.3 to 94.8 % | 360 |" in card
    assert "- Robustness: A weak blur costs 10 points." in card
    assert "## Limits" in card
