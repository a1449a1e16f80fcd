"""Pictures of one scene by a fixed camera are similar but not copies: the classes differ in a detail."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.data.checking.near_duplicates import copy_groups
from pellucid.data.splitting import with_validation

SIDE = 96


def scene() -> np.ndarray:
    """A textured background, float (96, 96, 3)."""
    cells = np.random.default_rng(7).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(float)


def shot(label: int, number: int) -> Image.Image:
    """The scene with noise, in changing light, with a red or green lamp that moves a little."""
    dice = np.random.default_rng(label * 9999 + number)
    pixels = (scene() + dice.normal(0, 4, (SIDE, SIDE, 3))) * dice.uniform(0.93, 1.07)
    top, left = 30 + dice.integers(-6, 7), 55 + dice.integers(-6, 7)
    pixels[top : top + 16, left : left + 16] = (230, 40, 40) if label else (40, 200, 60)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def camera(tmp_path):
    """Makes a set of n pictures of each class."""

    def make(n: int) -> pellucid.Dataset:
        for label, name in enumerate(("ok", "defect")):
            (tmp_path / str(n) / name).mkdir(parents=True)
            for number in range(n):
                shot(label, number).save(tmp_path / str(n) / name / f"{number:03}.jpg", quality=85)
        return pellucid.load(tmp_path / str(n))

    return make


@pytest.mark.parametrize("n", [6, 12, 24, 25, 26, 60])
def test_similar_pictures_are_not_copies_however_many_there_are(camera, n):
    data = camera(n)
    everything = pellucid.load(data.train.pictures.root, test_fraction=0).train
    count = len(np.unique(copy_groups(everything)))
    assert count >= 0.9 * len(everything), "a copy or two among them would be no surprise"


@pytest.mark.parametrize("n", [12, 25, 30])
def test_check_and_training_agree(camera, n):
    data = camera(n)
    remarks = [item.name for item in pellucid.check(data.train.pictures.root) if hasattr(item, "advice")]
    assert not any(name.startswith("copies") for name in remarks)
    carved = with_validation(data, 0.1, 0)
    assert len(carved.validation)
    assert not any("alike" in note for note in carved.notes)


def test_one_picture_more_or_less_changes_little(camera):
    whole = pellucid.load(camera(25).train.pictures.root, test_fraction=0).train
    for count in (48, 49, 50):
        part = whole.take(np.arange(count))
        assert len(np.unique(copy_groups(part))) >= 0.9 * count
