"""Training on a set larger than the memory it may use: how much memory it holds, and how fast it is.

    python benchmarks/larger_than_memory.py                       # 3 GB of pictures; about 10 minutes; 4 GB of disk
    python benchmarks/larger_than_memory.py --gigabytes 0.5 --pairs 1

Synthetic JPEGs (2,000 pictures over and over, each time as another file) are written as sharded Parquet, loaded,
decoded into the cache and trained on from there, in a process of its own, with one thread for arithmetic. Beside it a
part of the same set that fits into memory is trained on in memory, in turn. Speeds are pictures a second within the
training's steps, by the clock and, as other programs may take turns with this one, by the processor's time; the two
also take steps in turn within one process. Memory is what is the process's own (RssAnon on Linux: mapped files are not,
as the system takes them back when it needs room); `import torch` and a forward pass hold some of it before any picture.
Prints, and appends a line for each network to `benchmarks/results/larger_than_memory.jsonl`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "larger_than_memory.jsonl"
SIDE = 128
FITS = 5_400
"""How many pictures the set in memory has: a little less than the 256 MiB that are held in memory."""
DISTINCT = 2_000
WARM = 5
"""The first steps, in which torch sets itself up, say nothing of the others."""
CLASSES = ("bar", "disc", "ring", "wedge")


def picture(number: int) -> tuple[bytes, int]:
    """One JPEG and its class: a shape somewhere on a cloudy ground."""
    from PIL import Image

    dice = np.random.default_rng(number)
    label = number % len(CLASSES)
    ground = Image.fromarray(dice.integers(40, 200, (6, 6, 3), dtype=np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    pixels = np.array(ground)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    middle = dice.integers(SIDE // 4, 3 * SIDE // 4, 2)
    distance = np.hypot(y - middle[0], x - middle[1])
    radius = dice.integers(10, 24)
    shape = (
        np.abs(y - middle[0]) < radius / 4,
        distance < radius,
        np.abs(distance - radius) < 4,
        (distance < 1.5 * radius) & (y > middle[0]) & (x > middle[1]),
    )[label]
    pixels[shape] = dice.integers(0, 255, 3, dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return stream.getvalue(), label


def write(folder: Path, n: int, shards: int, distinct: list[tuple[bytes, int]]) -> None:
    """Writes n pictures as Parquet."""
    folder.mkdir(parents=True)
    bounds = np.linspace(0, n, shards + 1).astype(int).tolist()
    for i, (first, last) in enumerate(pairwise(bounds)):
        # Bytes behind a JPEG's end mark make another file of it, with a row of its own in the cache.
        chosen = ((number, *distinct[number % len(distinct)]) for number in range(first, last))
        rows = [(content + number.to_bytes(8, "big"), label) for number, content, label in chosen]
        _write_shard(folder / f"train-{i:05}-of-{shards:05}.parquet", first, rows)


def _write_shard(path: Path, first: int, rows: list[tuple[bytes, int]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    table = pa.table(
        {
            "image": [{"bytes": content, "path": f"{first + i:07}.jpg"} for i, (content, _) in enumerate(rows)],
            "label": [label for _, label in rows],
        }
    )
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=1000)


def own_memory() -> int:
    """Bytes of memory that are this process's own, and not a mapped file's."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import psutil

    return psutil.Process().memory_full_info().uss


class Watch:
    """The most memory that was held, looked at fifty times a second, by phase."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self.phase = "start"
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.peaks[self.phase] = max(self.peaks.get(self.phase, 0), own_memory())
            time.sleep(0.02)


class Steps:
    """When each step ended; stops the training after so many seconds of them."""

    def __init__(self, watch: Watch, seconds: float) -> None:
        self.watch, self.seconds = watch, seconds
        self.times: list[float] = []
        self.worked: list[float] = []

    def on_start(self, plan: Any) -> None:
        self.watch.phase = "train"
        self.pictures, self.steps = plan.pictures, plan.steps_per_epoch

    def on_step(self, *_: Any) -> None:
        self.times.append(time.perf_counter())
        self.worked.append(time.process_time())
        if self.times[-1] - self.times[0] > self.seconds:
            raise StopIteration

    def speed(self, moments: list[float]) -> float:
        """Pictures a second, without the first steps and what is between epochs."""
        apart = np.diff(moments)[WARM:]
        return self.pictures / self.steps / float(np.mean(apart[apart < 20 * np.median(apart)]))


def child(folder: Path, network: str, seconds: float, epochs: int) -> dict[str, Any]:
    """Loads, decodes and trains in this process."""
    watch = Watch()
    from pellucid.data import load
    from pellucid.training.plan import make_plan
    from pellucid.training.training import learn

    started = time.perf_counter()
    watch.phase = "load"
    data = load(folder, test_fraction=0)
    loaded = time.perf_counter()
    watch.phase = "decode"
    steps = Steps(watch, seconds)
    accuracy = None
    try:
        done = learn(
            data,
            make_plan(data, network, size=SIDE, epochs=epochs, batch_size=32, augmentation=()),
            callbacks=[steps],
            progress=False,
        )
        accuracy = done.history.rows[-1]["validation_accuracy"]
    except StopIteration:
        pass
    return {
        "pictures": len(data.train),
        "load_seconds": loaded - started,
        "decode_seconds": steps.times[0] - loaded,
        "steps": len(steps.times),
        "pictures_per_second": steps.speed(steps.times),
        "pictures_per_processor_second": steps.speed(steps.worked),
        "machine_load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "own_memory": watch.peaks,
        "validation_accuracy": accuracy,
    }


def side_by_side(folder: Path, network: str, seconds: float) -> dict[str, Any]:
    """Steps of two trainings in turn, in this process: from the same pictures mapped and in memory.

    Two processes differ by more than that, by what the system does for their memory on a busy machine.
    """
    from pellucid.data import load
    from pellucid.training.dry_run import dry_run
    from pellucid.training.plan import make_plan

    data = load(folder, test_fraction=0)
    changes = {"batch_size": 32, "augmentation": ()}
    took: dict[str, list[float]] = {"mapped": [], "in_memory": []}
    with contextlib.ExitStack() as stack:
        trainings = []
        for memory in ("1kB", "100GB"):
            os.environ["PELLUCID_MEMORY"] = memory
            trainings.append(
                stack.enter_context(dry_run(data, make_plan(data, network, size=SIDE, device="cpu", **changes)))
            )
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(took["mapped"]) < 2 * WARM:
            for times, training in zip(took.values(), trainings, strict=True):
                before = time.process_time()
                training.step(1e-5)
                times.append(time.process_time() - before)
    medians = {how: statistics.median(times[WARM:]) for how, times in took.items()}
    return {
        "steps": len(took["mapped"]),
        "processor_seconds": medians,
        "ratio_of_processor_time": medians["in_memory"] / medians["mapped"],
    }


def run(folder: Path, network: str, seconds: float, epochs: int, work: Path) -> dict[str, Any]:
    """The same in a process of its own; of 0 epochs, `side_by_side`."""
    environment = os.environ | {"PELLUCID_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child", str(folder), network, str(seconds), str(epochs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def forget(work: Path) -> None:
    """Has the system forget the decoded pictures, so that they come from the disk (where it can: Linux)."""
    for path in (work / "cache").rglob("*.pixels"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(gigabytes: float, networks: list[str], pairs: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Writes the set, trains in turn, and yields a line of results for each network."""
    n = int(gigabytes * 1e9 / (3 * SIDE * SIDE))
    with tempfile.TemporaryDirectory() as top:
        work = Path(top)
        distinct = [picture(number) for number in range(DISTINCT)]
        write(work / "large", n, max(2, n // 8000), distinct)
        write(work / "small", min(n, FITS), 2, distinct)
        for network in networks:
            runs = []
            for number in range(pairs):
                epochs = {"large": 1, "small": max(1, n // FITS)}
                order = list(epochs) if number % 2 == 0 else list(epochs)[::-1]
                done = {name: run(work / name, network, seconds, epochs[name], work) for name in order}
                large, small = done["large"], done["small"]
                runs.append(
                    {"mapped": large, "in_memory": small}
                    | {
                        key: large[f"pictures_per_{unit}"] / small[f"pictures_per_{unit}"]
                        for key, unit in (("ratio", "second"), ("ratio_of_processor_time", "processor_second"))
                    }
                )
                print(
                    f"{network}: mapped {large['pictures_per_second']:,.0f} pictures/s, in memory "
                    f"{small['pictures_per_second']:,.0f}, ratio {runs[-1]['ratio']:.2f} (of processor time "
                    f"{runs[-1]['ratio_of_processor_time']:.2f}); own memory at most "
                    f"{max(large['own_memory'].values()) / 1e6:,.0f} MB ({large['own_memory']}), load "
                    f"{large['load_seconds']:.1f} s, decode {large['decode_seconds']:.1f} s",
                    flush=True,
                )
            cold = None
            if hasattr(os, "posix_fadvise"):
                forget(work)
                cold = run(work / "large", network, seconds, 1, work)
                print(f"{network}: mapped, from the disk {cold['pictures_per_second']:,.0f} pictures/s", flush=True)
            both = run(work / "small", network, seconds, 0, work)
            print(
                f"{network}: side by side in one process, {both['steps']} steps each, ratio of processor time "
                f"{both['ratio_of_processor_time']:.2f}",
                flush=True,
            )
            yield {
                "network": network,
                "gigabytes": gigabytes,
                "pictures": n,
                "side": SIDE,
                "pairs": pairs,
                "ratio": statistics.median(one["ratio"] for one in runs),
                "ratio_of_processor_time": statistics.median(one["ratio_of_processor_time"] for one in runs),
                "own_memory_most": max(max(one["mapped"]["own_memory"].values()) for one in runs),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "side_by_side": both,
                "runs": runs,
                "from_the_disk": cold,
            }


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0, help="of decoded pictures")
    parser.add_argument("--networks", nargs="+", default=["logistic-regression", "convnet"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40, help="of each training")
    parser.add_argument("--child", nargs=4, metavar=("FOLDER", "NETWORK", "SECONDS", "EPOCHS"))
    given = parser.parse_args()
    if given.child:
        folder, network, seconds, epochs = given.child
        if int(epochs):
            print(json.dumps(child(Path(folder), network, float(seconds), int(epochs))))
        else:
            print(json.dumps(side_by_side(Path(folder), network, float(seconds))))
        return
    for line in measure(given.gigabytes, given.networks, given.pairs, given.seconds):
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
