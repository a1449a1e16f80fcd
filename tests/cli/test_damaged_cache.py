"""A bit that changed in the cache changes no result, and the user reads one note for each kind of file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data import cache

pytestmark = pytest.mark.slow

TRAININGS = {
    "features": ["--no-report"],
    "pixels": ["--network", "logistic-regression", "--size", "224", "--epochs", "1", "--no-report"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with forty photos and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "photos" / ("ants", "bees")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        spots = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(spots).resize((90, 90)).save(path)
        os.utime(path, (1000, 1000))  # hashes of files that have just changed are not cached
    return tmp_path


def trained(name: str, out: str) -> tuple[bytes, list[str]]:
    """The bytes of the model, and the notes about the cache."""
    words = [sys.executable, "-m", "pellucid", "train", "photos", *TRAININGS[name], "--quiet", "--out", out]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if "damaged" in line]
    return Path(out, "model.safetensors").read_bytes(), notes


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_is_the_same_after_damage_in_every_file_of_the_cache(name, folder):
    model, notes = trained(name, "first")
    assert notes == []
    kinds = set()
    for entry in cache.entries():
        if entry.kind != "ledger":
            content = bytearray(entry.path.read_bytes())
            content[int(len(content) * 0.6)] ^= 4
            entry.path.write_bytes(content)
            kinds.add(entry.kind)
    assert kinds == {"copies", "hashes", "splits", "statistics", "decoded" if name == "pixels" else "features"}
    again, notes = trained(name, "again")
    assert again == model
    assert sorted(notes) == sorted(
        f"Note: {cache.KINDS[kind].damaged} If this happens often, check the disk of {folder / 'cache' / kind}."
        for kind in kinds
    )
    assert trained(name, "third") == (model, [])
