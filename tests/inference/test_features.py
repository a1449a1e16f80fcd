"""Features are computed once for each content, survive what happens to a cache, and name what cannot be read."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pellucid.data import cache
from pellucid.errors import CacheWarning
from pellucid.inference import features as module
from pellucid.inference import streaming
from pellucid.inference.features import Store, backbone_features
from pellucid.inference.torch_runner import FeatureExtractor
from pellucid.networks import backbones
from pellucid.records import PictureFiles


@pytest.fixture(scope="module")
def backbone():
    loaded = backbones.load("lite0")
    return replace(loaded, preprocessing=loaded.preprocessing.model_copy(update={"height": 32, "width": 32}))


@pytest.fixture
def files(photos, tmp_path, monkeypatch):
    """Six photos of their own, and an empty cache."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_PART_ROWS", 2)
    monkeypatch.setattr(streaming, "AT_ONCE", 2)
    folder = tmp_path / "photos"
    folder.mkdir()
    found = sorted(photos.glob("*/*.jpg"))[:6]
    return PictureFiles(tuple(shutil.copy(path, folder / path.name) and folder / path.name for path in found))


@pytest.fixture
def computed(monkeypatch):
    """How many pictures went through the network, batch by batch."""
    counts = []
    run = FeatureExtractor.__call__

    def counting(self, pictures):
        counts.append(len(pictures))
        return run(self, pictures)

    monkeypatch.setattr(FeatureExtractor, "__call__", counting)
    return counts


def test_they_are_those_of_the_backbones_own_module(backbone, files):
    found, reasons = backbone_features(files, backbone)
    assert found.shape == (6, 1280)
    assert found.dtype == np.float32
    assert reasons == {}
    from pellucid.data.preprocessing import normalise, prepare

    inputs = normalise(torch.from_numpy(np.asarray(prepare(files, backbone.preprocessing))), backbone.preprocessing)
    with torch.inference_mode():
        expected = backbone.module().features(inputs).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_each_content_is_computed_once(backbone, files, computed):
    first, _ = backbone_features(files, backbone)
    assert sum(computed) == 6
    computed.clear()
    again, _ = backbone_features(files, backbone)
    assert computed == []
    np.testing.assert_array_equal(again, first)
    more = files.paths[0].with_name("copy.jpg")
    shutil.copy(files.paths[0], more)
    both, _ = backbone_features(PictureFiles((*files.paths, more)), backbone)
    assert computed == []
    np.testing.assert_array_equal(both[6], first[0])


def test_only_new_pictures_are_computed(backbone, files, computed):
    backbone_features(files.take(np.array([0, 1, 2, 3])), backbone)
    computed.clear()
    backbone_features(files, backbone)
    assert sum(computed) == 2


def test_another_size_or_backbone_is_another_store(backbone, files, computed):
    backbone_features(files, backbone)
    computed.clear()
    other = replace(backbone, preprocessing=backbone.preprocessing.model_copy(update={"height": 40}))
    backbone_features(files, other)
    assert sum(computed) == 6
    assert Store(other).folder != Store(backbone).folder


def test_what_cannot_be_read_is_named_and_the_others_go_on(backbone, files):
    files.paths[1].write_bytes(b"no picture")
    twin = files.paths[1].with_name("twin.jpg")
    twin.write_bytes(b"no picture")
    gone = files.paths[1].with_name("gone.jpg")
    found, reasons = backbone_features(PictureFiles((*files.paths, twin, gone)), backbone)
    assert set(reasons) == {1, 6, 7}
    assert str(files.paths[1]) in reasons[1]
    assert str(twin) in reasons[6]
    assert "There is no picture at" in reasons[7]
    assert np.isnan(found[[1, 6, 7]]).all()
    assert np.isfinite(found[[0, 2, 3, 4, 5]]).all()


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_part_is_computed_again(backbone, files, computed, damage):
    first, _ = backbone_features(files, backbone)
    part = Store(backbone).parts()[0]
    content = bytearray(part.read_bytes())
    content = {"cut": content[:-9], "flipped": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:], "foreign": b"x"}[
        damage
    ]
    part.write_bytes(content)
    computed.clear()
    with pytest.warns(CacheWarning, match="Features in the cache were damaged, and are computed again"):
        again, _ = backbone_features(files, backbone)
    assert 0 < sum(computed) < 6
    np.testing.assert_allclose(again, first, rtol=1e-3, atol=1e-4)
    backbone_features(files, backbone)  # without a warning: the damaged part is gone


def test_what_was_computed_before_an_interruption_is_kept(backbone, files, computed):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backbone_features(files, backbone, progress=stop)
    computed.clear()
    backbone_features(files, backbone)
    # What a program was just writing when it was killed has another name, and is not read.
    (Store(backbone).folder / ".x.part").write_bytes(b"half")
    assert sum(computed) <= 4
    assert len(Store(backbone).read({b"x" * 32})) == 0


def test_many_parts_become_one(backbone, files, monkeypatch, computed):
    monkeypatch.setattr(module, "_MOST_PARTS", 1)
    for place in range(6):
        backbone_features(files.take(np.array([place])), backbone)
    assert len(Store(backbone).parts()) == 1
    computed.clear()
    found, _ = backbone_features(files, backbone)
    assert computed == []
    assert np.isfinite(found).all()


def test_a_part_that_another_process_removes_costs_only_time(backbone, files, computed, monkeypatch):
    backbone_features(files, backbone)
    computed.clear()
    monkeypatch.setattr(Store, "parts", lambda self: [self.folder / "removed.safetensors"])
    backbone_features(files, backbone)
    assert sum(computed) == 6


def test_a_cache_that_takes_nothing_costs_only_time(backbone, files, computed, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "100")
    found, _ = backbone_features(files, backbone)
    assert np.isfinite(found).all()
    assert Store(backbone).parts() == []


def test_pictures_in_memory_have_features_too(backbone, files, computed):
    arrays = np.random.default_rng(0).integers(0, 256, (3, 3, 40, 40), dtype=np.uint8)
    found, reasons = backbone_features(arrays, backbone)
    assert found.shape == (3, 1280)
    assert reasons == {}
    computed.clear()
    np.testing.assert_array_equal(backbone_features(arrays, backbone)[0], found)
    assert computed == []
    assert cache.entries("features")


def test_progress_is_told(backbone, files):
    told = []
    backbone_features(files, backbone, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 6) for i in range(1, 7)]
