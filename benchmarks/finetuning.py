"""Which settings `finetune` has: a small grid, on validation carved from the training photos of ants and bees.

    PELLUCID_DATA=... python benchmarks/finetuning.py --seeds 2      # appends to benchmarks/results/finetuning.jsonl
    python benchmarks/finetuning.py --table                          # prints the table for LOG.md

A third of the training photos is held out by the seed; the val photos, which are the test split, are not looked at. Before
every variant stands the last layer alone, on the same photos: what fine-tuning begins with. `--only` measures one
variant, where time is short.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import pellucid
from pellucid.data.splitting import with_validation
from pellucid.inference.features import describe
from pellucid.records import Dataset
from pellucid.statistics.metrics import log_loss
from pellucid.training.methods import finetune
from pellucid.training.plan import make_plan
from pellucid.training.recipes import named_recipe
from pellucid.training.training import learn

RESULTS = Path(__file__).parent / "results" / "finetuning.jsonl"
HELD_OUT = 1 / 3
VARIANTS: dict[str, dict[str, Any]] = {
    "rate 1e-5": {"learning_rate": 1e-5},
    "rate 3e-5": {"learning_rate": 3e-5},
    "rate 1e-4": {"learning_rate": 1e-4},
    "rate 3e-4": {"learning_rate": 3e-4},
    "rate 1e-3": {"learning_rate": 1e-3},
    "rate 1e-4, the last layer's 1e-3": {"learning_rate": 1e-4, "head_lr_scale": 10.0},
    "rate 3e-4, the last layer's 3e-5": {"learning_rate": 3e-4, "head_lr_scale": 0.1},
    "rate 3e-4, statistics of its own": {"learning_rate": 3e-4, "freeze_batchnorm": False},
    "rate 3e-4, zoomed and turned too": {"learning_rate": 3e-4, "augmentation": ("flip", "zoom:0.2", "rotate:10")},
    "rate 3e-4, 2 epochs": {"learning_rate": 3e-4, "epochs": 2},
}


def photos() -> Dataset:
    """The official training photos alone."""
    whole = pellucid.load(Path(os.environ["PELLUCID_DATA"]) / "hymenoptera")
    return Dataset(whole.name, {"train": whole.train})


def measure(name: str, seed: int, size: int) -> dict[str, Any]:
    """Trains one variant, and gives its line."""
    recipe = named_recipe("finetune").but(
        **({"epochs": 4, "validation_fraction": HELD_OUT, "split_seed": seed} | VARIANTS[name])
    )
    data = with_validation(photos(), recipe.validation_fraction, recipe.split_seed)
    held = data.validation
    plan = make_plan(data, recipe=recipe, seed=seed, size=size)
    frozen = describe(finetune.with_new_head(data, plan), held).predictions
    started = time.perf_counter()
    done = learn(data, plan, progress=False)
    rows = done.history.rows
    return {
        "variant": name,
        "seed": seed,
        "size": size,
        "n": len(held),
        "frozen_accuracy": float((frozen.predicted == held.known_labels()).mean()),
        "frozen_loss": log_loss(frozen.probabilities.astype("float64"), held.known_labels()),
        "accuracies": [row["validation_accuracy"] for row in rows],
        "losses": [row["validation_loss"] for row in rows],
        "seconds": round(time.perf_counter() - started, 1),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """One row a variant: means over seeds, after the last epoch, and its gain on the last layer alone."""
    rows = [
        "| variant | seeds | accuracy, % | loss, nats | the last layer alone | seconds an epoch |",
        "|---|---|---|---|---|---|",
    ]
    for name in VARIANTS:
        group = [line for line in lines if line["variant"] == name]
        if group:
            accuracies = [line["accuracies"][-1] for line in group]
            losses = [line["losses"][-1] for line in group]
            before = [statistics.mean(line[key] for line in group) for key in ("frozen_accuracy", "frozen_loss")]
            epoch = statistics.median(line["seconds"] / len(line["losses"]) for line in group)
            rows.append(
                f"| {name} | {len(group)} | {_mean(accuracies, 100, 1)} | {_mean(losses, 1, 3)} "
                f"| {100 * before[0]:.1f}, {before[1]:.3f} | {epoch:.0f} |"
            )
    return "\n".join(rows)


def _mean(values: list[float], times: float, digits: int) -> str:
    each = ", ".join(f"{times * value:.{digits}f}" for value in values)
    return f"{times * statistics.mean(values):.{digits}f} ({each})"


def main() -> None:
    """Measures what is not there yet, or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--only", type=int, metavar="N", help="the Nth variant alone, from 0")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.is_file() else []
    if given.table:
        print(table(lines))
        return
    names = list(VARIANTS) if given.only is None else [list(VARIANTS)[given.only]]
    for seed in range(given.seeds):
        for name in names:
            if not any((line["variant"], line["seed"]) == (name, seed) for line in lines):
                line = measure(name, seed, given.size)
                with RESULTS.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
