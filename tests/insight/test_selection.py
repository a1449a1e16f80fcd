from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import MissingDataError, UnknownNameError, UsageError
from pellucid.insight.selection import pick


@pytest.fixture
def specification(untrained):
    return untrained("mlp", (1, 8, 8)).specification


@pytest.mark.parametrize(
    ("given", "split", "index"),
    [("digits:3", "test", 3), ("digits:test/3", "test", 3), ("digits:train/10", "train", 10)],
)
def test_a_picture_of_a_data_set_by_its_number(specification, given, split, index):
    found, name = pick(given, specification)
    data = pellucid.load("digits").split(split)
    np.testing.assert_array_equal(found.pictures, data.pictures[[index]])
    assert found.labels.tolist() == [data.labels[index]]
    assert name == f"digits {split}/{index}"


def test_a_file_an_array_and_a_split(specification, tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(pixels).save(tmp_path / "a digit.png")
    found, name = pick(str(tmp_path / "a digit.png"), specification)
    assert (len(found), name, found.labels) == (1, "a digit.png", None)
    found, name = pick(pixels, specification)
    assert name == "the picture"
    np.testing.assert_array_equal(found.pictures[0, 0], pixels)
    test = pellucid.load("digits").test
    assert pick(test.take([7]), specification)[1] == test.ids[7]


def test_a_picture_of_a_folder_by_its_number_or_its_id(specification, tmp_path):
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.fromarray(np.full((8, 8), index, np.uint8)).save(tmp_path / name / f"{index}.png")
    data = pellucid.load(tmp_path)
    found, _ = pick(f"{tmp_path}:1", specification)
    assert found.ids.tolist() == [data.test.ids[1]]
    wanted = data.train.ids[2]
    assert pick(f"{tmp_path}:{wanted}", specification)[0].ids.tolist() == [wanted]


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        (
            "nowhere.png",
            MissingDataError,
            (
                "There is no picture at nowhere.png. Give a picture file, or a test picture of a dataset by its "
                "number, as in mnist:17."
            ),
        ),
        (
            "digits:360000",
            UsageError,
            "The test split of 'digits' has 360 pictures, numbered from 0 to 359; given: 360000.",
        ),
        (
            "digits:seven",
            UsageError,
            (
                "'digits' has no picture 'seven'. Give the number of a test picture, as in digits:17, a number in "
                "another split, as in digits:train/17, or an id, as in digits:digits/0."
            ),
        ),
    ],
)
def test_what_is_not_there_is_a_sentence(specification, given, kind, sentence):
    with pytest.raises(kind) as raised:
        pick(given, specification)
    assert str(raised.value) == sentence


def test_a_data_set_that_was_mistyped_is_guessed(specification):
    with pytest.raises(UnknownNameError, match=r"data set named 'digtis'\. Did you mean 'digits'\?"):
        pick("digtis:3", specification)


def test_more_than_one_picture_is_refused(specification):
    with pytest.raises(UsageError, match=r"One picture is needed; given: 2\."):
        pick(np.zeros((2, 8, 8), np.uint8), specification)
