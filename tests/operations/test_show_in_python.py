"""`pellucid.show("operation", NAME)` gives the example that the command draws."""

from __future__ import annotations

import pytest

import pellucid
from pellucid.errors import UnknownNameError, UsageError
from pellucid.operations import example


def test_an_operation():
    (figure,) = pellucid.show("operation", "convolution")
    assert figure.to_json() == example("convolution").to_json()


def test_mistakes_are_one_sentence():
    with pytest.raises(UsageError, match="Name an operation: "):
        pellucid.show("operation")
    with pytest.raises(UnknownNameError, match="Did you mean 'convolution'"):
        pellucid.show("operation", "convolutoin")
