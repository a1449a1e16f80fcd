"""`pellucid.show` in Python gives the pictures that the command draws."""

from __future__ import annotations

import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.report.pictures import class_grid


def test_pictures_of_each_class():
    data = pellucid.load("digits")
    expected = class_grid(data.test, per_class=3).data
    for source in ("digits", data):
        (figure,) = pellucid.show(source, split="test", per_class=3)
        assert figure.data == expected
    (figure,) = pellucid.show(data.test, per_class=3)
    assert figure.data == expected
    assert "<img" in pellucid.show(data)._repr_html_()


def test_mistakes_are_one_sentence():
    with pytest.raises(UsageError, match="one argument too many"):
        pellucid.show("digits", "convolution")
    with pytest.raises(UsageError, match="show needs a dataset"):
        pellucid.show(3)
