import importlib
from dataclasses import replace

import pytest

from pellucid.data import catalogue
from pellucid.data.catalogue import DATASETS, FORMATS, Entry, describe, lookup
from pellucid.errors import UnknownNameError


@pytest.fixture
def moths(monkeypatch) -> Entry:
    """A set that is registered for one test."""
    entry = Entry(
        module="pellucid.data.digits",
        summary="Moths",
        pictures=(("train", 1234), ("test", 5)),
        shape=(1, 20, 30),
        classes=7,
        licence="MIT",
        source="https://example.org",
        folder="moths",
        needs=(("a", "a.gz"), ("b",)),
        download=12,
    )
    monkeypatch.setitem(catalogue.DATASETS, "moths", entry)
    return entry


def test_rows_of_the_listing(monkeypatch, tmp_path, moths):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    rows = {row.name: row for row in describe()}
    assert list(rows) == list(DATASETS)
    assert rows["digits"].where == "comes with scikit-learn"
    assert rows["digits"].size == "8×8 grey"
    assert rows["digits"].pictures == "1,437 train + 360 test"
    assert (rows["moths"].size, rows["moths"].classes, rows["moths"].licence) == ("30×20 grey", 7, "MIT")
    assert rows["moths"].where == "downloaded on first use (12 MB)"
    monkeypatch.setitem(catalogue.DATASETS, "moths", replace(moths, shape=(3, 20, 30)))
    assert {row.name: row for row in describe()}["moths"].size == "30×20 colour"
    assert all(row.summary and row.source.startswith("http") and row.classes for row in rows.values())


def test_what_is_there_is_said(monkeypatch, tmp_path, moths):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    folder = tmp_path / "moths"
    folder.mkdir()
    (folder / "a.gz").touch()
    assert moths.found() is None, "all of its files are needed"
    (folder / "b").touch()
    assert moths.found() == moths.root() == folder
    assert {row.name: row.where for row in describe()}["moths"] == str(folder)
    assert lookup("digits").found() is None


def test_a_data_root_that_may_not_be_looked_into(monkeypatch, moths):
    def refuse(self: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.exists", refuse)
    assert moths.found() is None


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_leads_to_a_reader(name):
    assert callable(importlib.import_module(DATASETS[name].module).load)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_leads_to_a_reader(name, tmp_path):
    module = importlib.import_module(FORMATS[name])
    assert not module.recognises(tmp_path)
    assert callable(module.read)


def test_unknown(moths):
    with pytest.raises(UnknownNameError, match="Did you mean 'moths'"):
        lookup("moth")
