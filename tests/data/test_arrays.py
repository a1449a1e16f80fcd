import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.data import from_arrays
from pellucid.data.arrays import as_labels, as_pictures
from pellucid.errors import DataError, UsageError

GREY = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 1, 4, 5), (2, 4, 5, 1)])
def test_grey_in_every_layout(shape):
    found, notes = as_pictures(GREY.reshape(shape))
    np.testing.assert_array_equal(found, GREY[:, np.newaxis])
    assert not notes
    assert found.flags.c_contiguous


def test_colour_in_both_layouts():
    last = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    first = last.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(as_pictures(last)[0], first)
    np.testing.assert_array_equal(as_pictures(first)[0], first)


def test_ambiguous_layout_is_said():
    _, notes = as_pictures(np.zeros((2, 3, 8, 3), dtype=np.uint8))
    assert notes == ["shape (2, 3, 8, 3) was read as (N, C, H, W), channels first"]


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint8, (3, 1, 4, 4)), st.sampled_from(["u2", "i4", "i8", "f4", "f8"]))
def test_every_type_gives_the_same_bytes(pictures, dtype):
    given_as = pictures / np.array(255, dtype) if dtype.startswith("f") else pictures.astype(dtype)
    found, notes = as_pictures(given_as.astype(dtype))
    np.testing.assert_array_equal(found, pictures)
    assert found.dtype == np.uint8
    assert bool(notes) == dtype.startswith("f")


def test_truth_values_tensors_and_lists():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(as_pictures(GREY > 10)[0], (GREY > 10)[:, np.newaxis] * 255)
    np.testing.assert_array_equal(as_pictures(torch.from_numpy(GREY))[0], GREY[:, np.newaxis])
    np.testing.assert_array_equal(as_pictures(GREY.tolist())[0], GREY[:, np.newaxis])


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((2, 4, 4, 4), np.uint8), "this array has shape (2, 4, 4, 4)."),
        (np.zeros((4, 4), np.uint8), "this array has shape (4, 4)."),
        (np.zeros((2, 0, 4), np.uint8), "These pictures have no pixels: their shape is (2, 1, 0, 4)."),
        (
            np.full((1, 2, 2), 256),
            "Pictures of type int64 must be whole numbers from 0 to 255; these range from 256 to 256.",
        ),
        (np.full((1, 2, 2), -1), "these range from -1 to -1."),
        (
            np.full((1, 2, 2), 256.5),
            "Pictures of type float64 must be fractions from 0 to 1; these range from 256.5 to 25",
        ),
        (
            np.array([[[0.0, 255.0]]]),
            "these range from 0.0 to 255.0. Divide them by 255, or convert them to uint8.",
        ),
        (np.full((1, 2, 2), np.nan), "these range from nan to nan."),
        (np.full((1, 2, 2), "x"), "Pictures must be numbers from 0 to 255; this array is <U1."),
    ],
)
def test_refused_pictures(images, sentence):
    with pytest.raises(DataError) as error:
        as_pictures(images)
    assert sentence in str(error.value)


def test_a_dataset_of_arrays():
    data = from_arrays(GREY, ["bee", "ant"], test=(GREY, ["ant", "ant"]), columns={"ids": ["a", "b"], "groups": [1, 2]})
    assert data.classes == ("ant", "bee")
    assert data.train.labels.tolist() == [1, 0]
    assert data.test.labels.tolist() == [0, 0]
    assert data.train.ids.tolist() == ["a", "b"]
    assert data.train.columns["groups"].tolist() == [1, 2]
    assert data.name == "arrays"
    assert list(data.splits) == ["train", "test"]


def test_class_names_of_numbers():
    assert from_arrays(GREY, [0, 2]).classes == ("0", "1", "2")
    assert from_arrays(GREY, [0, 1], ["ant", "bee"]).classes == ("ant", "bee")
    assert from_arrays(GREY, ["bee", "bee"], ["ant", "bee"]).train.labels.tolist() == [1, 1]


def test_a_test_split_is_carved_only_when_asked(digits):
    pictures, labels = digits.train.pictures, digits.train.labels
    assert list(from_arrays(pictures, labels).splits) == ["train"]
    data = from_arrays(pictures, labels, test=0.25, seed=3, validation=(pictures[:9], labels[:9]))
    assert [len(split) for split in data] == [1077, 9, 360]
    assert data.notes == (
        "the data have no test split: 360 pictures (25 % of each class) were split off with seed 3",
        "validation lacks the class '9'",
    )
    with pytest.raises(UsageError, match="test is 2"):
        from_arrays(pictures, labels, test=2)


def test_what_was_decided_is_noted():
    data = from_arrays(GREY / 255, [0, 1], test=(np.zeros((1, 7, 7), np.uint8), [0]))
    assert data.notes == (
        "train: values from 0 to 1 were multiplied by 255 and rounded",
        "pictures differ in shape between splits: train (1, 4, 5), test (1, 7, 7)",
        "test lacks the class '1'",
    )


def test_labels_numbered_from_one_are_noted():
    data = from_arrays(GREY, [1, 2], test=(GREY, [2, 1]))
    assert data.classes == ("0", "1", "2")
    assert data.notes == (
        "no label is 0, although class numbers start at 0: do these labels start at 1?",
        "train lacks the class '0'",
        "test lacks the class '0'",
    )
    assert from_arrays(GREY, [1, 1], ["ant", "bee"]).notes == ("train lacks the class 'ant'",)
    assert from_arrays(GREY, [0, 2]).notes == ("train lacks the class '1'",)
    assert from_arrays(GREY, ["bee", "ant"]).notes == ()


class _NoValue:
    """As pandas' NA is: comparing it gives nothing that is true or false."""

    def __ne__(self, other: object) -> bool:
        raise TypeError

    __eq__ = __ne__
    __hash__ = None


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), _NoValue()])
@pytest.mark.parametrize("made", [list, tuple, lambda values: np.array(values, dtype=object)])
@pytest.mark.parametrize("classes", [None, ["ant", "nan", "None"]])
def test_missing_labels_are_refused(missing, made, classes):
    with pytest.raises(DataError) as error:
        from_arrays(GREY, made(["ant", missing]), classes)
    assert str(error.value) == (
        "1 of 2 labels is missing (None or NaN), the first at index 1. Leave those pictures out, or give them "
        "their own class."
    )
    with pytest.raises(DataError, match=r"^2 of 2 labels are missing \(None or NaN\), the first at index 0\."):
        from_arrays(GREY, [0, 1], test=(GREY, made([missing, missing])))


def test_classes_may_be_called_nan_and_none():
    assert from_arrays(GREY, ["nan", "None"]).classes == ("None", "nan")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": [0]}, "The train split has 2 pictures but 1 labels; each picture needs exactly one."),
        (
            {"labels": [0, -1]},
            "The train split has labels from -1 to 0, but with 1 class they must lie between 0 and 0.",
        ),
        ({"labels": [0, 5], "classes": ["a", "b"]}, "labels from 0 to 5, but with 2 classes"),
        ({"labels": [0, 10**9]}, "The highest label is 1000000000, which would mean 1,000,000,001 classes."),
        ({"labels": [0.5, 1]}, "Labels must be whole numbers from 0, or class names; these are float64."),
        ({"labels": [[0], [1]]}, "Labels must be one value per picture; these have shape (2, 1)."),
        ({"labels": ["a", "c"], "classes": ["a", "b"]}, "The label 'c' is not one of the classes a, b."),
        ({"classes": ["a", "a"]}, "The class names contain a duplicate: a, a."),
        (
            {"columns": {"ids": ["x", "x"]}},
            "Several pictures have the same id; each picture needs its own id.",
        ),
        ({"columns": {"age": [1, 2]}}, "Unknown column 'age': the columns of arrays are 'ids' and 'groups'."),
        ({"columns": {"groups": [1]}}, "The train split has 2 pictures but 1 groups"),
        ({"test": (GREY[:0], [])}, "The test split has no pictures."),
        ({"test": GREY}, "test must be (images, labels), for example `test=(pictures, labels)`."),
        ({"images": [GREY[0], GREY[0, :2]]}, "These pictures cannot be converted to one array: "),
        ({"labels": [[0], [0, 1]]}, "These labels cannot be converted to one array: "),
    ],
)
def test_refused_arrays(change, sentence):
    with pytest.raises((DataError, UsageError)) as error:
        from_arrays(**({"images": GREY, "labels": [0, 1]} | change))
    assert sentence in str(error.value)


def test_labels_alone():
    assert as_labels(np.array(["b", "a"], dtype=object), ("a", "b")).tolist() == [1, 0]
    assert as_labels(np.array([1], dtype=np.uint8), ("a", "b")).dtype == np.int64
