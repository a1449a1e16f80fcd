import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import cache, sides
from pellucid.data.checking.near_duplicates import components
from pellucid.data.splitting import carve, carve_test, lacking, with_validation
from pellucid.errors import CacheWarning, DataError, UsageError
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
    return Split("train", files, labels, names, explicit_ids=np.array(ids), columns=columns or {})


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


def photos_of(contents, labels, folder, columns=None) -> Split:
    """Files with real bytes, which are no pictures: carving looks at them alone where no copies are looked for."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{content}.png" for content in contents]
    for path in paths:
        path.write_bytes(path.name.encode())
    labels = np.asarray(labels, dtype=np.int64)
    ids = np.array([path.name for path in paths])
    return Split("train", PictureFiles(tuple(paths)), labels, ("a", "b", "c"), explicit_ids=ids, columns=columns or {})


def carved_of(split, fraction, seed) -> set[str]:
    return set(carve(split, fraction, seed, name="test", copies=False)[1].ids.tolist())


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 3)), min_size=1, max_size=4),
    fraction=st.sampled_from([0.1, 0.2, 1 / 3]),
    seed=st.integers(0, 3),
    grouped=st.booleans(),
    start=st.integers(0, 10**6),
)
def test_no_file_changes_its_side_when_others_come_and_go(tmp_path_factory, steps, fraction, seed, grouped, start):
    cache.clear("splits")
    folder, there, sides = tmp_path_factory.mktemp("files"), list(range(start, start + 40)), {}
    for added, removed in [(0, 0), *steps]:
        there = [*there[removed:], *range(there[-1] + 1, there[-1] + 1 + added)]
        labels = [content % 3 for content in there]
        columns = {"groups": np.array([f"g{content // 2}" for content in there])} if grouped else None
        # In another folder each time, too: only the content counts.
        folder = folder / "deeper"
        split = photos_of(there, labels, folder, columns)
        carved = carved_of(split, fraction, seed)
        now = {one: one in carved for one in split.ids.tolist()}
        for label, n in enumerate(np.bincount(labels)):
            members = [f"{content}.png" for content in there if content % 3 == label]
            earlier = {one: sides[one] for one in members if one in sides}
            if len(earlier) < n or len(set(earlier.values())) > 1:  # else it is shared out anew, as it should be
                assert {one: now[one] for one in earlier} == earlier
            count = sum(now[one] for one in members)
            # Those removed may leave it so many too many or too few, and a group goes over as a whole.
            assert abs(count - n * fraction) <= 1 + sum(lost for _, lost in steps) + 2 * grouped
        sides |= now


def test_a_share_is_filled_up_from_what_is_new(tmp_path):
    labels = [0] * 60 + [1] * 20
    first = carved_of(photos_of(range(80), labels, tmp_path), 0.2, 0)
    split = photos_of(range(200), [*labels, *[0] * 60, *[1] * 60], tmp_path)
    second = carved_of(split, 0.2, 0)
    assert first < second
    assert [sum(int(one[:-4]) in members for one in second) for members in ({*range(60), *range(80, 140)},)] == [24]
    assert len(second) == 40


def test_it_is_said_how_many_stay_where_they_were(tmp_path):
    for n, said in ((40, ""), (40, ""), (46, "40 of all 46"), (46, "40 of all 46"), (43, "43 of all 43"), (40, "")):
        _, _, note = carve_test(photos_of(range(n), [0] * n, tmp_path), 0.2, 0)
        tail = f"; {said} stay in the split that they were in before" if said else ""
        assert note.endswith(f"were split off with seed 0{tail}"), note


def test_a_class_whose_set_apart_files_are_all_gone_is_shared_out_anew(tmp_path):
    labels = [0] * 20 + [1] * 20
    before = carved_of(photos_of(range(40), labels, tmp_path), 0.2, 0)
    left = [i for i in range(40) if i >= 20 or f"{i}.png" not in before]
    after = carved_of(photos_of(left, [labels[i] for i in left], tmp_path), 0.2, 0)
    assert {one for one in before if int(one[:-4]) >= 20} == {one for one in after if int(one[:-4]) >= 20}
    assert sum(int(one[:-4]) < 20 for one in after) in (3, 4)


def test_what_a_new_file_joins_goes_to_the_rest(tmp_path):
    before = carved_of(photos_of(range(20), [0] * 20, tmp_path, {"groups": np.arange(20)}), 0.2, 0)
    apart, rest = int(min(before)[:-4]), next(i for i in range(20) if f"{i}.png" not in before)
    groups = np.arange(21)
    groups[[apart, 20]] = groups[rest]
    after = carved_of(photos_of(range(21), [0] * 21, tmp_path, {"groups": groups}), 0.2, 0)
    assert before - after == {f"{apart}.png"}


def test_another_seed_fraction_or_set_holds_nothing(tmp_path):
    chosen = carved_of(photos_of(range(40), [0] * 40, tmp_path), 0.2, 0)
    assert carved_of(photos_of(range(40), [0] * 40, tmp_path), 0.2, 1) != chosen
    assert len(carved_of(photos_of(range(40), [0] * 40, tmp_path), 0.5, 0)) == 20
    # Of a set of which most is gone: 15 of 40 are left.
    few = photos_of(range(15), [0] * 15, tmp_path)
    found = carved_of(few, 0.2, 0)
    cache.clear("splits")
    assert carved_of(few, 0.2, 0) == found


def test_the_record_of_a_set_that_grew_takes_the_place_of_the_one_before(tmp_path):
    for n in (40, 41, 45):
        carved_of(photos_of(range(n), [0] * n, tmp_path), 0.2, 0)
        assert len(cache.entries("splits")) == 1
    small = carved_of(photos_of(range(40), [0] * 40, tmp_path), 0.2, 0)
    assert small == {one for one in carved_of(photos_of(range(45), [0] * 45, tmp_path), 0.2, 0) if int(one[:-4]) < 40}


def test_a_set_keeps_its_split_whatever_happens_to_others(tmp_path):
    # Each of them grew or shrank before, so a hash alone would share it out otherwise.
    def small() -> set[str]:
        return carved_of(photos_of(range(50), [0] * 50, tmp_path), 0.2, 0)

    carved_of(photos_of(range(25), [0] * 25, tmp_path), 0.2, 0)
    first = small()
    for n in (90, 150, 280, 500):
        carved_of(photos_of(range(n), [0] * n, tmp_path), 0.2, 0)
    assert small() == first
    cache.clear("splits")
    assert small() != first, "else nothing was tested"

    carved_of(photos_of(range(60), [0] * 60, tmp_path), 0.2, 0)
    first = small()
    for n in (100, 190):
        carved_of(photos_of(range(n), [0] * n, tmp_path), 0.2, 0)
    assert small() == first


def test_sets_that_are_joined_keep_their_sides(tmp_path):
    # Each of them grew before, so a hash alone would share it out otherwise.
    for n in (20, 40):
        apart = [carved_of(photos_of(range(i, i + n), [0] * n, tmp_path), 0.2, 0) for i in (0, 100)]
    both = photos_of([*range(40), *range(100, 140)], [0] * 80, tmp_path)
    assert carved_of(both, 0.2, 0) == set.union(*apart)
    cache.clear("splits")
    assert carved_of(both, 0.2, 0) != set.union(*apart), "else nothing was tested"


def test_a_record_that_two_processes_replaced_counts_once(tmp_path):
    def carved(n: int) -> Path:
        carved_of(photos_of(range(n), [0] * n, tmp_path), 0.2, 0)
        [entry] = cache.entries("splits")
        return entry.path

    first = carved(40)
    content = first.read_bytes()
    second = carved(45)
    first.write_bytes(content)  # so does a process that has not read the second one yet leave it
    carved(50)
    assert not second.exists()
    assert len(cache.read_arrays(carved(50))["names"]) == 3


def test_one_process_carves_at_a_time(tmp_path, monkeypatch):
    split, recalled = photos_of(range(40), [0] * 40, tmp_path), sides.recalled

    def look(*given: object) -> tuple[np.ndarray, sides.Stay | None]:
        with pytest.raises(TimeoutError), cache.locked(cache.folder("splits"), wait=False):
            pass
        return recalled(*given)

    monkeypatch.setattr(sides, "recalled", look)
    carved_of(split, 0.2, 0)
    with cache.locked(cache.folder("splits"), wait=False):
        pass


def test_a_set_may_shrink_by_and_by(tmp_path):
    before = carved_of(photos_of(range(80), [0] * 80, tmp_path), 0.2, 0)
    for gone in (30, 45):
        there = range(gone, 80)
        assert carved_of(photos_of(there, [0] * len(there), tmp_path), 0.2, 0) == {
            one for one in before if int(one[:-4]) >= gone
        }


def test_a_class_that_loses_its_test_files_to_the_rest_is_shared_out_at_once(tmp_path):
    labels = [0] * 20 + [1] * 5
    apart = [
        int(one[:-4]) for one in carved_of(photos_of(range(25), labels, tmp_path, {"groups": np.arange(25)}), 0.2, 0)
    ]
    groups = np.arange(25)
    [lost] = [one for one in apart if one >= 20]
    groups[lost] = next(i for i in range(20, 25) if i != lost)
    split = photos_of(range(25), labels, tmp_path, {"groups": groups})
    _, test, note = carve_test(split, 0.2, 0)
    assert test.counts() == {"a": 4, "b": 1, "c": 0}
    assert note.endswith("; test pictures that were training pictures before: 1")
    _, again, noted = carve_test(split, 0.2, 0)
    assert (again.ids.tolist(), noted) == (test.ids.tolist(), note)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), start=st.integers(0, 10**6))
def test_the_same_again_gives_the_same(tmp_path_factory, data, start):
    cache.clear("splits")
    folder, n = tmp_path_factory.mktemp("files"), 12

    def draw() -> Split:
        labels = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
        columns = {"groups": np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)))}
        return photos_of(range(start, start + n), labels, folder, columns)

    for split in (draw(), draw(), draw()):
        try:
            first = carved_of(split, 0.3, 0)
        except DataError:
            continue
        assert carved_of(split, 0.3, 0) == first


def test_a_damaged_record_is_none_and_an_unwritable_cache_no_trouble(tmp_path, monkeypatch):
    split = photos_of(range(40), [0] * 40, tmp_path)
    first = carved_of(split, 0.2, 0)
    [entry] = cache.entries("splits")
    entry.path.write_bytes(entry.path.read_bytes()[:100])
    with pytest.warns(CacheWarning, match="A past split in the cache was damaged and is ignored, so pictures may move"):
        assert carved_of(split, 0.2, 0) == first
    cache.write_arrays(entry.path, something=np.arange(3))
    assert carved_of(split, 0.2, 0) == first
    (tmp_path / "no-folder").touch()
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "no-folder"))
    assert carved_of(split, 0.2, 0) == first
    note = carve_test(split, 0.2, 0)[2]
    assert note.endswith("cannot be written to, so pictures may change splits when others are added or removed")


def test_equal_files_on_both_sides_are_not_held(tmp_path):
    paths = tuple(tmp_path / f"{i}.png" for i in range(40))
    for path in paths:
        path.write_bytes(b"the same")
    split = Split("train", PictureFiles(paths), np.zeros(40, dtype=np.int64), ("a",))
    assert carved_of(split, 0.2, 0) == carved_of(split, 0.2, 0)
    assert len(carved_of(split, 0.2, 0)) == 8


def test_arrays_go_by_their_places():
    # Published figures depend on it: names make no difference to pictures in memory.
    split = split_of([0, 1] * 20)
    named = Split(
        "train", split.pictures, split.labels, split.classes, explicit_ids=np.array([f"x{i}" for i in range(40)])
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


def test_no_class_lacks_many_because_the_others_have_theirs(tmp_path):
    # Of these, class 2 got one of 14: in every group that would help it, another class had its share already.
    numbers = range(188, 228)
    columns = {"groups": np.array([number // 2 for number in numbers])}
    split = photos_of(numbers, [number % 3 for number in numbers], tmp_path, columns)
    counts = carve(split, 1 / 3, 0, name="test", copies=False)[1].counts()
    assert all(3 <= n <= 6 for n in counts.values()), counts


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
    assert str(error.value) == f"fraction is {fraction}; it must be between 0 and 1, for example 0.2 for a fifth."


def test_negative_seed():
    with pytest.raises(UsageError, match="The seed is -1; it must be 0 or more"):
        carve(split_of([0, 0, 1, 1]), 0.5, -1, name="test")


def test_too_few_to_carve():
    with pytest.raises(DataError) as error:
        carve(split_of([0, 1, 2]), 0.5, 0, name="validation")
    assert str(error.value) == (
        "The train split has 3 pictures, too few to split off a validation split: a class needs at least two."
    )


def test_sentences_on_splits():
    many = Split("validation", np.zeros((1, 1, 1, 1), np.uint8), np.array([0]), tuple(str(i) for i in range(13)))
    assert lacking({"validation": many}) == [
        "validation lacks the classes '1', '2', '3', '4', '5', '6', '7', '8', '9', '10' and 2 more"
    ]
    assert lacking({"train": split_of([0, 0], classes=2)}) == ["train lacks the class '1'"]
    assert lacking({"train": split_of([0, 1])}) == []
    train, test, note = carve_test(split_of([0, 1] * 3000, columns={"groups": np.arange(6000)}), 0.2, 5)
    assert (train.name, len(train), test.name, len(test)) == ("train", 4800, "test", 1200)
    assert note == "the data have no test split: 1,200 pictures (20 % of each class) were split off with seed 5"


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
        rest, carved, note = carve_test(split, fraction, seed)
    except DataError:
        return  # its groups hang together
    assert sorted([*rest.ids, *carved.ids]) == sorted(split.ids), "disjoint, and complete"
    assert not set(rest.columns["groups"]) & set(carved.columns["groups"])
    if "in both splits" not in note:
        assert not set(rest.columns["shown"]) & set(carved.columns["shown"])
    else:  # only if no whole component of copies and groups would bring the class counts nearer to the stratified ones
        everyone = np.arange(n)
        _, group = np.unique(groups, return_inverse=True)
        ties = np.concatenate([n + group, n + 15 + shown])
        component = components(n + 35, np.tile(everyone, 2), ties)[:n]
        wanted = np.floor(fraction * np.bincount(labels, minlength=3))
        for one in np.unique(component):
            counts = np.bincount(labels[component == one], minlength=3)
            assert ((wanted - counts) ** 2).sum() >= (wanted**2).sum()


def test_copies_may_be_torn_apart_where_that_is_asked_for():
    split = Split("train", scenes([0] * 10), np.array([0, 1] * 5), ("a", "b"))
    assert len(carve(split, 0.2, 0, name="test", copies=False)[1]) == 2
    train, test, note = carve_test(split, 0.2, 0)
    assert (len(train), len(test)) == (8, 2), "never a refusal"
    assert note.endswith("nearly all pictures are the same, so copies are in both splits, and the accuracy is too high")


def test_declared_groups_are_never_torn_apart():
    split = Split("train", scenes(range(10)), np.array([0, 1] * 5), ("a", "b"), columns={"groups": np.zeros(10)})
    with pytest.raises(DataError) as error:
        carve(split, 0.2, 0, name="test")
    assert str(error.value).endswith("a class needs at least two of different groups.")


def test_files_keep_their_side_when_they_are_moved(tmp_path):
    from PIL import Image

    paths = []
    for i, picture in enumerate(scenes(range(60))):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(picture[0]).save(paths[-1])
    labels = np.arange(60) % 2

    def carved(files, ids) -> set[bytes]:
        split = Split("train", PictureFiles(tuple(files)), labels, ("a", "b"), explicit_ids=np.array(ids))
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
        split = Split("train", PictureFiles(tuple(paths[:n])), labels, ("a", "b"), explicit_ids=ids)
        return set(carve(split, 0.25, seed, name="test")[1].ids.tolist())

    before, after = carved(42), carved(42 + added)
    assert before == after & {path.name for path in paths[:42]}
