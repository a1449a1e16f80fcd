"""The hashes that a model file keeps of the pictures that it learned from."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.hashing import are_among, pack


def hashes(contents) -> np.ndarray:
    return np.array(
        [hashlib.sha256(content).digest() if content is not None else b"" for content in contents], dtype="S32"
    )


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_pictures_are_found_by_content(learned, scored):
    assert are_among(hashes(scored), pack(hashes(learned))).tolist() == [content in learned for content in scored]


def test_seven_characters_a_picture_and_each_once():
    contents = [bytes([n]) for n in range(100)]
    assert pack(hashes(contents + contents)) == pack(hashes(contents[::-1]))
    assert len(pack(hashes(contents))) <= 7 * 100


def test_what_cannot_be_read_is_among_none():
    assert pack(hashes([None])) == ""
    assert not are_among(hashes([None, b"a"]), pack(hashes([b"b"]))).any()


@pytest.mark.parametrize("packed", ["AAAA", "not base64!"])
def test_a_damaged_text_is_refused(packed):
    with pytest.raises(ValueError):
        are_among(hashes([b"a"]), packed)
