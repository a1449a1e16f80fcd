"""A graphics card: how fast it trains, and whether it repeats itself to the last byte. Needs a card, MNIST and CIFAR-10.

    python benchmarks/card.py --out card.json                     # all stages, the most telling first
    python benchmarks/card.py --out card.json --limit 270         # begin no stage that may not end within 270 seconds
    python benchmarks/card.py --out card.json tests record lenet5 # these stages alone
    python benchmarks/card.py --device cpu --small                # tries the script itself, without a card

Every stage runs in a process of its own with a time limit. A stage that fails is noted with its error, and the next one
begins; the file is written after each. `variants` compares settings on validation pictures alone. The test split is scored
by `record`, `seeds`, `lenet5` and `best`, once per command, at its end, and chooses nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
SMALL = 20
"""Side of the pictures with --small: the smallest that the network of `record` takes is 18."""
CLI = [sys.executable, "-m", "pellucid.cli"]
RECORD_VARIANTS: list[dict[str, Any]] = [
    {},
    {"batch_size": 500},
    {"batch_size": 500, "learning_rate": 0.14, "bias_lr_scale": 28.0},
    {"batch_size": 1000, "learning_rate": 0.2, "bias_lr_scale": 40.0},
    {"batch_size": 2000, "learning_rate": 0.24, "bias_lr_scale": 60.0, "head_lr_scale": 0.08, "epochs": 8},
    {"batch_size": 2000, "learning_rate": 0.24, "bias_lr_scale": 200.0, "head_lr_scale": 0.08, "epochs": 8},
    {"batch_size": 500, "learning_rate": 0.14, "bias_lr_scale": 28.0, "epochs": 9},
    {"deterministic": False},
]
"""Changes to the recipe `record`, compared on a tenth of the training pictures."""


class Bench:
    """The stages, and what they have measured so far.

    Args:
        given: the command line.
        folder: where runs are made.
    """

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given, self.folder = given, folder
        self.results: dict[str, Any] = {}

    def train(self, name: str, arguments: list[str], limit: float) -> dict[str, Any]:
        """Runs `pellucid train`, and gives seconds, accuracy, notes and the hash of the model's file."""
        run = self.folder / name
        started = time.perf_counter()
        command = [*CLI, "train", *arguments, "--device", self.given.device, "--out", str(run), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip()[-1500:])
        return {"whole_process_s": round(seconds, 2), **about(run)}

    def tests(self) -> Any:
        """The tests that need a card."""
        command = [sys.executable, "-m", "pytest", "-q", "-m", "card", "-p", "no:cacheprovider", "--maxfail=12",
                   "--tb=short", "tests/training/test_on_card.py"]  # fmt: skip
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=150, check=False)
        return {"returncode": done.returncode, "output": (done.stdout + done.stderr)[-6000:]}

    def record(self) -> Any:
        """`record` on CIFAR-10, seed 0, with its report."""
        return self.train("record-0", [*self.colour(), "--seed", "0"], 120)

    def lenet5(self) -> Any:
        """`lenet5` on MNIST, 3 epochs."""
        return self.train("lenet5", self.grey("lenet5"), 60)

    def best(self) -> Any:
        """`best` on MNIST."""
        return self.train("best", [*self.data("mnist"), "--recipe", "best", *self.short(), "--no-report"], 90)

    def again(self) -> Any:
        """The same commands once more, and whether their models have the same bytes."""
        lenet5 = self.train("lenet5-again", self.grey("lenet5"), 60)
        record = self.train("record-again", [*self.colour(), "--seed", "0", "--no-report"], 90)
        return {
            "lenet5_same_bytes": lenet5["sha256"] == self.measured("lenet5", "sha256"),
            "record_same_bytes": record["sha256"] == self.measured("record", "sha256"),
            "record": record,
        }

    def killed(self) -> Any:
        """`lenet5` killed by SIGKILL in its second or third epoch and resumed: the same bytes as the whole one?"""
        run = self.folder / "killed"
        arguments = [*CLI, "train", *self.grey("lenet5"), "--device", self.given.device, "--out", str(run), "--json"]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            until = time.perf_counter() + 40
            while not list((run / "checkpoint").glob("step-*")) and process.poll() is None:
                if time.perf_counter() > until:
                    break
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        steps = sorted(path.name for path in (run / "checkpoint").glob("step-*"))
        resumed = [*CLI, "train", "--resume", str(run), "--json"]
        done = subprocess.run(resumed, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
        same = about(run)["sha256"] == self.measured("lenet5", "sha256")
        return {"killed_at": steps, "killed_and_resumed_same_bytes": same}

    def freely(self) -> Any:
        """`record` and `lenet5` without deterministic algorithms: what exactness costs."""
        loose = ["--recipe-set", "deterministic=false"]
        return {
            "record": self.train("record-free", [*self.colour(), "--seed", "0", "--no-report", *loose], 90),
            "lenet5": self.train("lenet5-free", [*self.grey("lenet5"), *loose], 60),
        }

    def variants(self) -> Any:
        """Settings of `record` on validation pictures: seconds and accuracy."""
        return self.child("variants", 100)

    def kernels(self) -> Any:
        """What a card spends a step of `record` on."""
        return self.child("kernels", 60)

    def batch_size(self) -> Any:
        """`--batch-size auto` on MNIST: the sentence."""
        arguments = [*self.grey("lenet5")[:-1], "--batch-size", "auto"]
        arguments[arguments.index("--epochs") + 1] = "1"
        self.train("auto", arguments, 90)
        return json.loads((self.folder / "auto" / "run.json").read_text(encoding="utf-8"))["planned"]

    def seeds(self) -> Any:
        """`record` with seeds 1 to 4."""
        return [self.train(f"record-{i}", [*self.colour(), "--seed", str(i), "--no-report"], 90) for i in range(1, 5)]

    def profile(self) -> Any:
        """Where the whole process of `record` spends its time: the functions with the most seconds, theirs included."""
        path = self.folder / "profile"
        command = [sys.executable, "-m", "cProfile", "-o", str(path), "-m", "pellucid.cli", "train", *self.colour(),
                   "--device", self.given.device, "--out", str(self.folder / "profiled")]  # fmt: skip
        subprocess.run(command, capture_output=True, timeout=150, check=True)
        import io
        import pstats

        text = io.StringIO()
        pstats.Stats(str(path), stream=text).sort_stats("cumulative").print_stats(90)
        return [line for line in text.getvalue().splitlines() if line.strip()][-92:]

    def child(self, name: str, limit: float) -> Any:
        """Runs a function of this script in a process; each line that it prints before the limit counts."""
        command = [sys.executable, __file__, "--child", name, "--device", self.given.device]
        command += ["--small"] if self.given.small else []
        log = self.folder / f"{name}.log"
        with log.open("w", encoding="utf-8") as file:
            try:
                done = subprocess.run(
                    command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=limit, check=False
                )
                error = done.stderr[-1500:] if done.returncode else ""
            except subprocess.TimeoutExpired:
                error = f"stopped after {limit:g} s"
        lines = [
            json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith(("{", "["))
        ]
        return {"lines": lines, **({"error": error} if error else {})}

    def measured(self, stage: str, key: str) -> Any:
        """A result of an earlier stage."""
        return self.results.get(stage, {}).get("result", {}).get(key, f"{stage} was not measured")

    def data(self, name: str) -> list[str]:
        return ["digits"] if self.given.small else [name]

    def short(self) -> list[str]:
        return ["--epochs", "1", "--size", str(SMALL)] if self.given.small else []

    def colour(self) -> list[str]:
        return [*self.data("cifar10"), "--recipe", "record", *self.short()]

    def grey(self, network: str) -> list[str]:
        return [
            *self.data("mnist"),
            "--network",
            "mlp" if self.given.small else network,
            "--epochs",
            "3",
            "--no-report",
        ]


STAGES: dict[str, tuple[float, Callable[[Bench], Any]]] = {
    "record": (30, Bench.record),
    "lenet5": (20, Bench.lenet5),
    "tests": (60, Bench.tests),
    "best": (30, Bench.best),
    "again": (30, Bench.again),
    "killed": (25, Bench.killed),
    "kernels": (20, Bench.kernels),
    "variants": (45, Bench.variants),
    "freely": (30, Bench.freely),
    "batch_size": (20, Bench.batch_size),
    "seeds": (60, Bench.seeds),
    "profile": (40, Bench.profile),
}
"""Name → (seconds that it may take, the stage), in order."""


def about(run: Path) -> dict[str, Any]:
    """Accuracy, times, notes and hash of a finished run."""
    text = json.loads((run / "run.json").read_text(encoding="utf-8"))
    findings = json.loads((run / "findings.json").read_text(encoding="utf-8"))["findings"]
    accuracy = next((finding for finding in findings if finding["name"] == "accuracy"), {})
    with (run / "times.csv").open(encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {
        "accuracy": accuracy.get("value"),
        "n": accuracy.get("n"),
        "training_s": round(sum(seconds), 3),
        "epochs_s": seconds,
        "sha256": hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest(),
        "notes": notes_in(text),
    }


def notes_in(document: Any) -> list[str]:
    """All sentences under a key `notes`, at any depth."""
    if isinstance(document, list):
        return [note for part in document for note in notes_in(part)]
    if not isinstance(document, dict):
        return []
    own = [note for note in document.get("notes", []) if isinstance(note, str)]
    return own + [note for key, part in document.items() if key != "notes" for note in notes_in(part)]


def variants(device: str, *, small: bool) -> None:
    """Trains variants of `record`, without the test split, and prints a line for each."""
    import pellucid
    from pellucid.records import Dataset
    from pellucid.training.plan import make_plan
    from pellucid.training.training import learn

    data = pellucid.load("digits" if small else "cifar10")
    data = Dataset(data.name, {"train": data.train})
    for changes in RECORD_VARIANTS[: 2 if small else None]:
        settings = {"validation_fraction": 0.1, **changes, **({"epochs": 1, "size": SMALL} if small else {})}
        started = time.perf_counter()
        try:
            plan = make_plan(data, recipe="record", device=device, **settings)
            training = learn(data, plan, progress=False)
            row = training.history.rows[-1]
            line = {
                "validation_accuracy": round(row["validation_accuracy"], 4),
                "training_s": round(sum(training.seconds), 3),
                "with_preparation_s": round(time.perf_counter() - started, 2),
                "notes": list(training.notes),
            }
        except Exception as error:  # noqa: BLE001 (the next variant is tried)
            line = {"error": f"{type(error).__name__}: {error}"[:600]}
        print(json.dumps({"changes": changes, **line}), flush=True)


def kernels(device: str, *, small: bool) -> None:
    """Times steps of `record`, recorded and ordinary, and prints what an ordinary one consists of."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    import pellucid
    from pellucid.inference.device import exact
    from pellucid.training.batches import Batches
    from pellucid.training.card_steps import CardSteps
    from pellucid.training.plan import make_plan
    from pellucid.training.preparation import prepare

    place = torch.device(device)
    wait = torch.cuda.synchronize if device == "cuda" else int
    data = pellucid.load("digits" if small else "cifar10")
    plan = make_plan(data, recipe="record", device=device, **({"size": SMALL, "batch_size": 10} if small else {}))
    prepared = prepare(data, plan, place)
    prepared.module.train()
    batches = Batches(prepared.train, prepared.specification.preprocessing, plan.recipe, 0)
    steps = list(batches.order(1))
    activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with exact(place):
        for reason in ("", "ordinary steps are timed"):
            card = CardSteps(batches, prepared.rule.step, not_captured=reason, recorder=Pretending() if small else None)
            for step in steps[:10]:
                card.take(*step)
            wait()
            started = time.perf_counter()
            for step in steps[10:110]:
                card.take(*step)
            wait()
            seconds = (time.perf_counter() - started) / len(steps[10:110])
            print(json.dumps({"step_ms": round(1000 * seconds, 3), "not_captured": card.not_captured}), flush=True)
        with profile(activities=[activity]) as profiler:
            for step in steps[110:130]:
                card.take(*step)
            wait()
    rows = sorted(profiler.key_averages(), key=lambda row: -row.device_time_total)
    count = len(steps[110:130])
    table = [[row.key[:90], round(row.device_time_total / count, 1), row.count / count] for row in rows[:40]]
    total = sum(row.device_time_total for row in rows) / count
    print(json.dumps({"us_a_step": round(total, 1), "kernel, us, calls a step": table}), flush=True)


class Pretending:
    """Stands for the recorder of a card where there is none: a recorded step is carried out again."""

    @contextlib.contextmanager
    def ordinary(self, *, check: bool) -> Iterator[list[str]]:  # noqa: ARG002 (the recorder's interface)
        yield []

    def record(self, operations: Callable[[], Any]) -> Any:
        return operations, operations()


def machine(device: str) -> dict[str, Any]:
    """The card, the versions and the date."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else device
    return {"card": name, "torch": torch.__version__, "cuda": torch.version.cuda, "date": time.strftime("%Y-%m-%d"),
            "python": sys.version.split()[0], "cores": os.cpu_count()}  # fmt: skip


def main() -> None:
    """Runs the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help="names of stages; all by default")
    parser.add_argument("--out", type=Path, default=Path("card.json"))
    parser.add_argument("--limit", type=float, default=600, help="seconds for all stages")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny data, to try this script")
    parser.add_argument("--child", choices=["variants", "kernels"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        (variants if given.child == "variants" else kernels)(given.device, small=given.small)
        return
    if unknown := [name for name in given.stages if name not in STAGES]:
        parser.error(f"no stage is called {', '.join(unknown)}; there are {', '.join(STAGES)}")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given, Path(folder))
        document: dict[str, Any] = {"machine": machine(given.device), "stages": bench.results}
        for name, (needed, stage) in STAGES.items():
            if given.stages and name not in given.stages:
                continue
            began = time.perf_counter()
            if began - started + needed > given.limit:
                bench.results[name] = {"skipped": f"{needed:g} s might not be left"}
            else:
                try:
                    bench.results[name] = {"result": stage(bench)}
                except Exception as error:  # noqa: BLE001 (the next stage is run)
                    bench.results[name] = {"error": f"{type(error).__name__}: {error}"[:3000]}
                bench.results[name]["seconds"] = round(time.perf_counter() - began, 1)
            given.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
            print(name, json.dumps(bench.results[name])[:900], flush=True)


if __name__ == "__main__":
    main()
