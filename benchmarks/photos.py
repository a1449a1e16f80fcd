"""Photos on a laptop: `pellucid train PHOTOS` as it is typed, and how good and how quick it is.

    PELLUCID_DATA=... python benchmarks/photos.py cold       # official training photos, scored on the official val photos
    PELLUCID_DATA=... python benchmarks/photos.py more       # 10 photos are added, and it is trained again
    PELLUCID_DATA=... python benchmarks/photos.py folds      # 5 repeats of 5-fold cross-validation over all photos

Each appends a line to `results/photos.jsonl`. Times are of whole processes, start-up included, with an empty cache for
`cold`; beside them stands how busy the machine was. The photos are the ants and bees of the data root (`hymenoptera`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "photos.jsonl"
ADDED = 10
SPLIT_SEEDS = range(100, 105)


def photos() -> Path:
    """The folder of photos."""
    return Path(os.environ["PELLUCID_DATA"]) / "hymenoptera"


def trained(data: Path, work: Path, name: str) -> dict[str, Any]:
    """Runs `pellucid train` in a process of its own: seconds, and what it found."""
    command = [sys.executable, "-m", "pellucid.cli", "train", str(data), "--json", "--out", str(work / name)]
    environment = os.environ | {"PELLUCID_CACHE": str(work / "cache")}
    started = time.perf_counter()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        check=True,
    )
    seconds = time.perf_counter() - started
    accuracy = next(item for item in json.loads(done.stdout)["findings"] if item["name"] == "accuracy")
    return {"seconds": round(seconds, 2), "accuracy": accuracy["value"], "n": accuracy["n"]}


def cold(work: Path) -> dict[str, Any]:
    """With nothing in the cache: train, score, report."""
    return trained(photos(), work, "cold")


def more(work: Path) -> dict[str, Any]:
    """Trained once without ten of the photos; then these are added, and it is trained again."""
    data = work / "photos"
    shutil.copytree(photos(), data)
    late = sorted(data.glob("train/*/*.jpg"))[:: len(list(data.glob("train/*/*.jpg"))) // ADDED][:ADDED]
    aside = [path.rename(work / f"late-{i}.jpg") for i, path in enumerate(late)]
    first = trained(data, work, "first")
    for path, before in zip(aside, late, strict=True):
        path.rename(before)
    return trained(data, work, "second") | {"added": ADDED, "first_seconds": first["seconds"]}


def folds(work: Path) -> dict[str, Any]:
    """Every photo is told by a model that was trained, penalty and all, on four fifths of the others."""
    os.environ["PELLUCID_CACHE"] = str(work / "cache")
    import numpy as np

    import pellucid
    from pellucid.inference.features import features
    from pellucid.networks import backbones
    from pellucid.records import PictureFiles, Split
    from pellucid.training.recipes import named
    from pellucid.training.transfer.folds import folds as drawn
    from pellucid.training.transfer.frozen import last_layer

    data = pellucid.load(photos())
    parts = list(data)
    paths = tuple(path for part in parts for path in part.pictures.paths)
    labels = np.concatenate([part.known_labels() for part in parts])
    everything = Split("train", PictureFiles(paths), labels, data.classes)
    described, reasons = features(everything.pictures, backbones.load("lite0"))
    assert not reasons
    accuracies = []
    for seed in SPLIT_SEEDS:
        held = drawn(labels, None, 5, seed)
        right = 0
        for fold in range(5):
            out = held == fold
            learned = last_layer(described[~out], everything.take(np.flatnonzero(~out)), named("features"), seed=0)
            right += int((learned.head(described[out]).argmax(axis=1) == labels[out]).sum())
        accuracies.append(right / len(labels))
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracies": accuracies,
        "n": len(labels),
        "repeats": len(accuracies),
    }


# The peers, a fine-tuning library's usual recipe and a plain loop, get their functions and their lines here.
MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {"cold": cold, "more": more, "folds": folds}


def main() -> None:
    """Measures, prints, and appends one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=MEASURES)
    name = parser.parse_args().measure
    load = [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else []
    with tempfile.TemporaryDirectory() as folder:
        found = MEASURES[name](Path(folder))
    line = {
        "measure": name,
        **found,
        "cores": os.cpu_count(),
        "load_before": load,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    }
    print(json.dumps(line))
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
