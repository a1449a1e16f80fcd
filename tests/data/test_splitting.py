import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data.splitting import carve, carved_note, lacking, with_validation
from pellucid.errors import DataError, UsageError
from pellucid.records import Dataset, PictureFiles, Split


def split_of(labels, classes=None, columns=None) -> Split:
    labels = np.asarray(labels, dtype=np.int64)
    pictures = np.zeros((len(labels), 1, 1, 1), dtype=np.uint8)
    names = tuple(str(i) for i in range(classes or int(labels.max()) + 1))
    return Split("train", pictures, labels, names, columns=columns or {})


def files_of(ids, labels, classes=None, columns=None) -> Split:
    """As `split_of`, but of files with names; carving opens none of them."""
    labels = np.asarray(labels, dtype=np.int64)
    names = tuple(str(i) for i in range(classes or int(labels.max()) + 1))
    files = PictureFiles(tuple(Path(one) for one in ids))
    return Split("train", files, labels, names, given_ids=np.array(ids), columns=columns or {})


labels_of_many_classes = st.lists(st.integers(0, 6), min_size=2, max_size=200).filter(
    lambda labels: any(labels.count(label) > 1 for label in labels)
)
fractions = st.floats(0.01, 0.99)


@settings(max_examples=150, deadline=None)
@given(labels=labels_of_many_classes, fraction=fractions, seed=st.integers(0, 2**40))
def test_disjoint_complete_and_within_one_of_each_class_share(labels, fraction, seed):
    split = split_of(labels)
    rest, carved = carve(split, fraction, seed, name="validation")
    assert sorted([*rest.ids, *carved.ids]) == sorted(split.ids)
    for label, n in enumerate(np.bincount(labels)):
        count = int((carved.labels == label).sum())
        assert abs(count - n * fraction) <= 1
        if n >= 2:
            assert 1 <= count <= n - 1
        else:
            assert count == 0


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(20, 60), min_size=2, max_size=6), fraction=st.floats(0.1, 0.9))
def test_the_whole_is_exact_where_no_class_is_tiny(sizes, fraction):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    _, carved = carve(split_of(labels), fraction, 0, name="test")
    assert len(carved) == math.ceil(sum(sizes) * fraction - 1e-9)


@settings(max_examples=40, deadline=None)
@given(labels=labels_of_many_classes, fraction=fractions, seed=st.integers(0, 100))
def test_the_same_whatever_numpy_did_before(labels, fraction, seed):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the global state is what is tested)
    first = carve(split_of(labels), fraction, seed, name="validation")[1].ids
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(carve(split_of(labels), fraction, seed, name="validation")[1].ids, first)


def test_pinned_choice():
    # The same on every platform and version: published figures depend on it.
    _, carved = carve(split_of([0, 1] * 20), 0.2, 0, name="validation")
    assert [int(i.split("/")[1]) for i in carved.ids] == PINNED


PINNED = [2, 9, 16, 22, 29, 33, 34, 35]


def test_pinned_choice_of_files():
    ids = [f"{'ab'[i % 2]}/{i:02}.png" for i in range(40)]
    _, carved = carve(files_of(ids, [0, 1] * 20), 0.2, 0, name="validation")
    assert [int(i[2:4]) for i in carved.ids] == PINNED_FILES


PINNED_FILES = [3, 7, 16, 17, 27, 30, 32, 36]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(5, 40), min_size=2, max_size=4),
    lost=st.sets(st.integers(0, 159), max_size=3),
    added=st.integers(0, 3),
    seed=st.integers(0, 9),
)
def test_files_keep_their_side_when_others_come_and_go(sizes, lost, added, seed):
    ids = [f"{label}/{i:02}.png" for label, n in enumerate(sizes) for i in range(n)]
    before = set(carve(files_of(ids, [int(i[0]) for i in ids]), 0.2, seed, name="test")[1].ids)
    changed = [one for i, one in enumerate(ids) if i not in lost] + [f"0/{i}-new.png" for i in range(added)]
    changed.sort()
    split = files_of(changed, [int(i[0]) for i in changed], len(sizes))
    after = set(carve(split, 0.2, seed, name="test")[1].ids)
    moved = (before ^ after) & set(ids) & set(changed)
    # One goes over for each file that came or went, and one for each class whose count was rounded otherwise.
    assert len(moved) <= len(set(ids) ^ set(changed)) + len(sizes)
    if not set(ids) ^ set(changed):
        assert not moved


def test_one_more_file_moves_at_most_one_of_many():
    ids = [f"{i:03}.png" for i in range(200)]
    before = set(carve(files_of(ids, [0] * 100 + [1] * 100), 0.2, 0, name="test")[1].ids)
    # It comes first, so that the place of every other one changes.
    after = set(carve(files_of(["!.png", *ids], [0] * 101 + [1] * 100), 0.2, 0, name="test")[1].ids)
    assert len(before - after) <= 1


def test_arrays_go_by_their_places():
    # Published figures depend on it: names make no difference to pictures in memory.
    split = split_of([0, 1] * 20)
    named = Split(
        "train", split.pictures, split.labels, split.classes, given_ids=np.array([f"x{i}" for i in range(40)])
    )
    chosen = [int(i[1:]) for i in carve(named, 0.2, 0, name="validation")[1].ids]
    assert chosen == PINNED


@pytest.mark.parametrize("split", [split_of([0, 1] * 100), files_of([f"{i}.png" for i in range(200)], [0, 1] * 100)])
def test_seed_and_name_choose_differently(split):
    chosen = {tuple(carve(split, 0.2, seed, name=name)[1].ids) for seed in (0, 1) for name in ("validation", "test")}
    assert len(chosen) == 4


def test_order_names_and_whole_products():
    split = split_of([0] * 30 + [1] * 30)
    rest, carved = carve(split, 0.1, 0, name="validation")
    assert (rest.name, carved.name) == ("train", "validation")
    assert len(carved) == 6, "0.1 × 30 is 3.0000000000000004 in floating point"
    positions = [int(i.split("/")[1]) for i in rest.ids]
    assert positions == sorted(positions)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), fraction=st.floats(0.1, 0.6), seed=st.integers(0, 50))
def test_groups_stay_together(data, fraction, seed):
    n = data.draw(st.integers(30, 90))
    groups = np.array(data.draw(st.lists(st.integers(0, 14), min_size=n, max_size=n)))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    try:
        rest, carved = carve(split_of(labels, 3, {"groups": groups}), fraction, seed, name="validation")
    except DataError as error:
        assert "groups" in str(error)  # noqa: PT017
        return
    assert not set(rest.columns["groups"]) & set(carved.columns["groups"])
    assert len(rest) + len(carved) == n


def test_many_groups_come_near_the_share():
    groups = np.repeat(np.arange(100), 4)
    _, carved = carve(split_of(groups % 5, 5, {"groups": groups}), 0.2, 0, name="validation")
    assert np.bincount(carved.labels).tolist() == [16] * 5


@settings(max_examples=40, deadline=None)
@given(labels=labels_of_many_classes, fraction=fractions, seed=st.integers(0, 9))
def test_groups_of_one_picture_change_nothing(labels, fraction, seed):
    alone = np.array([f"g{i}" for i in range(len(labels))])
    found = carve(split_of(labels, 7, {"groups": alone}), fraction, seed, name="test")[1].ids
    np.testing.assert_array_equal(found, carve(split_of(labels, 7), fraction, seed, name="test")[1].ids)


def test_pinned_choice_of_groups():
    groups = np.arange(60) // 3
    _, carved = carve(split_of([0, 1, 2, 0, 0, 1] * 10, 3, {"groups": groups}), 0.3, 0, name="test")
    assert np.unique(carved.columns["groups"]).tolist() == PINNED_GROUPS


PINNED_GROUPS = [3, 4, 5, 6, 12, 17]


def test_with_validation_keeps_what_is_there():
    train = split_of([0, 1] * 10)
    dataset = Dataset("some", {"train": train, "test": split_of([0, 1])})
    found = with_validation(dataset, 0.2, 0)
    assert list(found.splits) == ["train", "validation", "test"]
    assert [len(split) for split in found] == [16, 4, 2]
    assert found.test is dataset.test
    assert with_validation(found, 0.5, 1) is found


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fractions_that_are_none(fraction):
    with pytest.raises(UsageError) as error:
        carve(split_of([0, 0, 1, 1]), fraction, 0, name="test")
    assert str(error.value) == f"fraction is {fraction}; it must lie between 0 and 1, for example 0.2 for a fifth."


def test_negative_seed():
    with pytest.raises(UsageError, match="The seed is -1; it must be 0 or more"):
        carve(split_of([0, 0, 1, 1]), 0.5, -1, name="test")


def test_too_few_to_carve():
    with pytest.raises(DataError) as error:
        carve(split_of([0, 1, 2]), 0.5, 0, name="validation")
    assert str(error.value) == (
        "The train split has 3 pictures, too few to carve a validation split from it: some class needs at least two."
    )


def test_sentences_on_splits():
    many = Split("validation", np.zeros((1, 1, 1, 1), np.uint8), np.array([0]), tuple(str(i) for i in range(13)))
    assert lacking({"validation": many}) == [
        "validation lacks the classes '1', '2', '3', '4', '5', '6', '7', '8', '9', '10' and 2 more"
    ]
    assert lacking({"train": split_of([0, 0], classes=2)}) == ["train lacks the class '1'"]
    assert lacking({"train": split_of([0, 1])}) == []
    assert carved_note(1234, 0.2, 5).endswith("1,234 pictures (20 % of each class) were set apart by seed 5")


def scenes(numbers, edge=16) -> np.ndarray:
    """Pictures by number: coarse random patterns, so that other numbers are quite other pictures."""
    made = [np.random.default_rng(int(n)).integers(0, 256, (1, 4, 4), dtype=np.uint8) for n in numbers]
    return np.repeat(np.repeat(np.stack(made), edge // 4, axis=2), edge // 4, axis=3)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), fraction=st.floats(0.1, 0.5), seed=st.integers(0, 9))
def test_copies_and_groups_stay_whole_whatever_is_carved(data, fraction, seed):
    n = data.draw(st.integers(24, 60))
    shown = np.array(data.draw(st.lists(st.integers(0, 19), min_size=n, max_size=n)))
    groups = np.array(data.draw(st.lists(st.integers(0, 14), min_size=n, max_size=n)))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    pictures = scenes(shown)
    mirrored = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    pictures[mirrored] = pictures[mirrored][..., ::-1]
    split = Split("train", pictures, labels, ("a", "b", "c"), columns={"groups": groups, "shown": shown})
    try:
        rest, carved = carve(split, fraction, seed, name="test")
    except DataError:
        return  # all of it hangs together
    assert sorted([*rest.ids, *carved.ids]) == sorted(split.ids), "disjoint, and complete"
    assert not set(rest.columns["groups"]) & set(carved.columns["groups"])
    assert not set(rest.columns["shown"]) & set(carved.columns["shown"])


def test_copies_may_be_torn_apart_where_that_is_asked_for():
    split = Split("train", scenes([0] * 10), np.array([0, 1] * 5), ("a", "b"))
    assert len(carve(split, 0.2, 0, name="test", copies=False)[1]) == 2
    with pytest.raises(DataError) as error:
        carve(split, 0.2, 0, name="test")
    assert str(error.value).endswith("at least two, of different groups and not copies of each other.")


def test_files_keep_their_side_when_they_are_moved(tmp_path):
    from PIL import Image

    paths = []
    for i, picture in enumerate(scenes(range(60))):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(picture[0]).save(paths[-1])
    labels = np.arange(60) % 2

    def carved(files, ids) -> set[bytes]:
        split = Split("train", PictureFiles(tuple(files)), labels, ("a", "b"), given_ids=np.array(ids))
        return {path.read_bytes() for path in carve(split, 0.2, 0, name="test")[1].pictures.paths}

    before = carved(paths, [path.name for path in paths])
    (tmp_path / "deeper").mkdir()
    moved = [path.rename(tmp_path / "deeper" / f"moved-{path.name}") for path in paths]
    assert carved(moved, [path.name for path in moved]) == before
    assert len(before) == 12


@settings(max_examples=10, deadline=None)
@given(added=st.integers(1, 4), seed=st.integers(0, 5))
def test_files_stay_when_others_are_added(tmp_path_factory, added, seed):
    from PIL import Image

    folder = tmp_path_factory.mktemp("files")
    numbers = [*range(40), 0, 1]  # two of them are copies
    paths = []
    for i, picture in enumerate(scenes([*numbers, *range(100, 100 + added)])):
        paths.append(folder / f"{i}.png")
        Image.fromarray(picture[0]).save(paths[-1])

    def carved(n: int) -> set[str]:
        labels = np.array([number % 2 for number in [*numbers, *range(100, 100 + added)][:n]])
        ids = np.array([path.name for path in paths[:n]])
        split = Split("train", PictureFiles(tuple(paths[:n])), labels, ("a", "b"), given_ids=ids)
        return set(carve(split, 0.25, seed, name="test")[1].ids.tolist())

    before, after = carved(42), carved(42 + added)
    assert len(before ^ (after & {path.name for path in paths[:42]})) <= 2 * added + 4
