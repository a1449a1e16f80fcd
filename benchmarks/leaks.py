"""Leaks: average precision of `pellucid audit`'s ranking on copies planted among training pictures of CIFAR-10.

    python benchmarks/leaks.py --seed 0      # about half a minute
    python benchmarks/leaks.py --table       # mean and spread over the seeds measured so far

3,000 training pictures are held out as they are, and 1,000 more are changed copies of pictures that stay: cropped to 75 %
to 95 % of the side, shifted by up to 4 pixels, with another contrast, brightness or hue, blurred, recompressed, mirrored,
or all at once except blur and compression. The set's own duplicates (about 3 % of the 3,000) count as false, so that even
a perfect ranking stays below 1. The test pictures are not used.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from pellucid.audit.leaks import closest
from pellucid.data import load
from pellucid.data.checking.scan import scan_pictures
from pellucid.version import __version__

RESULTS = Path(__file__).parent / "results" / "leaks.jsonl"
HELD_OUT, PLANTED = 3000, 1000
KINDS = ("cropped", "shifted", "contrast", "brightness", "blurred", "recompressed", "hue", "mirrored", "all at once")


def changed(picture: np.ndarray, kind: str, draw: np.random.Generator) -> np.ndarray:
    """A changed copy: uint8 (3, 32, 32)."""
    image = Image.fromarray(picture.transpose(1, 2, 0).copy())
    every = kind == "all at once"
    if every or kind == "cropped":
        side = draw.uniform(0.75, 0.95) * 32
        left, top = draw.uniform(0, 32 - side, 2)
        image = image.resize((32, 32), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    if every or kind == "shifted":
        across, down = draw.integers(0, 9, 2)
        padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)), "edge")
        image = Image.fromarray(padded[down : down + 32, across : across + 32])
    if every or kind == "contrast":
        image = ImageEnhance.Contrast(image).enhance(draw.uniform(0.5, 1.8))
    if every or kind == "brightness":
        image = ImageEnhance.Brightness(image).enhance(draw.uniform(0.6, 1.5))
    if kind == "blurred":
        image = image.filter(ImageFilter.GaussianBlur(draw.uniform(0.4, 1.0)))
    if kind == "recompressed":
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(draw.integers(30, 80)))
        image = Image.open(stream).convert("RGB")
    if every or kind == "hue":
        hue, saturation, value = image.convert("HSV").split()
        turn = int(draw.integers(-25, 26))
        turned = hue.point([(level + turn) % 256 for level in range(256)])
        image = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    if kind == "mirrored" or draw.random() < 0.2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image).transpose(2, 0, 1)


def measure(seed: int) -> dict[str, object]:
    """Plants copies and ranks all pairs."""
    draw = np.random.default_rng(seed)
    pictures = np.asarray(load("cifar10").train.pictures)
    order = draw.permutation(len(pictures))
    base = pictures[order[HELD_OUT:]]
    originals = draw.choice(len(base), PLANTED, replace=False)
    kinds = np.array(KINDS)[draw.integers(0, len(KINDS), PLANTED)]
    copies = [changed(base[i], kind, draw) for i, kind in zip(originals.tolist(), kinds.tolist(), strict=True)]
    queries = np.concatenate([pictures[order[:HELD_OUT]], np.stack(copies)])
    match, score, is_leak = closest(scan_pictures(queries, ()), scan_pictures(base, ()))
    found = np.concatenate([np.zeros(HELD_OUT, dtype=bool), match[HELD_OUT:] == originals])
    ranked = found[np.argsort(-score, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return {
        "seed": seed,
        "average_precision": round(float(precision[ranked].sum() / PLANTED), 4),
        "found": {kind: round(float(found[HELD_OUT:][kinds == kind].mean()), 3) for kind in KINDS},
        "alarms_on_planted": round(float(is_leak[HELD_OUT:].mean()), 3),
        "alarms_on_others": int(is_leak[:HELD_OUT].sum()),
        "version": __version__,
    }


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
        values = np.array([line["average_precision"] for line in lines])
        print(f"average precision {values.mean():.3f} ({values.min():.3f} to {values.max():.3f}, {len(values)} seeds)")
        return
    line = json.dumps(measure(arguments.seed))
    print(line)
    with RESULTS.open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")


if __name__ == "__main__":
    main()
