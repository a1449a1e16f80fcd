from pathlib import Path

from pellucid.data.location import cache_root, data_root


def test_given_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    monkeypatch.setenv("PELLUCID_CACHE", "~/cache")
    assert data_root() == tmp_path
    assert cache_root() == Path.home() / "cache"


def test_the_platforms_own(monkeypatch):
    for name in ("PELLUCID_DATA", "PELLUCID_CACHE"):
        monkeypatch.setenv(name, "")
    assert "pellucid" in data_root().parts
    assert "pellucid" in cache_root().parts
    assert data_root() != cache_root()
