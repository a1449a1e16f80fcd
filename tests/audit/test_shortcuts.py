"""Shortcuts: a planted background patch, file type, size and camera are named; permuted labels raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.audit import Subject
from pellucid.audit.shortcuts import check
from pellucid.data.folder import read
from pellucid.records import Predictions, Split


def subject(pixels: np.ndarray, labels: np.ndarray, model=None) -> Subject:
    split = Split("test", pixels, labels, ("no", "yes"))
    probabilities = np.full((len(labels), 2), 0.5, np.float32)
    return Subject(Predictions(split.ids, probabilities, split.classes, labels), split, model=model)


def faces(n: int, *, patch: bool, seed: int = 0, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a blob in the middle; if `patch`, pictures of the second class have a bright patch in a corner."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 160, (n, channels, 24, 24), dtype=np.uint8)
    pixels[:, :, 8:16, 8:16] += 60
    labels = random.integers(0, 2, n)
    if patch:
        pixels[labels == 1, :, 0:4, 0:4] = 230
    return pixels, labels


def test_a_detector_of_a_background_patch_is_named():
    pixels, labels = faces(300, patch=True)
    data = pellucid.from_arrays(pixels, [["no", "yes"][label] for label in labels], test=0.3)
    model = pellucid.train(data, "logistic-regression", epochs=8, progress=False)
    audited = Subject(pellucid.predict(model, data.test), data.test, np.arange(len(data.test)), data.train, model)
    remark, _, without_middle, without_border = check(audited)
    assert remark.level == "warning"
    assert remark.text.startswith("The border alone predicts the class with 100 % (base rate 5")
    assert without_middle.value > without_border.value + 0.2, "the model needs the border, not the middle"


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_without_a_shortcut_raise_no_alarm(channels):
    pixels, labels = faces(300, patch=False, channels=channels)
    assert check(subject(pixels, labels))[0].level == "info"


def test_permuted_labels_raise_an_alarm_in_at_most_one_of_twenty_audits():
    data = pellucid.load("digits").train
    alarms = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        rows = random.permutation(len(data))[:120]
        labels = random.permutation(np.asarray(data.labels)[rows] % 2)
        alarms += check(subject(data.pictures[rows], labels))[0].level != "info"
    assert alarms <= 3  # 1 expected at most; P(more than 3) is below 2 %


def files(folder, save) -> Subject:
    random = np.random.default_rng(0)
    for name in ("no", "yes"):
        (folder / name).mkdir()
        for i in range(40):
            save(Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)), folder / name / f"{i}", name)
    split = read(folder, test_fraction=0).train
    labels = split.known_labels()
    probabilities = np.full((len(labels), 2), 0.5, np.float32)
    return Subject(Predictions(split.ids, probabilities, split.classes, labels), split)


def named(subject: Subject) -> set[str]:
    return {row[0] for row in check(subject)[1].rows if row[-1] == "predicts the class"}


def test_file_types_sizes_qualities_and_cameras_that_tell_the_class_are_named(tmp_path):
    def by_type(image, path, name):
        image.save(f"{path}.{'png' if name == 'yes' else 'bmp'}")

    def by_size(image, path, name):
        image.resize((30, 20) if name == "yes" else (24, 20)).save(f"{path}.png")

    def by_quality(image, path, name):
        image.save(f"{path}.jpg", quality=90 if name == "yes" else 60)

    def by_camera(image, path, name):
        exif = Image.Exif()
        exif[272], exif[306] = ("Alpha", "2020:01:01 10:00:00") if name == "yes" else ("Beta", "2021:06:01 10:00:00")
        image.save(f"{path}.jpg", quality=80, exif=exif)

    expected = {
        "file type": by_type, "size in pixels": by_size, "JPEG quality": by_quality, "EXIF camera": by_camera
    }  # fmt: skip
    for number, (view, save) in enumerate(expected.items()):
        (tmp_path / str(number)).mkdir()
        found = named(files(tmp_path / str(number), save))
        assert view in found
        if number in (0, 3):  # a smaller or recompressed picture looks different too
            assert not found & {"border", "background", "brightness", "size in pixels"}
    assert "EXIF date" in found


def test_files_that_do_not_tell_the_class_raise_no_alarm(tmp_path):
    assert named(files(tmp_path, lambda image, path, _: image.save(f"{path}.png"))) == set()
