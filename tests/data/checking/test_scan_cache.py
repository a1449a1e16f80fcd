"""The statistics of files are cached by content: a second scan decodes nothing and returns the same."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from pellucid.data.checking import scan
from pellucid.data.checking.scan import scan_pictures
from pellucid.errors import CacheWarning
from pellucid.records import PictureFiles


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Five different pictures, one of them unreadable, and an empty cache."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (5, 24, 30, 3), dtype=np.uint8)
    for number, picture in enumerate(values):
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return PictureFiles(tuple(sorted(folder.glob("*.png"))))


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names = []
    scan_file = scan._scan_file

    def counting(statistics, index, path, name, contents):
        names.append(path.name)
        return scan_file(statistics, index, path, name, contents)

    monkeypatch.setattr(scan, "_scan_file", counting)
    return names


def scanned(files):
    return scan_pictures(files, [path.name for path in files.paths])


def assert_same(a, b):
    for field in fields(a):
        if field.name != "reasons":
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    assert a.reasons == b.reasons


def test_only_unreadable_pictures_are_scanned_again(files, decoded):
    first = scanned(files)
    assert sorted(decoded) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert list(first.reasons) == [3]
    decoded.clear()
    assert_same(scanned(files), first)
    assert decoded == ["3.png"]


def test_new_and_changed_files_are_scanned(files, decoded):
    first = scanned(files.take(np.array([0, 1])))
    decoded.clear()
    Image.new("RGB", (40, 20), "red").save(files.paths[1])
    now = scanned(files)
    assert sorted(decoded) == ["1.png", "2.png", "3.png", "4.png"]
    assert (now.width[1], now.height[1]) == (40, 20)
    assert (now.thumbnails[0] == first.thumbnails[0]).all()
    decoded.clear()
    assert_same(scanned(files), now)
    assert decoded == ["3.png"]


def test_a_renamed_file_is_not_scanned_again(files, decoded):
    scanned(files)
    decoded.clear()
    new = files.paths[0].with_name("another.png")
    files.paths[0].rename(new)
    assert scanned(PictureFiles((new, files.paths[1]))).readable.all()
    assert decoded == []


@pytest.mark.parametrize("damage", [b"", b"nothing of ours", None])
def test_a_damaged_cache_is_ignored(files, decoded, tmp_path, damage):
    first = scanned(files)
    (file,) = (tmp_path / "cache" / "statistics").iterdir()
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    decoded.clear()
    with pytest.warns(CacheWarning, match="Statistics of pictures in the cache were damaged"):
        assert_same(scanned(files), first)
    assert len(decoded) == 5


def test_without_a_cache_the_result_is_the_same(files, decoded, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "100")
    first = scanned(files)
    assert_same(scanned(files), first)
    assert len(decoded) == 10
