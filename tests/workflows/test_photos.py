"""Training again costs only the photos that are new: neither decoding nor arithmetic is done for the others."""

from __future__ import annotations

import shutil

import pytest

import pellucid
from pellucid.data.checking import scan
from pellucid.errors import UsageError
from pellucid.inference.torch_runner import FeatureExtractor
from pellucid.workflows.train import run


@pytest.fixture
def work(monkeypatch):
    """How many photos went through the backbone, and how many were decoded for the check."""
    done = {"computed": 0, "scanned": 0}
    compute, scan_file = FeatureExtractor.__call__, scan._scan_file

    def computing(self, pictures):
        done["computed"] += len(pictures)
        return compute(self, pictures)

    def scanning(statistics, index, path, name, contents):
        done["scanned"] += 1
        return scan_file(statistics, index, path, name, contents)

    monkeypatch.setattr(FeatureExtractor, "__call__", computing)
    monkeypatch.setattr(scan, "_scan_file", scanning)
    return done


def test_training_again_costs_only_what_is_new(photos, tmp_path, monkeypatch, work):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    late = next((folder / "apple").glob("*.jpg"))
    aside = shutil.move(late, tmp_path / "late.jpg")

    def trained(name):
        work.update(dict.fromkeys(work, 0))
        return run(pellucid.load(folder), out=tmp_path / name, size=32, report=False, progress=False)

    first = trained("first")
    count = len(list(folder.glob("*/*.jpg")))
    assert work == {"computed": count, "scanned": count}, "each once, the test photos too"
    again = trained("again")
    assert work == {"computed": 0, "scanned": 0}
    assert again.model.sha256 == first.model.sha256
    assert (again.folder.predictions).read_bytes() == (first.folder.predictions).read_bytes()
    shutil.move(aside, late)
    trained("third")
    assert work == {"computed": 1, "scanned": 1}


def test_weights_that_are_not_at_hand_are_missed_before_anything_is_looked_at(photos, tmp_path, monkeypatch, work):
    pytest.importorskip("timm", reason="timm is an extra, and not installed")
    hub = pytest.importorskip("huggingface_hub", reason="it comes with timm, an extra")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    data = pellucid.load(photos, test_fraction=0)
    for changes in ({}, {"recipe": "finetune"}):
        with pytest.raises(UsageError, match="The weights of 'timm:mobilenetv3_small_050' are not on this machine"):
            run(data, out=tmp_path / "run", backbone="timm:mobilenetv3_small_050", progress=False, **changes)
    assert work == {"computed": 0, "scanned": 0}
    assert not (tmp_path / "run").exists()
