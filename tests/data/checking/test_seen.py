"""What was seen of files is remembered by content: a second look decodes none, and sees the same."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from pellucid.data.checking import scan
from pellucid.data.checking.scan import scan_pictures
from pellucid.records import PictureFiles


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Five pictures of their own, one of which cannot be read, and an empty cache."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (5, 24, 30, 3), dtype=np.uint8)
    for number, one in enumerate(values):
        Image.fromarray(one).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return PictureFiles(tuple(sorted(folder.glob("*.png"))))


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names = []
    once = scan._look_at_file

    def counting(seen, place, path, name, contents):
        names.append(path.name)
        return once(seen, place, path, name, contents)

    monkeypatch.setattr(scan, "_look_at_file", counting)
    return names


def seen(files):
    return scan_pictures(files, [path.name for path in files.paths])


def same(one, other):
    for field in fields(one):
        if field.name != "reasons":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    assert one.reasons == other.reasons


def test_only_what_cannot_be_read_is_looked_at_again(files, decoded):
    first = seen(files)
    assert sorted(decoded) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert list(first.reasons) == [3]
    decoded.clear()
    same(seen(files), first)
    assert decoded == ["3.png"]


def test_what_is_new_or_changed_is_looked_at(files, decoded):
    first = seen(files.take(np.array([0, 1])))
    decoded.clear()
    Image.new("RGB", (40, 20), "red").save(files.paths[1])
    now = seen(files)
    assert sorted(decoded) == ["1.png", "2.png", "3.png", "4.png"]
    assert (now.width[1], now.height[1]) == (40, 20)
    assert (now.thumbnails[0] == first.thumbnails[0]).all()
    decoded.clear()
    same(seen(files), now)
    assert decoded == ["3.png"]


def test_a_file_that_was_renamed_is_known(files, decoded):
    seen(files)
    decoded.clear()
    new = files.paths[0].with_name("another.png")
    files.paths[0].rename(new)
    assert seen(PictureFiles((new, files.paths[1]))).readable.all()
    assert decoded == []


@pytest.mark.parametrize("damage", [b"", b"nothing of ours", None])
def test_a_damaged_memory_is_none(files, decoded, tmp_path, damage):
    first = seen(files)
    (kept,) = (tmp_path / "cache" / "looks").iterdir()
    kept.write_bytes(kept.read_bytes()[:-30] if damage is None else damage)
    decoded.clear()
    same(seen(files), first)
    assert len(decoded) == 5


def test_without_a_cache_it_is_only_slower(files, decoded, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "100")
    first = seen(files)
    same(seen(files), first)
    assert len(decoded) == 10
