from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn

import pellucid
from pellucid.data.catalogue import DATASETS
from pellucid.data.checking import near_duplicates
from pellucid.data.checking.descriptors import WINDOWS, describe, mirrored, resampling
from pellucid.data.checking.near_duplicates import components, copies, families, find_near_duplicates
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.records import Split


def thumbnails(images) -> np.ndarray:
    return np.stack([np.asarray(one.convert("L").resize((32, 32), Image.Resampling.BILINEAR)) for one in images])


def recompressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream)


CHANGES = {
    "rescaled": lambda one: one.resize((one.width * 2 // 3, one.height * 2 // 3)),
    "stretched": lambda one: one.resize((one.width, one.width)),
    "recompressed": recompressed,
    "mirrored": lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "brightened": lambda one: one.point(lambda value: min(255, round(1.25 * value))),
    "darkened": lambda one: one.point(lambda value: value // 2),
    "cropped": lambda one: one.crop((round(0.04 * one.width), 0, one.width, round(0.95 * one.height))),
    "cropped more": lambda one: one.crop((0, round(0.1 * one.height), round(0.9 * one.width), one.height)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(scene, change):
    originals = [scene(number) for number in range(80)]
    pairs = find_near_duplicates(thumbnails([*originals, *map(CHANGES[change], originals)]))
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    planted = {(i, i + 80) for i in range(80)}
    assert found <= planted, "precision"
    assert len(found) >= 72, "recall of 0.90"
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
    assert (
        len(
            find_near_duplicates(
                thumbnails([scene(i) for i in range(n)]).reshape(n, 32, 32) if n else np.zeros((0, 32, 32))
            )
        )
        == 0
    )


def test_cells_find_what_comparing_everything_finds(scene, monkeypatch):
    originals = [scene(number, (32, 32)) for number in range(300)]
    everything = thumbnails([*originals, *(CHANGES["mirrored"](one) for one in originals)])
    whole = find_near_duplicates(everything)
    monkeypatch.setattr(near_duplicates, "_ONE_CELL", 10)
    in_cells = find_near_duplicates(everything)
    assert len(whole) == 300
    common = set(zip(whole.first, whole.second, strict=True)) & set(zip(in_cells.first, in_cells.second, strict=True))
    assert len(common) >= 297


def test_a_crowd_of_copies_is_followed_up_in_part(scene, monkeypatch):
    monkeypatch.setattr(near_duplicates, "_MOST_A_QUERY", 3)
    monkeypatch.setattr(near_duplicates, "_FEWEST", 21)  # or what surrounds them, which is only copies, would say no
    dice = np.random.default_rng(0)
    base = thumbnails([scene(1)])[0].astype(int)
    crowd = np.stack([np.clip(base + dice.integers(-2, 3, base.shape), 0, 255) for _ in range(20)]).astype(np.uint8)
    pairs = find_near_duplicates(crowd)
    assert 20 <= len(pairs) < 190
    assert len(np.unique(components(20, pairs.first, pairs.second))) == 1, "still one family"


def test_two_handwritten_digits_are_no_copies():
    digits = pellucid.load("digits").train
    seen = scan_pictures(digits.pictures, ())
    pairs, exact = copies(seen)
    assert len(pairs) <= len(digits) * 0.005
    assert not exact.any()


def test_mnist_is_handwritten_too(data_root):
    if "mnist" not in DATASETS:
        pytest.skip("what reads MNIST was deleted")
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
    for window in [*WINDOWS, *(near for each in WINDOWS for near in around(each))]:
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
    found = components(n, first, second)
    _, expected = connected_components(coo_array((np.ones(len(edges)), (first, second)), shape=(n, n)), directed=False)
    assert np.array_equal(found[:, None] == found, expected[:, None] == expected)
    assert (found <= np.arange(n)).all()


def test_exact_copies_are_paired_with_the_first(scene):
    one, other = (np.asarray(scene(i, (20, 20))).transpose(2, 0, 1) for i in (0, 1))
    pairs, exact = copies(scan_pictures(np.stack([one, other, one, one]), ()))
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(0, 2), (0, 3)]
    assert exact.all()


def test_blank_pictures_are_nobodys_copies():
    assert len(copies(scan_pictures(np.zeros((5, 1, 9, 9), np.uint8), ()))[0]) == 0
    assert len(copies(PictureStatistics.empty(3))[0]) == 0


def test_families_are_remembered_by_content(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    pictures = np.stack([np.asarray(scene(i, (20, 20))).transpose(2, 0, 1) for i in (0, 1, 0)])
    split = Split("train", pictures, np.zeros(3, np.int64), ("a",))
    assert families(split).tolist() == [0, 1, 0]
    (kept,) = (tmp_path / "families").iterdir()
    np.savez(kept, families=np.array([0, 0, 0], np.int32))
    assert families(split).tolist() == [0, 0, 0], "what is remembered is used"
    kept.write_bytes(b"damaged")
    assert families(split).tolist() == [0, 1, 0]
    assert families(split.take([1])).tolist() == [0]
