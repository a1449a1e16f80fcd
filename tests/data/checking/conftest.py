"""Pictures that are all different, and folders of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.records import Dataset, Split

Draw = Callable[..., Image.Image]


@pytest.fixture(scope="session")
def scene() -> Draw:
    """Draws a picture of coloured blobs on a lit ground by a number: other numbers, quite other pictures."""

    def draw(number: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
        dice = np.random.default_rng(number)
        y, x = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
        picture = np.zeros((size[1], size[0], 3)) + dice.uniform(40, 200, 3) * (0.6 + 0.4 * x[..., None])
        for _ in range(9):
            middle, radius, colour = dice.uniform(0, 1, 2), dice.uniform(0.05, 0.25), dice.uniform(0, 255, 3)
            picture[(x - middle[0]) ** 2 + (y - middle[1]) ** 2 < radius**2] = colour
        return Image.fromarray(np.clip(picture + dice.normal(0, 3, picture.shape), 0, 255).astype(np.uint8))

    return draw


@pytest.fixture
def photos(tmp_path, scene) -> Callable[..., Path]:
    """Writes a folder of scenes as JPEG: {"train/ants": 4}."""

    def write(counts: dict[str, int], name: str = "photos") -> Path:
        number = 0
        for label, n in counts.items():
            (tmp_path / name / label).mkdir(parents=True, exist_ok=True)
            for index in range(n):
                scene(number).save(tmp_path / name / label / f"{index:02}.jpg", quality=92)
                number += 1
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def arrays(scene) -> Callable[..., Dataset]:
    """A dataset of scenes in memory: {"train": [0, 0, 1]} gives three pictures of those labels."""

    def make(splits: dict[str, list[int]], classes: int = 2, edge: int = 24) -> Dataset:
        number, made = 0, {}
        for name, labels in splits.items():
            pictures = [np.asarray(scene(number + i, (edge, edge))).transpose(2, 0, 1) for i in range(len(labels))]
            number += len(labels)
            names = tuple("abcdefgh"[:classes])
            stacked = np.stack(pictures) if pictures else np.zeros((0, 3, edge, edge), np.uint8)
            made[name] = Split(name, stacked, np.array(labels, dtype=np.int64), names, dataset="scenes")
        return Dataset("scenes", made)

    return make
