"""Augmentation: what is done to a picture is known, keeps its range, and does not depend on its neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pellucid.errors import UnknownNameError, UsageError
from pellucid.training import setting_names
from pellucid.training.augmentation import AUGMENTATIONS, Augmenter
from pellucid.training.setting_names import parse_augmentation as parse


def blob(
    height: int = 33, width: int = 33, *, row: float = 12, column: float = 18, width_of_spot: float = 3
) -> np.ndarray:
    """A soft spot beside the middle: (1, 1, H, W), 0 to 255."""
    rows, columns = np.mgrid[:height, :width]
    return (255 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width_of_spot**2)))[None, None].astype(
        np.float32
    )


def apply(name: str, pictures: np.ndarray, *numbers: list[float]) -> np.ndarray:
    return AUGMENTATIONS[name].apply(torch.from_numpy(pictures), torch.tensor(numbers)).numpy()


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (0, -3), (-1, 2), (5, 5), (-40, 0), (0, 40)])
def test_a_shift_is_numpys_roll_with_a_black_edge(down, right):
    picture = np.random.default_rng(0).integers(1, 255, (1, 3, 6, 9)).astype(np.float32)
    wanted = np.zeros_like(picture)
    rows = [row for row in range(6) if 0 <= row + down < 6]
    columns = [column for column in range(9) if 0 <= column + right < 9]
    for row in rows:
        for column in columns:
            wanted[..., row, column] = picture[..., row + down, column + right]
    found = apply("shift", picture, [down, right])
    np.testing.assert_array_equal(found, wanted)
    if rows and columns:
        rolled = np.roll(picture, (-down, -right), axis=(2, 3))
        np.testing.assert_array_equal(found[found > 0], rolled[wanted > 0])


def test_each_picture_has_a_shift_of_its_own():
    picture = np.random.default_rng(0).integers(1, 255, (1, 1, 5, 5)).astype(np.float32)
    both = AUGMENTATIONS["shift"].apply(
        torch.from_numpy(np.concatenate([picture, picture])), torch.tensor([[1.0, 0.0], [0.0, -2.0]])
    )
    np.testing.assert_array_equal(both[:1], apply("shift", picture, [1.0, 0.0]))
    np.testing.assert_array_equal(both[1:], apply("shift", picture, [0.0, -2.0]))


def test_a_flip_mirrors_left_and_right():
    picture = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(apply("flip", picture, [1.0]), picture[..., ::-1])
    np.testing.assert_array_equal(apply("flip", picture, [0.0]), picture)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_numpys(turns):
    picture = blob()
    found = apply("rotate", picture, [turns * math.pi / 2])
    candidates = [np.rot90(picture, sign * turns, axes=(2, 3)) for sign in (1, -1)]
    assert min(np.abs(found - one).max() for one in candidates) < 0.01


@pytest.mark.parametrize("degrees", [-30, 10, 25])
def test_a_rotation_is_scipys(degrees):
    picture = blob()
    found = apply("rotate", picture, [math.radians(degrees)])
    candidates = [ndimage.rotate(picture[0, 0], sign * degrees, reshape=False, order=1) for sign in (1, -1)]
    assert min(np.abs(found[0, 0] - one).max() for one in candidates) < 1.0


def test_an_oblong_picture_is_turned_without_being_sheared():
    picture = blob(40, 24, row=19.5 - 4, column=11.5, width_of_spot=2)
    found = apply("rotate", picture, [math.pi / 2])[0, 0]
    row, column = ndimage.center_of_mass(found)
    assert row == pytest.approx(19.5, abs=0.05)
    assert abs(column - 11.5) == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_a_zoom_is_scipys(factor):
    picture = blob()
    found = apply("zoom", picture, [factor])
    middle = (np.array(picture.shape[2:]) - 1) / 2
    wanted = ndimage.affine_transform(picture[0, 0], np.eye(2) / factor, middle - middle / factor, order=1)
    np.testing.assert_allclose(found[0, 0], wanted, atol=1.0)


def test_brightness_multiplies_and_stays_in_range():
    picture = np.array([[[[0.0, 100.0, 250.0]]]], np.float32)
    np.testing.assert_allclose(apply("brightness", picture, [1.5])[0, 0, 0], [0, 150, 255])
    np.testing.assert_allclose(apply("brightness", picture, [0.5])[0, 0, 0], [0, 50, 125])


def test_erasing_blackens_one_square():
    picture = np.full((1, 2, 20, 20), 9, np.float32)
    found = apply("erase", picture, [4.0, 0.5, 0.25])
    black = np.argwhere(found[0, 0] == 0)
    assert black.min(axis=0).tolist() == [9, 4]
    assert black.max(axis=0).tolist() == [11, 6]
    np.testing.assert_array_equal(found[0, 0], found[0, 1])
    np.testing.assert_array_equal(apply("erase", picture, [0.0, 0.5, 0.5]), picture)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_values_stay_in_range_and_change(name):
    n = 40
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, 12, 10), dtype=np.uint8))
    augmenter = Augmenter([name], n, seed=0)
    augmenter.begin_epoch(1)
    found = augmenter(pictures, torch.arange(n))
    assert found.shape == pictures.shape
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 255.001
    assert (found != pictures).any()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_amount_of_nothing_changes_nothing(name):
    n = 5
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8))
    augmenter = Augmenter([f"{name}:0"], n, seed=0)
    augmenter.begin_epoch(1)
    torch.testing.assert_close(augmenter(pictures, torch.arange(n)), pictures.float(), rtol=0, atol=0.01)


@given(st.permutations(range(12)), st.integers(1, 11))
def test_augmentation_does_not_depend_on_the_batch(order, cut):
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 1, 9, 9), dtype=np.uint8))
    augmenter = Augmenter(sorted(AUGMENTATIONS), 12, seed=3)
    augmenter.begin_epoch(2)
    whole = augmenter(pictures, torch.arange(12))
    for part in (torch.tensor(order[:cut]), torch.tensor(order[cut:])):
        torch.testing.assert_close(augmenter(pictures[part], part), whole[part], rtol=0, atol=1e-3)


def test_draws_depend_on_seed_and_epoch_only():
    def drawn(seed: int, *epochs: int, names: tuple[str, ...] = ("shift:2", "rotate")) -> list[torch.Tensor]:
        augmenter = Augmenter(names, 50, seed)
        for epoch in epochs:
            augmenter.begin_epoch(epoch)
        return augmenter._numbers

    first = drawn(0, 1, 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, drawn(0, 3), strict=True))
    assert not torch.equal(first[0], drawn(0, 2)[0])
    assert not torch.equal(first[0], drawn(1, 3)[0])
    # Nor do the other augmentations matter.
    assert torch.equal(first[1], drawn(0, 3, names=("flip", "rotate"))[1])


@pytest.mark.parametrize(("name", "amount"), [("shift", 2), ("rotate", math.radians(10)), ("zoom", 0.1)])
def test_draws_stay_within_the_amount(name, amount):
    augmenter = Augmenter([name], 2000, seed=0)
    augmenter.begin_epoch(1)
    drawn = augmenter._numbers[0]
    if name == "zoom":
        assert drawn.min() >= 1 / (1 + amount) - 1e-6
        assert drawn.max() <= 1 + amount + 1e-6
    else:
        assert drawn.abs().max() <= amount + 1e-6
    assert drawn.abs().max() > 0.9 * amount
    assert drawn.float().std() > 0


def test_a_shift_by_more_than_the_picture_takes_no_more_room():
    augmenter = Augmenter(["shift:1e9"], 4, seed=0)
    augmenter.begin_epoch(1)
    assert not augmenter(torch.full((4, 1, 8, 8), 200, dtype=torch.uint8), torch.arange(4)).any()


def test_without_augmentation_nothing_is_touched():
    pictures = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    augmenter = Augmenter([], 2, seed=0)
    augmenter.begin_epoch(1)
    assert augmenter(pictures, torch.arange(2)) is pictures


@pytest.mark.parametrize(
    ("text", "wanted"), [("flip", ("flip", 0.5)), ("shift:3", ("shift", 3.0)), ("rotate:7.5", ("rotate", 7.5))]
)
def test_how_they_are_written(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["shift:", "shift:a", "shift:-1", "rotate:nan", "rotate:inf", "flip:2", "brightness:1.5", "zoom:1:2"]
)
def test_amounts_that_cannot_be(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    name = text.partition(":")[0]
    assert f"'{text}' should be '{name}' or '{name}:NUMBER'" in str(caught.value)
    assert setting_names.AUGMENTATIONS[name].meaning in str(caught.value)


def test_an_unknown_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'rotate'"):
        parse("rotat:5")
