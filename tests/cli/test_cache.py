from __future__ import annotations

import pytest

from pellucid.data import cache


@pytest.fixture(autouse=True)
def filled(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "3GB")
    (cache.folder("decoded") / "a").write_bytes(b"x" * 1500)
    (cache.folder("ledger") / "b").write_bytes(b"x")


def test_it_says_what_is_there_how_large_and_of_how_much(pellucid, tmp_path):
    done = pellucid("cache")
    assert done.code == 0
    line = next(line for line in done.out.splitlines() if line.startswith("decoded"))
    assert "pictures, decoded and resized for a network" in line
    assert "1.5 kB" in line
    assert f"1.5 kB of at most 3 GB, in {tmp_path / 'cache'}" in done.out


def test_json_has_bytes_and_times(pellucid):
    found = pellucid("cache", "--json").findings["cache"]
    assert found["columns"] == ["kind", "what", "files", "bytes", "last used"]
    rows = {row[0]: row[2:] for row in found["rows"]}
    assert rows["decoded"][:2] == [1, 1500]
    assert rows["decoded"][2].endswith("+00:00")
    assert rows["features"] == [0, 0, None]


def test_clearing(pellucid, tmp_path):
    assert pellucid("cache", "--clear").err == f"1 file of 1.5 kB removed from {tmp_path / 'cache'}.\n"
    rows = {row[0]: row[2] for row in pellucid("cache", "--json").findings["cache"]["rows"]}
    assert rows == {name: int(name == "ledger") for name in cache.KINDS}
    done = pellucid("cache", "--clear", "ledger", "--json")
    assert done.err.startswith("1 file of 1 bytes removed")
    assert done.findings["cache"]["rows"][0][:4] == [
        "ledger",
        "how often each test split was scored",
        0,
        0,
    ]


def test_mistakes(pellucid, monkeypatch):
    assert (
        "There is no part of the cache named 'decode'. Did you mean 'decoded'?" in pellucid("cache", "decode").sentence
    )
    monkeypatch.setenv("PELLUCID_CACHE_LIMIT", "much")
    assert (
        "PELLUCID_CACHE_LIMIT is a size with its unit, for example 500MB or 20GB; given: 'much'."
        in pellucid("cache").sentence
    )
