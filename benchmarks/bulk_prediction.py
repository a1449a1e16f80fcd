"""JPEG files to labels, many at once: `pellucid.predict` beside the usual way with the same network.

    PELLUCID_DATA=... python benchmarks/bulk_prediction.py --pairs 3

The usual way is eager torch, `ImageFolder` and a `DataLoader` with two worker processes, batches of 32, no gradients. Both
sides get the same model (EfficientNet-Lite0 at 288 pixels), two threads, and the same files; timed is from the first file to the last
label, workers' start included, imports and loading of weights not. Beside the seconds on the clock stand those of the
processors, all processes together, which say more where the machine is shared. Where the answers differ, it says on how
many. Each pair appends a line to `results/bulk_prediction.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "bulk_prediction.jsonl"


THREADS = int(os.environ.get("THREADS", "2"))
Seconds = tuple[float, float]
"""On the clock, and of the processors."""


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), self._cpu()

    @staticmethod
    def _cpu() -> float:
        """Of this process and of its children that have ended."""
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def seconds(self) -> Seconds:
        return time.perf_counter() - self.wall, self._cpu() - self.cpu


def ours(files: list[str]) -> tuple[Seconds, list[int]]:
    """Seconds, and the index of the class of each file."""
    import torch

    import pellucid
    from pellucid.inference.building import pretrained

    torch.set_num_threads(THREADS)
    model = pretrained("lite0")
    pellucid.predict(model, files[:4])
    started = Clock()
    found = pellucid.predict(model, files)
    return started.seconds(), found.predicted.tolist()


def usual(files: list[str]) -> tuple[Seconds, list[int]]:
    """The same by eager torch and a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

    import pellucid
    from pellucid.inference.building import pretrained

    torch.set_num_threads(THREADS)
    model = pretrained("lite0")
    side = model.specification.preprocessing.height
    network = pellucid.build(model)
    pictures = ImageFolder(
        str(Path(files[0]).parents[1]),
        Compose([Resize(side), CenterCrop(side), ToTensor(), Normalize([0.5] * 3, [0.5] * 3)]),
    )
    place = {path: i for i, (path, _) in enumerate(pictures.samples)}
    loader = DataLoader(Subset(pictures, [place[file] for file in files]), batch_size=32, num_workers=2)
    found: list[int] = []
    started = Clock()
    with torch.inference_mode():
        for inputs, _ in loader:
            found += network(inputs).argmax(dim=1).tolist()
    return started.seconds(), found


SIDES = {"ours": ours, "usual": usual}


def in_a_process(side: str) -> tuple[Seconds, list[int]]:
    """One side, alone in a process."""
    # Threads that wait sleep after a moment, on both sides: on a shared machine they would else spin for minutes.
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, *sys.argv[1:]],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
        env={"GOMP_SPINCOUNT": "2000", **os.environ},
    )
    seconds, found = json.loads(done.stdout.splitlines()[-1])
    return seconds, found


def main() -> None:
    """Measures pairs, prints and appends them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=1000, help="at most so many")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    files = [
        str(path) for path in sorted((Path(os.environ["PELLUCID_DATA"]) / "hymenoptera" / "train").glob("*/*.jpg"))
    ]
    if given.side:
        print(json.dumps(SIDES[given.side](files)))
        return
    for _ in range(given.pairs):
        (our_seconds, our_answers), (their_seconds, their_answers) = in_a_process("ours"), in_a_process("usual")
        same = sum(a == b for a, b in zip(our_answers, their_answers, strict=True))
        line = {
            "pictures": len(files),
            "threads": THREADS,
            "ours_per_second": round(len(files) / our_seconds[0], 1),
            "usual_per_second": round(len(files) / their_seconds[0], 1),
            "ratio": round(their_seconds[0] / our_seconds[0], 2),
            "cpu_ratio": round(their_seconds[1] / our_seconds[1], 2),
            "same_answers": same,
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        }
        print(json.dumps(line))
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
