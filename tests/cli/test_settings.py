from __future__ import annotations

import pytest

from pellucid.cli.arguments import parse
from pellucid.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("False", False),
        ("none", None),
        ("null", None),
        ("[300, 100]", [300, 100]),
        ("tanh", "tanh"),
        ("NaN", "NaN"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_values(text, value):
    assert parse([f"some-key={text}"], "--set") == {"some_key": value}


def test_nothing_is_nothing():
    assert parse([], "--set") == {}


@pytest.mark.parametrize("given", ["widths", "=3", "1x=3", "a b=3"])
def test_what_is_not_a_setting(given):
    with pytest.raises(UsageError) as caught:
        parse([given], "--set")
    assert str(caught.value) == (
        f"--set was given '{given}', but expects KEY=VALUE, for example --set activation=tanh."
    )


def test_a_key_given_twice():
    with pytest.raises(UsageError) as caught:
        parse(["a=1", "a=2"], "--recipe-set")
    assert str(caught.value) == "--recipe-set a was given twice. Give it once."
