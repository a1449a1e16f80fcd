"""Folds are stratified, keep groups whole, and never hold out all that there is of a class."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.training.methods.features import folds


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=60),
    seed=st.integers(0, 10),
    data=st.data(),
)
def test_groups_stay_whole_and_every_class_is_learned_from(labels, seed, data):
    labels = np.array(labels)
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=len(labels), max_size=len(labels))))
    found = folds(labels, groups, 5, seed)
    assert set(found.tolist()) <= {-1, 0, 1, 2, 3, 4}
    for group in np.unique(groups):
        assert len(set(found[groups == group].tolist())) == 1
    for label in np.unique(labels):
        mine = found[labels == label]
        if len(np.unique(groups[labels == label])) == 1:
            assert (mine == -1).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=80), st.integers(0, 5))
def test_each_class_is_spread_evenly(labels, seed):
    labels = np.array(labels)
    found = folds(labels, None, 5, seed)
    for label in np.unique(labels):
        counts = np.bincount(found[(labels == label) & (found >= 0)], minlength=5)
        if (labels == label).sum() > 1:
            assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(found, folds(labels, None, 5, seed))


def test_another_seed_draws_others():
    labels = np.arange(40) % 2
    assert (folds(labels, None, 5, 0) != folds(labels, None, 5, 1)).any()
