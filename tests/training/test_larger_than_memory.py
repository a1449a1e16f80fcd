"""Training on mapped pictures: the same model as from memory, and the set is never held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.data import preprocessing as preparing
from pellucid.data import write_parquet
from pellucid.data.appearance import SAMPLE
from pellucid.inference import predict
from pellucid.records import Dataset, MappedPictures, Split
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

MEGABYTES = 120
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from pellucid.records import Dataset, Split
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

def own():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

pictures = np.load(sys.argv[1], mmap_mode="r" if sys.argv[2] == "mapped" else None)
labels = np.arange(len(pictures)) % 2
names = ("even", "odd")
train = Split("train", pictures, labels, names, dataset="many")
peak = 0

class Watch:
    def on_start(self, plan):
        self.on_step()
    def on_step(self, *_):
        global peak
        peak = max(peak, own())

# A few pictures first: what torch itself takes for its first training is none of ours.
few = Dataset("few", {"train": train.take(np.arange(200))})
learn(few, make_plan(few, "logistic-regression", epochs=1, batch_size=100), progress=False)
before = own() - (pictures.nbytes if sys.argv[2] != "mapped" else 0)
many = Dataset("many", {"train": train})
learn(many, make_plan(many, "logistic-regression", epochs=1, batch_size=100), progress=False, callbacks=[Watch()])
print(json.dumps(peak - before))
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="what is a process's own is read where Linux says it"
)
def test_a_mapped_set_is_not_held_in_memory(tmp_path):
    n = MEGABYTES * 10**6 // (3 * 64 * 64)
    held = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(n, 3, 64, 64))
    held[:] = np.random.default_rng(0).integers(0, 256, (n, 1, 1, 1), dtype=np.uint8)
    held.flush()

    def own(how: str) -> int:
        command = [sys.executable, "-c", CHILD, str(tmp_path / "a.npy"), how]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert own("mapped") < 40 * 10**6
    assert own("held") > MEGABYTES * 10**6, "the measure sees what is held"


def test_the_same_model_from_mapped_pictures(tmp_path):
    digits = pellucid.load("digits")
    few = Dataset("few", {"train": digits.train.take(np.arange(400)), "test": digits.test})
    np.save(tmp_path / "a.npy", few.train.pictures)
    mapped = Split(
        "train", np.load(tmp_path / "a.npy", mmap_mode="r"), few.train.labels, few.classes, few.train.ids, {}, "digits"
    )
    assert isinstance(mapped.pictures, MappedPictures)
    settings = {"epochs": 2, "augmentation": ("shift:1",)}
    ours = learn(
        Dataset("few", {"train": mapped}),
        make_plan(Dataset("few", {"train": mapped}), "convnet", **settings),
        progress=False,
    )
    plain = learn(
        Dataset("few", {"train": few.train}),
        make_plan(Dataset("few", {"train": few.train}), "convnet", **settings),
        progress=False,
    )
    assert isinstance(ours.data.train.pictures, MappedPictures)
    assert ours.history.rows == plain.history.rows
    assert ours.model.specification == plain.model.specification, "also the fingerprint of the data"
    for name, values in plain.model.weights.items():
        np.testing.assert_array_equal(ours.model.weights[name], values)
    np.testing.assert_array_equal(
        predict(ours.model, mapped).probabilities, predict(plain.model, few.train).probabilities
    )


def test_from_parquet_through_the_cache_to_a_model(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    digits = pellucid.load("digits")
    few = Dataset("few", {"train": digits.train.take(np.arange(300)), "test": digits.test.take(np.arange(50))})
    write_parquet(few, tmp_path / "few", per_shard=100)
    settings = {"epochs": 1, "size": 8}
    held = learn(
        pellucid.load(tmp_path / "few"),
        make_plan(pellucid.load(tmp_path / "few"), "logistic-regression", **settings),
        progress=False,
    )
    monkeypatch.setenv("PELLUCID_MEMORY", "1kB")
    decoded = []
    real = preparing.prepare_one
    monkeypatch.setattr(preparing, "prepare_one", lambda *a, **b: decoded.append(1) or real(*a, **b))
    mapped = learn(
        pellucid.load(tmp_path / "few"),
        make_plan(pellucid.load(tmp_path / "few"), "logistic-regression", **settings),
        progress=False,
    )
    assert len(decoded) == 300 + SAMPLE, "each once for the cache, and a sample in its original size"
    np.testing.assert_equal(mapped.model.weights, held.model.weights)
    learn(
        pellucid.load(tmp_path / "few"),
        make_plan(pellucid.load(tmp_path / "few"), "logistic-regression", **settings | {"seed": 1}),
        progress=False,
    )
    assert len(decoded) == 300 + 2 * SAMPLE, "whatever is carved for validation, each is decoded once"
