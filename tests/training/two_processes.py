"""What test_processes.py has two real processes do: each writes what it saw to FOLDER/rank-R.json and .npz."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

import pellucid
from pellucid.errors import PellucidError
from pellucid.records import Dataset
from pellucid.training import batches, processes
from pellucid.training.checkpoint import Checkpoints
from pellucid.training.plan import make_plan
from pellucid.training.training import learn
from pellucid.workflows.train import run

PLANS = {
    "mlp, adam": ("mlp", {"optimizer": "adam", "learning_rate": 1e-3}),
    "lenet5, sgd": ("lenet5", {"optimizer": "sgd", "learning_rate": 0.05}),
    "mlp, class weights, clipped, averaged": (
        "mlp",
        {"class_weights": "balanced", "gradient_clip": 0.5, "ema_decay": 0.9, "augmentation": ("shift:1",)},
    ),
    "perceptron": ("perceptron", {}),
}
SETTINGS = {"epochs": 2, "batch_size": 40}
RUN = {
    "network": "convnet", "epochs": 2, "batch_size": 128, "source": "digits", "report": False, "check": False,
}  # fmt: skip


def few():
    """Two hundred digits, of which those of one class are rare."""
    data = pellucid.load("digits")
    kept = [i for i in range(260) if data.train.labels[i] != 3 or i % 4 == 0][:200]
    return Dataset("few", {"train": data.train.take(np.array(kept)), "test": data.test})


class Log:
    """Notes which pictures each step learns from."""

    def __init__(self) -> None:
        self.seen = []
        real = batches.gather

        def gather(pictures, which):
            self.seen.append(np.asarray(which).tolist())
            return real(pictures, which)

        batches.gather = gather


def main(folder):
    told, arrays, data = {}, {}, few()
    with processes.process_group("cpu") as together:
        rank = together.rank
        log = Log()
        for name, (network, changes) in PLANS.items():
            log.seen.clear()
            done = learn(data, make_plan(data, network, **SETTINGS, **changes), progress=False)
            told[name] = {"history": done.history.rows, "seen": list(log.seen), "notes": done.notes}
            arrays |= {f"{name}/{key}": value for key, value in done.model.weights.items()}
        told["errors"] = []
        other = data if rank == 0 else Dataset("few", {"train": data.train.take(np.arange(199)), "test": data.test})
        for given, changes in ((other, {}), (data, {"batch_size": 1})):
            try:
                learn(given, make_plan(given, "mlp", **SETTINGS | changes), progress=False)
            except PellucidError as error:
                told["errors"].append(str(error))
        told["stopped"] = stopped(data, folder, rank)
        done = run(pellucid.load("digits"), out=folder / "run", progress=rank == 0, **RUN)
        told["run"] = {"findings": len(done.findings), "folder": str(done.folder.path), "notes": done.training.notes}
        arrays |= {f"run/{key}": value for key, value in done.model.weights.items()}
        if rank == 1:
            write(folder, rank, told, arrays)
            os._exit(0)  # without a word to the other
        try:
            learn(data, make_plan(data, "mlp", **SETTINGS), progress=False)
        except PellucidError as error:
            told["lost"] = str(error)
    write(folder, rank, told, arrays)


def stopped(data, folder, rank):
    """Process 1 alone is asked to end; both stop at one step, go on from there, and end as if nothing had been."""

    class Ask:
        def __init__(self) -> None:
            self.steps = []

        def on_step(self, step, loss, accuracy):
            self.steps.append(step)
            if step == 2 and rank == 1:
                signal.raise_signal(signal.SIGTERM)

    ask = Ask()
    place = folder / "checkpoint" if rank == 0 else folder / "not-there"
    plan = {"settings": {"dropout": 0.3}, **SETTINGS}
    first = learn(data, make_plan(data, "mlp", **plan), progress=False, callbacks=[ask], checkpoints=Checkpoints(place))
    then = learn(data, make_plan(data, "mlp", **plan), progress=False, checkpoints=Checkpoints(place, resume=True))
    whole = learn(data, make_plan(data, "mlp", **plan), progress=False)
    return {
        "interrupted": first.interrupted,
        "steps": ask.steps,
        "same": then.model.sha256 == whole.model.sha256 and then.history == whole.history,
        "sha256": whole.model.sha256,
    }


def write(folder, rank, told, arrays):
    np.savez(folder / f"rank-{rank}.npz", **arrays)
    (folder / f"rank-{rank}.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
