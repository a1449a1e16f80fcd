"""Near-duplicates: planted copies are found, different pictures are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn

import pellucid
from pellucid.data import cache
from pellucid.data.catalogue import DATASETS
from pellucid.data.checking import near_duplicates
from pellucid.data.checking.descriptors import WINDOWS, describe, mirrored, neighbours, resampling
from pellucid.data.checking.near_duplicates import components, copies, copy_groups, find_near_duplicates
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.errors import CacheWarning
from pellucid.records import Split


def thumbnails(images) -> np.ndarray:
    return np.stack([np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)) for image in images])


def recompressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream)


CHANGES = {
    "rescaled": lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3)),
    "stretched": lambda image: image.resize((image.width, image.width)),
    "recompressed": recompressed,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "brightened": lambda image: image.point(lambda value: min(255, round(1.25 * value))),
    "darkened": lambda image: image.point(lambda value: value // 2),
    "cropped": lambda image: image.crop((round(0.04 * image.width), 0, image.width, round(0.95 * image.height))),
    "cropped more": lambda image: image.crop((0, round(0.1 * image.height), round(0.9 * image.width), image.height)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_no_other_pairs(scene, change):
    originals = [scene(number) for number in range(80)]
    pairs = find_near_duplicates(thumbnails([*originals, *map(CHANGES[change], originals)]))
    detected = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    planted = {(i, i + 80) for i in range(80)}
    assert detected <= planted, "precision"
    assert len(detected) >= 72, "recall of 0.90"
    assert (pairs.similarity > 0.8).all()
    if change == "mirrored":
        assert pairs.mirrored.all()
        assert not pairs.cropped.any()
    elif "cropped" in change:
        assert pairs.cropped.mean() > 0.9
        assert not pairs.mirrored.any()
    else:
        assert not pairs.mirrored.any()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_pictures(scene, n):
    pictures = thumbnails([scene(i) for i in range(n)]) if n else np.zeros((0, 32, 32), np.uint8)
    assert len(find_near_duplicates(pictures)) == 0


def test_cells_find_almost_all_pairs(scene, monkeypatch):
    originals = [scene(number, (32, 32)) for number in range(300)]
    everything = thumbnails([*originals, *(CHANGES["mirrored"](image) for image in originals)])
    whole = find_near_duplicates(everything)
    monkeypatch.setattr(near_duplicates, "_ONE_CELL", 10)
    in_cells = find_near_duplicates(everything)
    assert len(whole) == 300
    common = set(zip(whole.first, whole.second, strict=True)) & set(zip(in_cells.first, in_cells.second, strict=True))
    assert len(common) >= 297


def test_many_copies_of_one_picture_stay_one_group(scene, monkeypatch):
    monkeypatch.setattr(near_duplicates, "_MAX_CANDIDATES", 3)
    monkeypatch.setattr(
        near_duplicates, "_MIN_PICTURES", 21
    )  # the sample has only copies, so the second bound must not apply
    dice = np.random.default_rng(0)
    base = thumbnails([scene(1)])[0].astype(int)
    crowd = np.stack([np.clip(base + dice.integers(-2, 3, base.shape), 0, 255) for _ in range(20)]).astype(np.uint8)
    pairs = find_near_duplicates(crowd)
    assert 20 <= len(pairs) < 190
    assert len(np.unique(components(20, pairs.first, pairs.second))) == 1, "still one group"


def test_handwritten_digits_are_not_copies():
    digits = pellucid.load("digits").train
    pairs, exact = copies(scan_pictures(digits.pictures, ()))
    assert len(pairs) <= len(digits) * 0.005
    assert not exact.any()


def test_ones_of_mnist_are_not_copies(data_root):
    if "mnist" not in DATASETS:
        pytest.skip("the reader of MNIST was deleted")
    ones = pellucid.load("mnist").test
    which = np.flatnonzero(ones.labels == 1)[:1000]
    pairs, _ = copies(scan_pictures(ones.pictures[which], ()))
    assert len(pairs) <= 5, "a thousand ones, half a million pairs"


def test_the_descriptor_is_a_weighted_cosine_transform(scene):
    small = thumbnails([scene(3)])
    transformed = dctn(small[0].astype(float), norm="ortho")[:8, :8]
    # Pillow's basis of the mean differs by a factor; it has no weight, and the other rows and columns do.
    frequency = np.hypot(*np.mgrid[0:8, 0:8])
    scale = np.ones(8)
    scale[0] = np.sqrt(2)
    expected = transformed * frequency * scale[:, None] * scale
    np.testing.assert_allclose(describe(small, 8)[0], (expected / np.linalg.norm(expected)).ravel(), atol=1e-5)


def test_a_mirrored_descriptor_is_that_of_the_mirrored_picture(scene):
    small = thumbnails([scene(4)])
    np.testing.assert_allclose(mirrored(describe(small, 16), 16), describe(small[:, :, ::-1], 16), atol=1e-5)


def test_windows_lie_within_the_picture():
    for window in [*WINDOWS, *(near for whole in WINDOWS for near in neighbours(whole))]:
        top, left, side = window
        assert min(top, left) >= 0
        assert max(top, left) + side <= 1 + 1e-9


@pytest.mark.parametrize("n", [5, 28, 32, 100])
def test_resampling_is_pillows_bilinear(n):
    row = np.random.default_rng(n).integers(0, 256, (1, n), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(row).resize((32, 1), Image.Resampling.BILINEAR))[0]
    np.testing.assert_allclose(resampling(n) @ row[0], expected, atol=1.01)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), data=st.data())
def test_components_are_those_of_the_graph(n, data):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))
    first, second = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    component = components(n, first, second)
    _, expected = connected_components(coo_array((np.ones(len(edges)), (first, second)), shape=(n, n)), directed=False)
    assert np.array_equal(component[:, None] == component, expected[:, None] == expected)
    assert (component <= np.arange(n)).all()


def test_exact_copies_are_paired_with_the_first(scene):
    a, b = (np.asarray(scene(i, (20, 20))).transpose(2, 0, 1) for i in (0, 1))
    pairs, exact = copies(scan_pictures(np.stack([a, b, a, a]), ()))
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(0, 2), (0, 3)]
    assert exact.all()


def test_blank_pictures_are_never_copies():
    assert len(copies(scan_pictures(np.zeros((5, 1, 9, 9), np.uint8), ()))[0]) == 0
    assert len(copies(PictureStatistics.empty(3))[0]) == 0


def test_copy_groups_are_cached_by_content(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    pictures = np.stack([np.asarray(scene(i, (20, 20))).transpose(2, 0, 1) for i in (0, 1, 0)])
    split = Split("train", pictures, np.zeros(3, np.int64), ("a",))
    assert copy_groups(split).tolist() == [0, 1, 0]
    (file,) = (tmp_path / "copies").iterdir()
    cache.write_arrays(file, groups=np.array([0, 0, 0], np.int32))
    assert copy_groups(split).tolist() == [0, 0, 0], "the cache is used"
    file.write_bytes(b"damaged")
    with pytest.warns(CacheWarning, match="Groups of near-duplicates in the cache were damaged"):
        assert copy_groups(split).tolist() == [0, 1, 0]
    assert copy_groups(split.take([1])).tolist() == [0]
