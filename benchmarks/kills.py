"""Kills a real training with SIGKILL again and again, and looks whether anything was lost.

    python benchmarks/kills.py --kills 500

A small training on `digits` (a convolutional network, augmentation, checkpoints every 4 steps and at the end of each
epoch) is killed, resumed, killed again, until it ends; then another one begins, until there were so many kills. Half of
the kills come by the clock, at any moment; the other half within the writing of a file: when half of it is written,
before it is durable, before it has its name. In the end, the bytes of model and history are compared with those of a
training that nobody disturbed, and the training's own log of its steps says how many were made twice. One line is
appended to `results/kills.jsonl`.

To make a kill cheap, the processes are forked from one that has imported torch, and done nothing with it: Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

RESULTS = Path(__file__).parent / "results" / "kills.jsonl"
INTERVAL = 4
"""Steps from one checkpoint to the next."""
COMPARED = ("model.safetensors", "history.csv")


def train(folder: Path, die_at: int) -> None:
    """Begins a training, or goes on with it; at the place of that number within its writes it kills itself (0: never)."""
    import pellucid
    from pellucid.training.checkpoint import Checkpoints
    from pellucid.workflows.train import resume, run

    log = os.open(f"{folder}.steps", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    last = 0

    class Watch:
        def on_step(self, step: int, _loss: Any, _accuracy: Any) -> None:
            nonlocal last
            last = step
            os.write(log, f"{step}\n".encode())

    Checkpoints.is_due = lambda _self: last % INTERVAL == 0  # type: ignore[method-assign]
    places = _kill_within_writes(folder, die_at)
    told = {"progress": False, "callbacks": [Watch()]}
    if (folder / "checkpoint" / "plan.json").exists():
        resume(folder, **told)
        return
    run(
        pellucid.load("digits"), "convnet", source="digits", out=folder, epochs=2, batch_size=128, seed=3,
        augmentation=["shift:1"], threads=1, report=False, check=False, **told,
    )  # fmt: skip
    if die_at == 0:
        Path(f"{folder}.known").write_text(json.dumps({"places": places(), "modules": sorted(sys.modules)}))


def _kill_within_writes(folder: Path, die_at: int) -> Callable[[], int]:
    """Puts itself into the calls by which files are written; gives what says how many places for a kill there were."""
    places = 0

    def place(name: str) -> None:
        nonlocal places
        places += 1
        if places == die_at:
            Path(f"{folder}.place").write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    sync = os.fsync
    write = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        if not path.name.endswith(".part"):
            return write(path, content)
        with path.open("wb") as stream:
            stream.write(content[: len(content) // 2])
            stream.flush()
            place("half of it written")
            return stream.write(content[len(content) // 2 :])

    def fsync(descriptor: int) -> None:
        place("before it is durable")
        sync(descriptor)
        place("before it has its name")

    os.fsync = fsync
    Path.write_bytes = write_bytes  # type: ignore[method-assign]
    return lambda: places


def attempt(folder: Path, *, die_at: int = 0, after: float | None = None) -> int:
    """Trains in a process of its own, which is killed after so many seconds; its exit status, −9 where it was killed."""
    child = os.fork()
    if child == 0:
        _be_the_child(folder, die_at)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)  # one that has ended is still there to be waited for
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _be_the_child(folder: Path, die_at: int) -> NoReturn:
    code = 1
    try:
        train(folder, die_at)
        code = 0
    except BaseException:  # noqa: BLE001 (whatever it is, this process ends here)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # not by the parent's clean-up


def steps_made_again(log: Path) -> list[int]:
    """How many steps were made again after each kill, as the training's own log says."""
    steps = [int(line) for line in log.read_text().split()]
    return [before - after + 1 for before, after in itertools.pairwise(steps) if after <= before]


def campaign(kills: int, work: Path, seed: int) -> dict[str, Any]:
    """Kills so often, and says what came of it.

    Raises:
        SystemExit: a training failed by itself.
    """
    chance = random.Random(seed)
    whole = work / "whole"
    began = time.perf_counter()
    if attempt(whole) != 0:
        raise SystemExit("The training that is to be compared with failed.")
    known = json.loads(Path(f"{whole}.known").read_text())
    for name in known["modules"]:  # so that the next ones need not import them
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    shutil.rmtree(whole)
    Path(f"{whole}.steps").unlink()
    undisturbed = time.perf_counter()
    if attempt(whole) != 0:
        raise SystemExit("The training that is to be compared with failed.")
    duration = time.perf_counter() - undisturbed
    expected = [(whole / name).read_bytes() for name in COMPARED]
    steps = len(Path(f"{whole}.steps").read_text().split())
    done, again, kinds = 0, Counter[int](), Counter[str]()
    trainings = different = before_plan = 0
    while done < kills:
        folder = work / f"training-{trainings}"
        trainings += 1
        while True:
            by_clock = chance.random() < 0.5
            if done >= kills:
                code = attempt(folder)
            elif by_clock:
                code = attempt(folder, after=chance.uniform(0, duration))
            else:
                code = attempt(folder, die_at=chance.randint(1, known["places"]))
            place = Path(f"{folder}.place")
            if code == -signal.SIGKILL:
                done += 1
                kinds["by the clock" if not place.exists() else place.read_text()] += 1
                place.unlink(missing_ok=True)
            elif code:
                raise SystemExit(f"A training failed by itself in {folder}.")
            planned = (folder / "checkpoint" / "plan.json").exists()
            if not planned and (folder / "run.json").exists():
                break  # it has ended, whether or not it was killed in its last moment
            if not planned:
                before_plan += 1
                shutil.rmtree(folder, ignore_errors=True)
        different += [(folder / name).read_bytes() for name in COMPARED] != expected
        again.update(steps_made_again(Path(f"{folder}.steps")))
        shutil.rmtree(folder)
        if sys.stderr.isatty() or trainings % 20 == 0:
            print(f"{done} of {kills} kills, {trainings} trainings, {different} with other bytes", file=sys.stderr)
    return {
        "kills": done,
        "kinds": dict(sorted(kinds.items())),
        "before_anything_was_begun": before_plan,
        "trainings": trainings,
        "with_other_bytes": different,
        "steps_of_a_training": steps,
        "checkpoint_interval": INTERVAL,
        "steps_made_again": {str(count): n for count, n in sorted(again.items())},
        "most_steps_made_again": max(again, default=0),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
    }


def main() -> None:
    """Measures, and appends a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the line is appended")
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        raise SystemExit("This forks processes after torch is imported, which is done on Linux only.")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    import pellucid
    import pellucid.workflows.train
    from pellucid.version import __version__

    pellucid.load("digits")
    with tempfile.TemporaryDirectory() as work:
        os.environ["PELLUCID_CACHE"] = str(Path(work) / "cache")
        found = campaign(given.kills, Path(work), given.seed)
    line = {"date": time.strftime("%Y-%m-%d"), "pellucid": __version__, "platform": platform.platform()} | found
    given.results.parent.mkdir(parents=True, exist_ok=True)
    with given.results.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    print(json.dumps(line, indent=2))
    if found["with_other_bytes"] or found["most_steps_made_again"] > INTERVAL:
        raise SystemExit("Something was lost.")


if __name__ == "__main__":
    main()
