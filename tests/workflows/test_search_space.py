"""How a search is written, and what it becomes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.training.recipes import Recipe
from pellucid.workflows.search_space import Choices, Range, as_text, default_space, parse, space

PLAN = Recipe()


def test_ranges_and_choices():
    found = space(
        {
            "learning_rate": "1e-4..1e-1",
            "label_smoothing": "0..0.2",
            "batch_size": "32..100",
            "optimizer": "sgd, adamw",
            "augmentation": "none,flip,flip+shift:2",
            "gradient_clip": "none,1",
        },
        PLAN,
    )
    assert found["learning_rate"] == Range(1e-4, 1e-1, log=True, integer=False)
    assert found["label_smoothing"] == Range(0, 0.2, log=False, integer=False)
    assert found["batch_size"] == Range(32, 100, log=False, integer=True)
    assert found["optimizer"] == Choices({"sgd": "sgd", "adamw": "adamw"})
    assert found["augmentation"] == Choices({"none": (), "flip": ("flip",), "flip+shift:2": ("flip", "shift:2")})
    assert found["gradient_clip"] == Choices({"none": None, "1": 1.0})


def test_numbers_are_tried_as_they_can_be_typed():
    rate = Range(1e-4, 1e-1, log=True, integer=False)
    assert rate.rounded(0.00123456) == 0.00123
    assert rate.rounded(0.0001) == 0.0001
    assert Range(0.12345, 1, log=False, integer=False).rounded(0.123456) == 0.12345, "still within"
    assert Range(2, 9, log=False, integer=True).rounded(3.7) == 4
    assert (rate.find(0.01), rate.find(1.0), rate.find(None)) == (0.01, None, None)
    choices = Choices({"none": (), "flip": ("flip",)})
    assert (choices.find(("flip",)), choices.find(("erase",))) == ("flip", None)


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        Recipe(weight_decay=0.05, batch_size=100, augmentation=("rotate:10", "flip")),
        Recipe(learning_rate=1.0, warmup=0.5, label_smoothing=0.3, weight_decay=0.0),
    ],
)
def test_the_default_space_includes_the_plan(plan):
    found = space(default_space(plan, "cross-entropy"), plan)
    assert set(found) == {*("learning_rate", "weight_decay", "batch_size", "warmup", "augmentation", "label_smoothing")}
    for name, dimension in found.items():
        nearest = dimension.find(getattr(plan, name))
        assert nearest is not None
        assert dimension.setting(dimension.rounded(nearest)) == getattr(plan, name)


def test_other_losses_have_no_label_smoothing():
    assert "label_smoothing" not in default_space(PLAN, "hinge")


def test_search_arguments():
    normal = default_space(PLAN, "hinge")
    assert parse([], normal) == normal
    assert parse(["weight-decay", "batch_size=8,16"], normal) == {
        "weight_decay": normal["weight_decay"], "batch_size": "8,16",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["momentum"], "There is no default search named 'momentum'."),
        (["batch_size=8,16", "batch-size"], "The search of batch_size was given twice. Give it once."),
    ],
)
def test_invalid_search_arguments(given, sentence):
    with pytest.raises(UsageError) as error:
        parse(given, default_space(PLAN, "hinge"))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("learning_rat", "1..2", "There is no training setting named 'learning_rat'. Did you mean 'learning_rate'?"),
        ("keep", "best,last", "keep is not searched: it decides which epoch counts. Leave it out."),
        (
            "learning_rate",
            "1e-1..1e-4",
            "The search of learning_rate was given as '1e-1..1e-4', but a range is LOW..HIGH,",
        ),
        ("learning_rate", "a..b", "The search of learning_rate was given as 'a..b', but a range is LOW..HIGH,"),
        ("learning_rate", "0..1", "learning rate was given as 0.0, but should be "),
        ("batch_size", "8.5..16", "batch size was given as 8.5, but should be "),
        ("batch_size", "8", "The search of batch_size was given as '8', but needs at least two values:"),
        ("batch_size", "8,many", "batch size was given as 'many', but should be "),
        ("warmup", "", "The search of warmup was given as '', but needs at least two values:"),
    ],
)
def test_settings_that_cannot_be_searched(name, text, sentence):
    with pytest.raises(UsageError) as error:
        space({name: text}, PLAN)
    assert str(error.value).startswith(sentence)


@given(st.text(max_size=20), st.sampled_from(["learning_rate", "batch_size", "augmentation", "optimizer", "loss"]))
def test_any_text_is_a_search_or_refused(text, name):
    with contextlib.suppress(UsageError):
        assert set(space({name: text}, PLAN)) == {name}


def test_values_as_text():
    assert [as_text(one) for one in (None, (), [], ("flip", "shift:2"), 0.00025, 64, "sgd", 1e-7)] == [
        *("none", "none", "none", "flip+shift:2", "0.00025", "64", "sgd", "1e-07")
    ]
