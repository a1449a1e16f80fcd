from __future__ import annotations

import os
import shutil

import pytest

from pellucid.data import cache
from pellucid.errors import DataError, StorageError, UnknownNameError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PELLUCID_CACHE_LIMIT", raising=False)
    return tmp_path / "cache"


def put(kind: str, name: str, size: int, used: int):
    path = cache.folder(kind) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def test_an_empty_cache_is_not_even_made(root):
    assert cache.entries() == []
    assert cache.clear() == (0, 0)
    assert not root.exists()


def test_what_lies_in_it_the_oldest_first():
    new, old = put("features", "a", 10, 2000), put("decoded", "deep/b", 20, 1000)
    put("decoded", ".b.part", 5, 10)
    assert [(entry.kind, entry.path, entry.size, entry.used) for entry in cache.entries()] == [
        ("decoded", old, 20, 1000.0),
        ("features", new, 10, 2000.0),
    ]
    assert [entry.path for entry in cache.entries("features")] == [new]
    cache.used(old)
    assert [entry.path for entry in cache.entries()] == [new, old]


def test_an_unknown_kind_is_named():
    for look in (cache.folder, cache.entries, cache.clear):
        with pytest.raises(UnknownNameError) as error:
            look("decode")
        assert str(error.value) == (
            "There is no part of the cache named 'decode'. Did you mean 'decoded'? Known: "
            f"{', '.join(sorted(cache.KINDS))}."
        )


def test_the_limit_is_20_gb_or_a_tenth_of_the_disk(monkeypatch):
    disk = shutil.disk_usage("/")
    for total, limit in ((10**9, 10**8), (10**15, 20 * 10**9)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, total=total: type(disk)(total, 0, 0))
        assert cache.limit() == limit
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "50GB")
    assert cache.limit() == 50 * 10**9


def test_what_was_unused_for_longest_goes_first(monkeypatch):
    paths = {used: put("decoded", str(used), 100, used) for used in (3, 1, 4, 2)}
    ledger = put("ledger", "scores", 1000, 0)
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "400")
    cache.make_room(0, "They")
    assert all(path.exists() for path in paths.values())
    cache.make_room(150, "They", keep=[paths[1]])
    assert [used for used, path in paths.items() if path.exists()] == [1, 4] or not paths[3].exists()
    assert {used for used, path in paths.items() if path.exists()} == {1, 4}
    assert ledger.exists(), "what cannot be made again is not removed to make room"


def test_more_than_the_limit_is_refused(monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "2GB")
    kept = put("decoded", "old", 100, 1)
    with pytest.raises(DataError) as error:
        cache.make_room(3 * 10**9, "9 pictures")
    assert str(error.value) == (
        "9 pictures need 3 GB, but the cache is limited to 2 GB. Raise the limit, for example with "
        "PELLUCID_CACHE_LIMIT=4GB, or choose a smaller size."
    )
    assert kept.exists(), "nothing was removed in vain"


def test_a_disk_without_room_is_named_before_the_work(root, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type(usage)(10**13, 10**13, 1000))
    with pytest.raises(StorageError) as error:
        cache.make_room(10**6, "They")
    assert str(error.value) == (
        f"They need 1 MB, but the disk of {root} has 1 kB left. Free some space, or set PELLUCID_CACHE to a "
        f"folder on a larger disk."
    )


def test_clearing():
    put("decoded", "a/1", 100, 1)
    put("features", "b", 10, 1)
    ledger = put("ledger", "scores", 1, 1)
    assert cache.clear("features") == (1, 10)
    assert cache.clear() == (1, 100)
    assert ledger.exists()
    assert cache.clear("ledger") == (1, 1)


def test_clearing_sweeps_what_was_left_half_written_unless_somebody_writes():
    part = put("decoded", "a/.x.part", 100, 1)
    with cache.locked(part.parent):
        assert cache.clear() == (0, 0)
        assert part.exists(), "it is being written"
    cache.clear()
    assert not part.exists()


def test_a_file_that_cannot_be_removed_stays(monkeypatch):
    put("decoded", "a", 100, 1)
    monkeypatch.setattr(cache.Path, "unlink", lambda _: (_ for _ in ()).throw(PermissionError()))
    assert cache.clear() == (0, 0)
