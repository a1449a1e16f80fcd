"""What holds for every registered data set; a new one gets these tests by being registered."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from pellucid.data.catalogue import DATASETS, Entry
from pellucid.data.loading import load
from pellucid.data.preprocessing import measure, prepare
from pellucid.records import Dataset

# Tests come in random order, and reading 60,000 pictures for each would take its time.
load_once = functools.cache(load)


@pytest.fixture(params=sorted(DATASETS), scope="module")
def loaded(request) -> tuple[Entry, Dataset]:
    entry = DATASETS[request.param]
    if entry.folder:
        request.getfixturevalue("data_root")
        if entry.found() is None:
            pytest.skip(f"{request.param} is not in PELLUCID_DATA: its contract is not tested")
    return entry, load_once(request.param)


def test_pictures_are_as_the_catalogue_says(loaded):
    entry, data = loaded
    assert {name: len(split) for name, split in data.splits.items()} == dict(entry.pictures)
    assert len(data.classes) == len(set(data.classes)) == entry.classes
    for split in data:
        assert split.shape == entry.shape
        assert split.pictures.dtype == np.uint8
        assert split.pictures.flags.c_contiguous
        assert split.labels.dtype == np.int64
        assert split.dataset == data.name
        assert all(split.counts().values()), "no class is without pictures"
    assert DATASETS[data.name] is entry
    assert data.description.endswith(".")
    assert data.notes == ()


def test_values_use_the_whole_range(loaded):
    _, data = loaded
    assert data.train.pictures.min() == 0
    assert data.train.pictures.max() == 255


def test_ids_are_unique_and_no_picture_is_in_two_splits(loaded):
    _, data = loaded
    ids = np.concatenate([split.ids for split in data])
    assert len(np.unique(ids)) == len(ids) == sum(len(split) for split in data)


def test_the_same_every_time(loaded):
    _, data = loaded
    again = load(data.name, seed=5, test_fraction=0.5)
    assert again.fingerprint == data.fingerprint, "its own test split is fixed"
    for split in data:
        np.testing.assert_array_equal(again.split(split.name).ids, split.ids)


def test_it_is_ready_for_a_network(loaded):
    _, data = loaded
    preprocessing = measure(data.train.pictures)
    assert prepare(data.train, preprocessing) is data.train.pictures
    assert preprocessing.shape == data.train.shape


def test_digits_are_scikit_learns(digits):
    from sklearn.datasets import load_digits

    truth = load_digits()
    assert digits.fingerprint == "fd6223ef19b7b7059d52ccdf6e37eff6ed7c68bf8dcfa8f61a3aa124e8b793e7", (
        "published figures depend on this split"
    )
    for split in digits:
        rows = [int(identity.split("/")[1]) for identity in split.ids]
        np.testing.assert_array_equal(split.labels, truth.target[rows])
        np.testing.assert_array_equal(np.rint(split.pictures[:, 0] / 255 * 16), truth.images[rows])
