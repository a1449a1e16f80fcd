"""Folders that are splits are not taken for classes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.data.split_names import split_folders, split_of
from pellucid.errors import DataError, UsageError
from pellucid.records.paths import command_line


def make(root, *folders: str, count: int = 3) -> None:
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng((number, i)).integers(0, 256, (9, 9), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i}.png")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training set", "train"), ("training_set", "train"), ("train_images", "train"),
        ("dataset_train", "train"), ("TRAIN-DATA", "train"), ("TrainingSet", "train"), ("trainset", "train"),
        ("valid", "validation"), ("Validation", "validation"), ("dev", "validation"), ("val_images", "validation"),
        ("test_set", "test"), ("Test set", "test"), ("eval", "test"), ("holdout", "test"), ("hold-out", "test"),
        ("held out", "test"), ("trains", None), ("tests", None), ("train_1", None), ("test cats", None), ("cat", None),
        ("data", None), ("developer", None), ("evaluate_me", None),
    ],
)  # fmt: skip
def test_the_split_that_a_name_means(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"), ("Training set", "Test set"), ("train_images", "test_images"),
        ("dataset_train", "dataset_test"), ("TRAIN", "HOLDOUT"), ("train", "eval"),
    ],
)  # fmt: skip
def test_folders_with_such_names_are_splits(train, test, tmp_path):
    make(tmp_path, f"{train}/cat", f"{train}/dog", f"{test}/cat", f"{test}/dog")
    data = pellucid.load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert {name: len(data.split(name)) for name in data.splits} == {"train": 6, "test": 6}


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "test", "eval"), {"train": "train", "test": "test", "eval": "validation"}),
        (("train", "val", "test", "eval"), {"train": "train", "val": "validation", "test": "test"}),
        (("train", "dev", "holdout"), {"train": "train", "dev": "validation", "holdout": "test"}),
        (("train", "test", "holdout"), {"train": "train", "test": "test"}),
        (("train", "valid", "validation"), {"train": "train", "valid": "validation", "validation": "validation"}),
    ],
)
def test_a_second_folder_for_one_split(folders, splits):
    assert split_folders(folders) == splits


def test_a_folder_beside_the_splits_is_left_out_with_its_number_of_pictures(tmp_path):
    make(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog", "holdout/cat", "notes")
    data = pellucid.load(tmp_path)
    assert "the folder 'holdout' with 3 pictures was left out: it is next to the splits" in data.notes
    assert "the folder 'notes' with 3 pictures was left out: it is next to the splits" in data.notes
    assert set(data.splits) == {"train", "test"}


def test_folders_that_may_be_either_are_asked_about(tmp_path):
    make(tmp_path, "train_1/cat", "train_2/dog", "test_1/cat")
    with pytest.raises(DataError) as caught:
        pellucid.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has the folders 'test_1', 'train_1', 'train_2': are they splits or classes? For splits, "
        f"rename them to train, validation and test; for classes: pellucid train "
        f"{command_line(f'{tmp_path}?splits=no')}"
    )
    assert pellucid.load(f"{tmp_path}?splits=no", test_fraction=0).classes == ("test_1", "train_1", "train_2")


def test_the_question_names_both_commands_and_both_work(tmp_path):
    make(tmp_path, "train 2/cat", "train 2/dog", "test cats/cat", "test cats/dog")
    with pytest.raises(DataError) as caught:
        pellucid.load(tmp_path)
    yes, no = f"{tmp_path}?splits=yes", f"{tmp_path}?splits=no"
    assert str(caught.value) == (
        f"{tmp_path} has the folders 'test cats', 'train 2': are they splits or classes? For splits: pellucid train "
        f"{command_line(yes)}; for classes: pellucid train {command_line(no)}"
    )
    assert set(pellucid.load(yes).splits) == {"train", "test"}
    assert pellucid.load(yes).classes == ("cat", "dog")
    assert pellucid.load(no, test_fraction=0).classes == ("test cats", "train 2")


def test_the_user_decides_what_folders_are(tmp_path):
    make(tmp_path, "train", "test")
    assert pellucid.load(f"{tmp_path}?splits=no", test_fraction=0).classes == ("test", "train")
    with pytest.raises(UsageError, match="splits is yes or no"):
        pellucid.load(f"{tmp_path}?splits=maybe")


@pytest.mark.parametrize("inside", [("photos/train/a", "photos/train/b"), ("deep/photos/a", "deep/photos/b")])
def test_a_set_one_level_too_deep_is_named(inside, tmp_path):
    make(tmp_path / "unzipped", *inside)
    with pytest.raises(DataError) as caught:
        pellucid.load(tmp_path / "unzipped")
    where = (tmp_path / "unzipped" / inside[0]).parent
    where = where.parent if where.name == "train" else where
    assert str(caught.value).endswith(f"its class folders are in {where}. Give that folder.")
