"""Leaks: planted copies are found, with the accuracy without them; sets without copies raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pellucid.audit import Subject
from pellucid.audit.leaks import check
from pellucid.records import Predictions, Split


def scenes(n: int, seed: int) -> np.ndarray:
    """Blurred noise that looks like photographs to the descriptors: uint8 (N, 3, 32, 32)."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(n):
        pixels = np.zeros((32, 32, 3))
        for size in (4, 8, 16, 32):
            part = Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8))
            pixels += np.asarray(part.resize((32, 32), Image.Resampling.BILINEAR), dtype=float) * 4 / size
        pictures.append(np.clip(pixels / 1.9, 0, 255).astype(np.uint8))
    return np.stack(pictures).transpose(0, 3, 1, 2)


def subject(test: np.ndarray, train: np.ndarray, right: np.ndarray | None = None) -> Subject:
    labels = np.zeros(len(test), dtype=np.int64)
    right = np.ones(len(test), dtype=bool) if right is None else right
    probabilities = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]]).astype(np.float32)
    split = Split("test", test, labels, ("a", "b"))
    trained = Split("train", train, np.zeros(len(train), dtype=np.int64), ("a", "b"))
    return Subject(Predictions(split.ids, probabilities, split.classes, labels), split, train=trained)


def changed(picture: np.ndarray, how: str) -> np.ndarray:
    image = Image.fromarray(picture.transpose(1, 2, 0))
    image = {
        "same": lambda: image,
        "mirrored": lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "blurred": lambda: image.filter(ImageFilter.GaussianBlur(0.6)),
        "brighter": lambda: image.point(lambda value: min(255, int(value * 1.2))),
        "cropped": lambda: image.resize((32, 32), Image.Resampling.BILINEAR, (1, 1, 31, 31)),
        "cropped much": lambda: image.resize((32, 32), Image.Resampling.BILINEAR, (3, 1, 29, 27)),
        "shifted": lambda: Image.fromarray(np.roll(np.asarray(image), (3, -2), axis=(0, 1))),
    }[how]()
    return np.asarray(image).transpose(2, 0, 1)


HOW = ("same", "mirrored", "blurred", "brighter", "cropped")


def test_planted_copies_come_first_with_their_originals():
    train, test = scenes(400, 1), scenes(100, 2)
    for i in range(20):
        test[5 * i] = changed(train[7 * i], HOW[i % len(HOW)])
    right = np.arange(100) % 5 == 0
    right[1:40] = True
    remark, table, without, on, figure = check(subject(test, train, right))
    assert remark.level == "error"
    planted = {(5 * i, 7 * i) for i in range(20)}
    first = [(row[0], row[1]) for row in table.rows[:20]]
    assert len(planted & set(first)) >= 19
    assert remark.n >= 18
    assert [row[2] for row in table.rows] == sorted((row[2] for row in table.rows), reverse=True)
    assert table.rows[0][2] == 1
    assert on.value == 1
    assert without.value < right.mean()
    assert f"{100 * right.mean():.2f} %" in remark.text
    assert figure.data["cells"]


@pytest.mark.parametrize("how", ["cropped much", "shifted"])
def test_much_cropped_and_shifted_copies_come_before_all_other_pairs(how):
    train, test = scenes(400, 1), scenes(100, 2)
    for i in range(20):
        test[5 * i] = changed(train[7 * i], how)
    table = check(subject(test, train))[1]
    first = {(row[0], row[1]) for row in table.rows[:20]}
    assert len(first & {(5 * i, 7 * i) for i in range(20)}) >= 18


def test_pictures_in_the_same_frame_are_not_copies():
    train, test = scenes(400, 6), scenes(100, 7)
    for pictures in (train[:40], test[:20]):
        for edge in (np.s_[:, :, :4], np.s_[:, :, -4:], np.s_[:, :, :, :4], np.s_[:, :, :, -4:]):
            pictures[edge] = 255
    test[50] = changed(train[50], "brighter")
    remark, table = check(subject(test, train))[:2]
    assert table.rows[0][:2] == (50, 50)
    assert remark.n == 1


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_sets_without_copies_raise_no_alarm(seed):
    remark = check(subject(scenes(100, seed), scenes(400, seed + 100)))[0]
    assert remark.level == "info"


def test_copies_with_another_label_are_counted():
    train, test = scenes(100, 1), scenes(40, 2)
    test[:3] = train[:3]
    audited = subject(test, train)
    assert audited.train is not None
    np.asarray(audited.train.labels)[0] = 1
    assert "1 of them have another label there" in check(audited)[0].text
