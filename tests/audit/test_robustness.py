"""Robustness: a model of a faint pattern fails; a model of a large shape does not; corruptions do what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import pellucid
from pellucid.audit import Subject
from pellucid.audit.corruptions import KINDS, corrupt
from pellucid.audit.robustness import check


def audited(pattern: np.ndarray) -> Subject:
    """A model of two classes of grey pictures: with the pattern added, and subtracted."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    pixels = 128 + random.normal(0, 1, (300, 1, 16, 16)) + np.where(labels == 1, 1, -1)[:, None, None, None] * pattern
    names = [["minus", "plus"][label] for label in labels]
    data = pellucid.from_arrays(np.clip(pixels, 0, 255).round().astype(np.uint8), names, test=0.5)
    model = pellucid.train(data, "logistic-regression", epochs=10, progress=False)
    return Subject(pellucid.predict(model, data.test), data.test, np.arange(len(data.test)), data.train, model)


CHECKERBOARD = np.indices((16, 16)).sum(axis=0) % 2 * 2.0 - 1
BLOB = np.pad(np.ones((8, 8)), 4) * 50


def test_a_model_of_a_faint_pattern_is_fragile():
    subject = audited(CHECKERBOARD * 1.5)
    assert subject.right.mean() > 0.95
    remark, table = check(subject)
    assert remark.level == "warning"
    assert remark.text.startswith("A weak ")
    assert table.rows[0][0] == "clean"


def test_a_model_of_a_large_shape_is_not():
    assert check(audited(BLOB))[0].level == "info"


def test_all_kinds_with_full():
    subject = replace(audited(BLOB), full=True)
    rows = check(subject)[1].rows
    assert len(rows) == 1 + 5 * len(KINDS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_grows_with_its_strength_and_repeats(kind, channels):
    random = np.random.default_rng(0)
    smooth = gaussian_filter(random.normal(0, 1, (8, channels, 32, 32)), (0, 0, 1.5, 1.5))
    pictures = np.clip(128 + 150 * smooth, 0, 255).astype(np.uint8)
    changes = []
    for level in range(1, 6):
        changed = corrupt(pictures, kind, level)
        assert changed.shape == pictures.shape
        assert changed.dtype == np.uint8
        assert np.array_equal(changed, corrupt(pictures, kind, level))
        changes.append(np.abs(changed.astype(float) - pictures).mean())
    assert changes[0] > 0
    assert changes[-1] > changes[0]
    large = pictures.repeat(4, axis=2).repeat(4, axis=3)
    assert corrupt(large, kind, 1).shape == large.shape


def test_corruptions_are_those_of_the_benchmark():
    """Compared with the formulas of `make_cifar_c.py` of Hendrycks and Dietterich, where nothing is drawn."""
    import colorsys

    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    x = pictures[0].transpose(1, 2, 0) / 255
    faint = np.clip((x - x.mean(axis=(0, 1), keepdims=True)) * 0.4 + x.mean(axis=(0, 1), keepdims=True), 0, 1) * 255
    assert np.abs(corrupt(pictures, "contrast", 3)[0].transpose(1, 2, 0) - faint).max() <= 0.51
    h, s, v = colorsys.rgb_to_hsv(*x[3, 4])
    bright = np.array(colorsys.hsv_to_rgb(h, s, min(v + 0.15, 1))) * 255
    assert np.abs(corrupt(pictures, "brightness", 3)[0][:, 3, 4] - bright).max() <= 0.51
    blurred = gaussian_filter(x, (0.7, 0.7, 0), mode="nearest", truncate=4) * 255
    assert np.abs(corrupt(pictures, "gaussian_blur", 3)[0].transpose(1, 2, 0) - blurred).max() <= 1.01
    noise = corrupt(np.full((4, 3, 64, 64), 128, np.uint8), "gaussian_noise", 3).astype(float) - 128
    assert noise.std() / 255 == pytest.approx(0.08, rel=0.03)
