"""Datasets and their splits: what belongs together stays together, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError, MissingDataError
from pellucid.records import Dataset, PictureFiles, Split

CLASSES = ("cat", "dog", "owl")


def make_split(n: int = 6, name: str = "train", **more: Any) -> Split:
    pictures = np.arange(n * 4, dtype=np.uint8).reshape(n, 1, 2, 2)
    values = {"labels": np.arange(n) % 3, "classes": CLASSES, "columns": {"age": np.arange(n) * 10}} | more
    return Split(name, pictures, **values)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_taking_keeps_everything_of_each_picture(indices):
    split = make_split()
    taken = split.take(indices, name="part")
    assert taken.name == "part"
    assert len(taken) == len(indices)
    for place, index in enumerate(indices):
        np.testing.assert_array_equal(taken.pictures[place], split.pictures[index])
        assert taken.labels[place] == split.labels[index]
        assert taken.ids[place] == f"train/{index}"
        assert taken.columns["age"][place] == 10 * index


def test_files_are_taken_as_files(tmp_path):
    files = PictureFiles(tuple(tmp_path / f"{i}.png" for i in range(3)), tmp_path)
    split = Split("test", files, None, CLASSES)
    assert split.shape is None
    assert split.take([2, 0]).pictures.paths == (tmp_path / "2.png", tmp_path / "0.png")
    assert split.take([2]).labels is None


def test_counts_and_shape():
    split = make_split(4)
    assert split.counts() == {"cat": 2, "dog": 1, "owl": 1}
    assert split.shape == (1, 2, 2)
    with pytest.raises(DataError, match="have no labels"):
        make_split(labels=None).counts()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"labels": np.zeros(5, np.int64)}, "6 pictures but 5 labels"),
        ({"labels": np.array([0, 1, 2, 3, 0, 0])}, "labels from 0 to 3, but with 3 classes"),
        ({"labels": np.array([0, 1, 2, -1, 0, 0])}, "labels from -1 to 2"),
        ({"explicit_ids": np.array(["a"])}, "6 pictures but 1 ids"),
        ({"columns": {"age": np.zeros(7)}}, "6 pictures but 7 age"),
    ],
)
def test_a_split_that_does_not_fit_together(change, part):
    with pytest.raises(DataError) as caught:
        make_split(**change)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((2, 1, 2, 2), np.float32), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 4, 2, 2), np.uint8)],
)
def test_pictures_that_are_none(pictures):
    with pytest.raises(DataError, match="uint8 of shape"):
        Split("train", pictures, None, CLASSES)


def test_a_dataset_and_its_splits():
    data = Dataset("zoo", {"train": make_split(), "test": make_split(3, "test")})
    assert data.classes == CLASSES
    assert data.train is data.split("train")
    assert data.test.name == "test"
    assert [split.name for split in data] == ["train", "test"]
    assert repr(data) == "Dataset('zoo': 3 classes; train 6, test 3)"
    with pytest.raises(MissingDataError, match="no validation split; it has train and test"):
        _ = data.validation


@pytest.mark.parametrize(
    ("splits", "part"),
    [
        ({}, "has no pictures"),
        ({"train": make_split(), "test": make_split(classes=("cat", "dog", "emu"))}, "different class names"),
        ({"train": make_split(classes=("cat", "dog", "cat"))}, "'cat' occurs twice"),
    ],
)
def test_a_dataset_that_cannot_be(splits, part):
    with pytest.raises(DataError) as caught:
        Dataset("zoo", splits)
    assert part in str(caught.value)


def test_the_fingerprint_is_of_the_content_alone(tmp_path):
    split = make_split()
    data = Dataset("zoo", {"train": split})
    assert data.fingerprint == Dataset("other name", {"train": make_split()}, "described").fingerprint
    others = [
        make_split(labels=(np.arange(6) + 1) % 3),
        make_split(classes=("cat", "dog", "emu")),
        make_split(5),
        split.take([1, 0, 2, 3, 4, 5]),
        Split("train", split.pictures.reshape(6, 1, 4, 1), split.labels, CLASSES),
    ]
    prints = {Dataset("zoo", {"train": other}).fingerprint for other in others}
    assert len(prints) == len(others)
    assert data.fingerprint not in prints


def test_the_fingerprint_of_files_is_of_their_bytes(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    first = Split("train", PictureFiles((path,)), None, CLASSES).fingerprint()
    path.write_bytes(b"two")
    assert Split("train", PictureFiles((path,)), None, CLASSES).fingerprint() != first
    path.unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        Split("train", PictureFiles((path,)), None, CLASSES).fingerprint()
