"""Whatever lies in a folder is accounted for, once."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data.folder import read
from pellucid.data.walk import walk
from pellucid.errors import DataError

NAMES = st.sampled_from(
    [
        "train",
        "val",
        "test",
        "ants",
        "bees",
        "a b",
        "é",
        "x.png",
        "y.JPG",
        "z.txt",
        "noext",
        ".hidden",
        "Thumbs.db",
        "1",
    ]
)
TREES = st.recursive(st.just(None), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=14).filter(
    lambda tree: tree is not None
)


def grow(folder: Path, tree: dict) -> None:
    for name, inner in tree.items():
        if inner is None:
            (folder / name).write_text("not truly a picture")
        else:
            (folder / name).mkdir()
            grow(folder / name, inner)


@settings(max_examples=150, deadline=None)
@given(tree=TREES)
def test_every_file_is_accounted_for_once(tree):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        grow(root, tree)
        try:
            found = walk(root)
        except DataError as error:
            assert "two folders for one split" in str(error)  # noqa: PT017 (to refuse is one of two right answers)
            return
        pictures = [
            found.relative(file)
            for classes in found.pictures.values()
            for file in itertools.chain.from_iterable(classes.values())
        ]
        said = [*pictures, *found.hidden, *found.foreign, *found.astray, *found.unnameable, *found.left_out_folders]
        assert len(said) == len(set(said))
        for file in (path for path in root.rglob("*") if path.is_file()):
            identity = found.relative(file)
            # A file is said by its own name, or by that of the hidden or stray folder that it lies in.
            above = [
                found.relative(parent) for parent in file.parents if parent.is_relative_to(root) and parent != root
            ]
            assert sum(one in said for one in [identity, *above]) == 1, identity
        with pytest.raises(DataError):
            # None of these files is truly a picture.
            read(root)
