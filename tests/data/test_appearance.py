"""Pictures that are nothing like those of the training are noted, and those that are like them are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pellucid.data.appearance import appearance, difference
from pellucid.records import Appearance, PictureFiles, Preprocessing, Split

GREY = Preprocessing(channels=1, height=16, width=16, mean=(0.0,), std=(1.0,))
PHOTO = Preprocessing(channels=3, height=64, width=64, mean=(0.0,) * 3, std=(1.0,) * 3)


def strokes(n: int = 40, side: int = 16, seed: int = 0) -> np.ndarray:
    """White strokes on black, uint8 (N, 1, side, side)."""
    generator = np.random.default_rng(seed)
    pictures = np.zeros((n, 1, side, side), np.uint8)
    for picture in pictures:
        row, column = generator.integers(side // 4, side // 2, 2)
        picture[0, row : row + side // 6 + 1] = 255
        picture[0, :, column : column + side // 6 + 1] = 200
    return pictures


def split(pictures: np.ndarray) -> Split:
    return Split("test", pictures, None, ("a", "b"), np.array([str(i) for i in range(len(pictures))]))


def files(folder, sizes, colour=True) -> Split:
    generator = np.random.default_rng(1)
    paths = []
    for index, (width, height) in enumerate(sizes):
        pixels = generator.integers(0, 255, (height // 8, width // 8, 3 if colour else 1), dtype=np.uint8)
        image = Image.fromarray(pixels if colour else np.repeat(pixels, 3, axis=2)).resize((width, height))
        folder.mkdir(exist_ok=True)
        image.save(folder / f"{index}.png")
        paths.append(folder / f"{index}.png")
    return Split("test", PictureFiles(tuple(paths)), None, ("a", "b"), np.array([path.name for path in paths]))


@pytest.fixture(scope="module")
def training() -> Appearance:
    looks = appearance(split(strokes()), GREY)
    assert looks is not None
    return looks


def test_the_ranges_of_the_training_pictures(training):
    assert training.side == (16.0, 16.0)
    assert training.colour == 0
    assert 0 < training.brightness[0] <= training.brightness[1] < 255
    assert 0 < training.contrast[0] <= training.contrast[1]


def test_pictures_like_those_of_the_training_are_not_noted(training):
    assert difference(split(strokes(seed=5)), GREY, training) == ""
    assert difference(split(strokes(side=32, seed=5)), GREY, training) == ""
    assert difference(split(strokes(seed=5)), GREY, None) == ""


def test_larger_pictures_are_noted_beyond_a_factor(training):
    note = difference(split(strokes(side=60)), GREY, training)
    assert "about 60×60 pixels, in training 16×16" in note


def test_black_on_white_instead_of_white_on_black_is_noted(training):
    note = difference(split(255 - strokes(seed=5)), GREY, training)
    assert "mean brightness" in note
    assert "pixels" not in note.replace("grey", "")


def test_colour_where_the_training_had_grey_is_noted_but_not_grey_saved_as_colour(training):
    grey = np.repeat(strokes(seed=5), 3, axis=1)
    assert difference(split(grey), GREY, training) == ""
    colour = grey.copy()
    colour[:, 0] = 255 - colour[:, 0]
    assert "in colour, in training grey" in difference(split(colour), GREY, training)


def test_one_odd_picture_among_many_is_not_noted(training):
    pictures = strokes(seed=5)
    pictures[0] = 255 - pictures[0]
    assert difference(split(pictures), GREY, training) == ""


def test_photos_of_any_larger_size_are_alike_and_enlarged_ones_are_not(tmp_path):
    learned = appearance(files(tmp_path / "a", [(200, 160)] * 6), PHOTO)
    assert difference(files(tmp_path / "b", [(1600, 1200)] * 2), PHOTO, learned) == ""
    assert "about 16×16 pixels" in difference(files(tmp_path / "c", [(16, 16)] * 3), PHOTO, learned)
    assert "grey, in training in colour" in difference(files(tmp_path / "d", [(200, 160)] * 3, False), PHOTO, learned)


def test_files_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"no picture")
    broken = Split("test", PictureFiles((tmp_path / "a" / "x.png",)), None, ("a", "b"), np.array(["x.png"]))
    assert appearance(broken, PHOTO) is None
    assert difference(broken, PHOTO, Appearance(side=(9, 9), colour=1, brightness=(0, 1), contrast=(0, 1))) == ""
