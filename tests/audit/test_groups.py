"""Groups: a planted bad group is named, equal groups raise no alarm, and requirements need proof."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.audit import Subject
from pellucid.audit.groups import check, require
from pellucid.audit.requirement import parse
from pellucid.errors import UnknownNameError, UsageError
from pellucid.records import Predictions


def subject(groups: dict[tuple[str, str], tuple[int, int]], requirement: str | None = None) -> Subject:
    """Pictures of two classes; {(sex, skin): (right, n)}."""
    random = np.random.default_rng(0)
    right = np.concatenate([np.arange(n) < hits for hits, n in groups.values()])
    labels = random.integers(0, 2, len(right))
    predicted = np.where(right, labels, 1 - labels)
    sure = random.uniform(0.8, 1, len(right))
    probabilities = np.where(np.eye(2)[predicted] > 0, sure[:, None], 1 - sure[:, None]).astype(np.float32)
    sizes = [n for _, n in groups.values()]
    columns = {name: np.repeat([key[i] for key in groups], sizes) for i, name in enumerate(("sex", "skin"))}
    ids = np.array([f"{i}.png" for i in range(len(right))])
    predictions = Predictions(ids, probabilities, ("no", "yes"), labels)
    return Subject(predictions, columns=columns, requirement=parse(requirement) if requirement else None)


SHADES = {("male", "light"): (495, 500), ("male", "dark"): (396, 400), ("female", "light"): (396, 400)}
GATE = "accuracy>=0.9 by sex,skin"


def test_the_group_that_the_total_hides_is_named_with_its_interval():
    planted = subject(SHADES | {("female", "dark"): (52, 80)}, GATE)
    assert planted.right.mean() == pytest.approx(0.97, abs=0.005)
    remark = check(planted)[0]
    assert remark.level == "error"
    assert "sex=female, skin=dark" in remark.text
    assert "65.0 % (54.1 to 74.5)" in remark.text
    assert remark.n == 80
    verdict, table = require(planted)
    assert verdict.level == "error"
    assert "sex=female, skin=dark is below: 52 of 80" in verdict.text
    assert [row[-1] for row in table.rows].count("passed") == 3


def test_too_few_pictures_are_too_few_to_say_and_fail_the_requirement():
    small = subject(SHADES | {("female", "dark"): (10, 12)}, GATE)
    remark = check(small)[0]
    assert remark.level == "info"
    assert "Too few pictures to say" in remark.text
    assert "10 of 12 right" in remark.text
    verdict = require(small)[0]
    assert verdict.level == "error"
    assert "too few to say" in verdict.text
    assert "is below" not in verdict.text


def test_a_requirement_that_is_shown_passes():
    good = subject(SHADES | {("female", "dark"): (99, 100)}, GATE)
    assert require(good)[0].level == "info"


def test_a_perfect_but_small_group_does_not_pass_and_says_how_many_are_needed():
    verdict = require(subject(SHADES | {("female", "dark"): (12, 12)}, GATE))[0]
    assert verdict.level == "error"
    assert "about 17 more test pictures of this group would probably settle it" in verdict.text
    assert require(subject(SHADES | {("female", "dark"): (29, 29)}, GATE))[0].level == "info"


def test_equal_groups_raise_an_alarm_in_at_most_one_of_twenty_audits():
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        sizes = random.integers(30, 200, 4)
        keys = [("f", "d"), ("f", "l"), ("m", "d"), ("m", "l")]
        equal = {key: (int(random.binomial(n, 0.9)), int(n)) for key, n in zip(keys, sizes, strict=True)}
        alarms += check(subject(equal))[0].level == "error"
    assert alarms <= 17  # 10 expected at most; P(more than 17) is below 1 %


@pytest.mark.parametrize(
    "requirement",
    ["recall:yes>=0.5 by sex", "precision:no>=50 % by skin", "f1:yes >= 0.5", "log_loss<=2 by sex", "brier<=1",
     "balanced_accuracy>=0.5 by sex,skin", "top_2_accuracy>=0.9", "error_rate<=0.5 by skin", "accuracy≥0.9"],
)  # fmt: skip
def test_any_metric_can_be_required(requirement):
    good = SHADES | {("female", "dark"): (99, 100)}
    assert require(subject(good, requirement))[0].level == "info"
    impossible = requirement.partition("=" if "=" in requirement else "≥")[0].strip().rstrip("<>")
    other = f"{impossible}>=0.999999" if impossible not in ("log_loss", "brier", "error_rate") else f"{impossible}<=0"
    if impossible != "top_2_accuracy":
        assert require(subject(good, other))[0].level == "error"


def test_requirements_in_another_form_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'accuracy'"):
        parse("acuracy>=0.9")
    with pytest.raises(UsageError, match="Did you mean 90%"):
        parse("accuracy>=90")
    for text in ("accuracy", "accuracy>0.9.1", "", ">=0.9"):
        with pytest.raises(UsageError):
            parse(text)
    with pytest.raises(UsageError, match="There is no column 'age'"):
        require(subject(SHADES, "accuracy>=0.9 by age"))
    with pytest.raises(UsageError, match="There is no class 'ill'"):
        require(subject(SHADES, "recall:ill>=0.9"))
