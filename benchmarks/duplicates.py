"""Recall and precision of the search for copies, on planted copies of each kind; and the time of a check.

    python benchmarks/duplicates.py                 # precision and recall: a few minutes
    python benchmarks/duplicates.py --speed         # `pellucid check` on 60,000 small PNGs, beside decoding them once
    python benchmarks/duplicates.py --table         # writes docs/duplicates.md

Up to 1,000 pictures of each set are written as PNG, each with a copy that is changed in one way (seeded), together
with up to 4,000 other pictures of the set. The thresholds were chosen on other pictures: the training pictures of
CIFAR-10, MNIST, and ants and bees. There are two exceptions: the recall on 8×8 digits was known when the form of the
thresholds was chosen, and the sample size was chosen with counts of false pairs among all of MNIST, including its test
pictures.

Recall is the share of copies that are paired with their original. Precision is the share of pairs with a planted copy
that pair it with its original: copies that the set itself has (CIFAR-10 has some) count as false. A separate column
counts the pairs among the pictures without planted copies.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.data import decoding, load
from pellucid.data.checking.near_duplicates import copies
from pellucid.data.checking.scan import PictureStatistics, scan_pictures
from pellucid.records import PictureFiles
from pellucid.statistics.intervals import wilson
from pellucid.version import __version__

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "duplicates.jsonl"
TABLE = HERE.parent / "docs" / "duplicates.md"
ORIGINALS, OTHERS = 1000, 4000
Picture = Image.Image
Draw = np.random.Generator


def exact(image: Picture, _draw: Draw) -> Picture:
    """The unchanged picture."""
    return image


def rescaled(image: Picture, draw: Draw) -> Picture:
    """0.6 to 1.6 times the size; of very small pictures, which shrinking would destroy, 1 to 3 times."""
    factor = draw.uniform(0.6, 1.6) if min(image.size) > 20 else draw.uniform(1, 3)
    size = (round(image.width * factor), round(image.height * factor))
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    return image.resize(size, filters[draw.integers(3)])


def recompressed(image: Picture, draw: Draw) -> Picture:
    """Saved as JPEG with a quality of 40 to 90."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(draw.integers(40, 91)))
    return Image.open(io.BytesIO(stream.getvalue()))


def mirrored(image: Picture, _draw: Draw) -> Picture:
    """Mirrored left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def brightened(image: Picture, draw: Draw) -> Picture:
    """1.1 to 1.5 times as bright, clipped at white."""
    factor = draw.uniform(1.1, 1.5)
    return image.point(lambda value: min(255, round(value * factor)))


def cropped(image: Picture, draw: Draw, share: float = 0.05) -> Picture:
    """Cropped to 95 % of each side, anywhere; very small pictures are resampled, because a pixel is too much."""
    width, height = image.size
    if min(width, height) < 20:
        left, top = draw.uniform(0, width * share), draw.uniform(0, height * share)
        box = (left, top, left + width * (1 - share), top + height * (1 - share))
        return image.resize(image.size, Image.Resampling.BILINEAR, box=box)
    inner = round(width * (1 - share)), round(height * (1 - share))
    left, top = int(draw.integers(0, width - inner[0] + 1)), int(draw.integers(0, height - inner[1] + 1))
    return image.crop((left, top, left + inner[0], top + inner[1]))


def cropped_more(image: Picture, draw: Draw) -> Picture:
    """Cropped to 90 % of each side."""
    return cropped(image, draw, 0.1)


KINDS: dict[str, Callable[[Picture, Draw], Picture]] = {
    "exact": exact,
    "rescaled": rescaled,
    "recompressed": recompressed,
    "mirrored": mirrored,
    "brightened": brightened,
    "cropped by 5 %": cropped,
    "cropped by 10 %": cropped_more,
}


def of_array(pictures: np.ndarray, originals: int, others: int) -> tuple[list[Picture], PictureStatistics]:
    """(pictures to copy, statistics of other pictures)."""
    order = np.random.default_rng(7).permutation(len(pictures))
    chosen = [pictures[i] for i in order[:originals]]
    images = [Image.fromarray(one[0] if len(one) == 1 else one.transpose(1, 2, 0).copy()) for one in chosen]
    return images, scan_pictures(pictures[order[originals : originals + others]], ())


def sets(originals: int = ORIGINALS, others: int = OTHERS) -> Iterator[tuple[str, list[Picture], PictureStatistics]]:
    """The test sets: (name, pictures to copy, statistics of other pictures)."""
    yield "CIFAR-10, test", *of_array(np.asarray(load("cifar10").test.pictures), originals, others)
    photos = Path(os.environ["PELLUCID_DATA"]) / "hymenoptera" / "val"
    images = [decoding.open_upright(path, 3) for path in sorted(photos.rglob("*.jpg"))]
    yield "ants and bees, val", images[:originals], PictureStatistics.empty(0)
    yield "MNIST, test", *of_array(np.asarray(load("mnist").test.pictures), originals, others)
    digits = load("digits")
    whole = np.concatenate([digits.train.pictures, digits.test.pictures])
    yield "digits (8×8)", *of_array(whole, originals, others)


def measure(name: str, images: list[Picture], others: PictureStatistics, folder: Path) -> Iterator[dict[str, Any]]:
    """Plants copies of each kind and searches for them."""
    n = len(images)
    originals = _written(images, folder / "originals")
    clean = len(copies(PictureStatistics.joined([originals, others]))[0])
    for kind, change in KINDS.items():
        draw = np.random.default_rng(11)
        changed = _written([change(image, draw) for image in images], folder / kind.replace(" %", "").replace(" ", "-"))
        pairs, _ = copies(PictureStatistics.joined([originals, changed, others]))
        planted = (pairs.second - pairs.first == n) & (pairs.first < n)
        with_a_copy = ((pairs.first >= n) & (pairs.first < 2 * n)) | ((pairs.second >= n) & (pairs.second < 2 * n))
        true_pairs, all_pairs = int(planted.sum()), int(with_a_copy.sum())
        yield {
            "set": name,
            "kind": kind,
            "n": n,
            "others": len(others),
            "recall": true_pairs / n,
            "recall_interval": wilson(true_pairs, n),
            "precision": true_pairs / all_pairs if all_pairs else None,
            "precision_interval": wilson(true_pairs, all_pairs) if all_pairs else None,
            "pairs": all_pairs,
            "pairs_without_copies": clean,
            "version": __version__,
        }


def _written(images: list[Picture], folder: Path) -> PictureStatistics:
    folder.mkdir(parents=True)
    paths = []
    for index, image in enumerate(images):
        paths.append(folder / f"{index:05}.png")
        image.save(paths[-1], compress_level=1)
    return scan_pictures(PictureFiles(tuple(paths)), [path.name for path in paths])


def speed(pictures: int, times: int) -> dict[str, Any]:
    """`pellucid check` on a folder of small PNGs, beside reading and decoding them once in this process: medians.

    They alternate, and each check begins with an empty cache.
    """
    data = load("cifar10")
    everything = np.concatenate([data.train.pictures, data.test.pictures])[:pictures]
    labels = np.concatenate([data.train.labels, data.test.labels])
    decoded: list[tuple[float, float]] = []
    checked: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as top:
        for index, picture in enumerate(everything):
            folder = Path(top) / "photos" / data.classes[labels[index]]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.transpose(1, 2, 0).copy()).save(folder / f"{index:05}.png")
        paths = sorted(Path(top).rglob("*.png"))
        for number in range(times):
            began, before = time.perf_counter(), time.process_time()
            for path in paths:
                decoding.decode(path, 3)
            decoded.append((time.perf_counter() - began, time.process_time() - before))
            began, before = time.perf_counter(), _children_cpu()
            command = [sys.executable, "-m", "pellucid.cli", "check", f"{top}/photos", "--json"]
            done = subprocess.run(
                command,
                capture_output=True,
                check=False,
                env=os.environ | {"PELLUCID_CACHE": f"{top}/cache-{number}"},
            )
            if "findings" not in json.loads(done.stdout or "{}"):
                raise SystemExit(done.stderr.decode())
            checked.append((time.perf_counter() - began, _children_cpu() - before))
    once, check = (np.median(measured, axis=0) for measured in (decoded, checked))
    ratios = np.array(checked) / np.array(decoded)
    return {
        "speed": f"{len(paths):,} PNGs of 32×32",
        "times": times,
        "decoding_seconds": round(once[0], 2),
        "decoding_cpu_seconds": round(once[1], 2),
        "check_seconds": round(check[0], 2),
        "check_cpu_seconds": round(check[1], 2),
        "ratio": round(float(np.median(ratios[:, 0])), 2),
        "cpu_ratio": round(float(np.median(ratios[:, 1])), 2),
        "ratios": [round(one, 2) for one in ratios[:, 0].tolist()],
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "version": __version__,
    }


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


PAGE = """# Copies: how many are found

Generated by `python benchmarks/duplicates.py --table` from `benchmarks/results/duplicates.jsonl`; do not edit.

The benchmark plants copies of one kind among the pictures of a set, and searches for them. The thresholds were chosen on
the training pictures of CIFAR-10, MNIST, and ants and bees. Two sets are not fully unseen: the recall on 8×8 digits was
known when the form of the thresholds was chosen, and the sample size was chosen with false pairs among all of MNIST.

Recall is the share of copies that are paired with their original. Precision is the share of pairs with a planted copy
that pair it with its original; copies that the set itself has count as false. 95 % intervals are in brackets; n is the
number of copies. The last column counts the pairs found without planted copies.

| set | copies | n | recall, % | precision, % | without copies |
|---|---|---|---|---|---|
"""


def results() -> list[dict[str, Any]]:
    """All measurements so far."""
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def table(lines: list[dict[str, Any]]) -> str:
    """The page, from the latest line of each set and kind."""
    latest = {(line["set"], line["kind"]): line for line in lines if "set" in line}
    rows = [
        f"| {line['set']} | {line['kind']} | {line['n']:,} | {_share(line, 'recall')} | {_share(line, 'precision')} "
        f"| {line['pairs_without_copies']:,} pairs in {line['n'] + line['others']:,} |"
        for line in latest.values()
    ]
    page = PAGE + "\n".join(rows) + "\n"
    timed = [line for line in lines if "speed" in line]
    if timed:
        one = timed[-1]
        page += (
            f"\n`pellucid check` on {one['speed']}, whole process, took {one['check_cpu_seconds']} s of processor time, "
            f"{one['cpu_ratio']} times that of reading and decoding them once ({one['decoding_cpu_seconds']} s), and at most "
            f"{one['peak_memory_mb']:,} MB of memory. By the clock it took {one['ratio']} times as long, on {one['cores']} cores with "
            f"a load average of {one['load']} (n = {one['times']}; the decoding has one thread).\n"
        )
    return page


def _share(line: dict[str, Any], name: str) -> str:
    if line[name] is None:
        return "–"
    low, high = line[f"{name}_interval"]
    return f"{100 * line[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def record(line: dict[str, Any]) -> None:
    """Prints a measurement, and appends it."""
    print(json.dumps(line, ensure_ascii=False), flush=True)
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", default="", metavar="SET", help="sets whose name has this in it")
    arguments = parser.parse_args()
    if arguments.table:
        TABLE.write_text(table(results()), encoding="utf-8")
    elif arguments.speed:
        record(speed(arguments.pictures, arguments.times))
    else:
        for name, images, others in sets():
            if arguments.only not in name:
                continue
            with tempfile.TemporaryDirectory() as folder:
                for line in measure(name, images, others, Path(folder)):
                    record(line)


if __name__ == "__main__":
    main()
