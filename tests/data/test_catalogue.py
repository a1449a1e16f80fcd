import importlib

import pytest

from pellucid.data.catalogue import DATASETS, FORMATS, describe, lookup
from pellucid.errors import UnknownNameError


def test_rows_of_the_listing(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    rows = {row.name: row for row in describe()}
    assert list(rows) == list(DATASETS)
    assert rows["digits"].where == "comes with scikit-learn"
    assert rows["digits"].size == "8×8 grey"
    assert rows["digits"].pictures == "1,437 train + 360 test"
    assert rows["cifar10"].size == "32×32 colour"
    assert rows["mnist"].where == "downloaded on first use (12 MB)"
    assert rows["fashion-mnist"].licence == "MIT"
    assert all(row.summary and row.source.startswith("http") and row.classes for row in rows.values())


def test_what_is_there_is_said(monkeypatch, tmp_path, idx_folder):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    folder = idx_folder("mnist", suffix=".gz")
    assert lookup("mnist").found() == folder
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert lookup("mnist").found() is None, "all of its files are needed"
    (tmp_path / "cifar-10" / "cifar-10-batches-bin").mkdir(parents=True)
    assert {row.name: row.where for row in describe()}["cifar10"] == str(tmp_path / "cifar-10")
    assert lookup("digits").found() is None


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_leads_to_a_reader(name):
    assert callable(importlib.import_module(DATASETS[name].module).load)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_leads_to_a_reader(name, tmp_path):
    module = importlib.import_module(FORMATS[name])
    assert not module.recognises(tmp_path)
    assert callable(module.read)


def test_unknown():
    with pytest.raises(UnknownNameError, match="Did you mean 'cifar10'"):
        lookup("cifar-10")
