"""What each part of the recipe `record` is worth: the recipe with one part changed, on validation, in a small form.

    python benchmarks/ablations.py --seeds 2         # appends to benchmarks/results/ablations.jsonl
    python benchmarks/ablations.py --table           # prints the table for LOG.md

The network has widths of 16, 32 and 64 and a stride of 2, and the plan 2 epochs; 5,000 of the 50,000 training pictures of CIFAR-10 are the
validation split. The test split is not looked at. Needs PELLUCID_DATA.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import pellucid
from pellucid.networks.whitened_convnet import WhitenedConvNet
from pellucid.training.plan import make_plan
from pellucid.training.training import learn

RESULTS = Path(__file__).parent / "results" / "ablations.jsonl"
SMALL: dict[str, Any] = {"widths": [16, 32, 64], "stride": 2}


class Unwhitened(WhitenedConvNet):
    """With a first layer that begins at random, and learns."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape, classes, **SMALL)
        self.whitening.reset_parameters()
        self.whitening.weight.requires_grad_(True)

    def initialise_from(self, inputs: torch.Tensor) -> None:
        """PictureStatistics away."""


class Undirac(WhitenedConvNet):
    """With convolutions that begin at random."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape, classes, **SMALL)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer is not self.whitening:
                layer.reset_parameters()


VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "the recipe": (None, {}),
    "no whitening": (Unwhitened, {}),
    "no Dirac start": (Undirac, {}),
    "kernels of any norm": (None, {"normalise_kernels": False}),
    "no warm-up": (None, {"warmup": 0.0}),
    "AdamW for Muon": (
        None,
        {"optimizer": "adamw", "learning_rate": 5e-3, "momentum": 0.9, "bias_lr_scale": 1.0, "head_lr_scale": 1.0},
    ),
    "SGD for Muon": (
        None,
        {
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "bias_lr_scale": 1.0,
            "head_lr_scale": 1.0,
            "weight_decay": 5e-4,
        },
    ),
    "a common flip": (None, {"augmentation": ("flip", "shift-mirrored:2")}),
    "no flip": (None, {"augmentation": ("shift-mirrored:2",)}),
    "black edges": (None, {"augmentation": ("alternating-flip", "shift:2")}),
    "no label smoothing": (None, {"label_smoothing": 0.0}),
    "averaged weights, 0.98": (None, {"ema_decay": 0.98}),
    "the hardest half of each batch": (None, {"hard_fraction": 0.5}),
    "the hardest three quarters": (None, {"hard_fraction": 0.75}),
    "full precision": (None, {"precision": "full"}),
    "batches of 1,000": (None, {"batch_size": 1000, "learning_rate": 0.2}),
}


def measure(name: str, seed: int) -> dict[str, Any]:
    """Trains one variant, and gives its line."""
    network, changes = VARIANTS[name]
    started = time.perf_counter()
    training = learn(
        pellucid.load("cifar10"),
        make_plan(
            pellucid.load("cifar10"),
            network or "whitened-convnet",
            recipe="record",
            settings=None if network else SMALL,
            seed=seed,
            **{"epochs": 2, "validation_fraction": 0.1} | changes,
        ),
        progress=False,
    )
    row = training.history.rows[-1]
    looks: Callable[[tuple[str, ...]], float] = lambda views: _accuracy(training, views)  # noqa: E731
    return {
        "variant": name,
        "seed": seed,
        "accuracy": row["validation_accuracy"],
        "with_flip": looks(("flip",)),
        "with_flip_and_shift": looks(("flip", "shift")),
        "train_seconds": round(sum(training.seconds), 1),
        "seconds": round(time.perf_counter() - started, 1),
        "n": len(training.data.validation),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _accuracy(training: Any, views: tuple[str, ...]) -> float:
    from dataclasses import replace

    model = training.model
    seen = replace(model, specification=model.specification.model_copy(update={"tta": views, "tta_below": 1.0}))
    split = training.data.validation
    found = pellucid.predict(seen, split)
    return float((found.predicted == split.known_labels()).mean())


def table(lines: list[dict[str, Any]]) -> str:
    """One row a variant: means over seeds, in per cent."""
    rows = [
        "| variant | accuracy | with mirrored looks | and moved ones | seconds of training | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name in VARIANTS:
        group = [line for line in lines if line["variant"] == name]
        if group:
            means = [
                100 * statistics.mean(line[key] for line in group)
                for key in ("accuracy", "with_flip", "with_flip_and_shift")
            ]
            seconds = statistics.median(line["train_seconds"] for line in group)
            rows.append(
                f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in means) + f" | {seconds:.0f} | {len(group)} |"
            )
    return "\n".join(rows)


def main() -> None:
    """Measures what is not there yet, or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.is_file() else []
    if given.table:
        print(table(lines))
        return
    for seed in range(given.seeds):
        for name in VARIANTS:
            if not any((line["variant"], line["seed"]) == (name, seed) for line in lines):
                line = measure(name, seed)
                with RESULTS.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
