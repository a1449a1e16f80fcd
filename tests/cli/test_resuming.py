"""A run goes on only as what it was: with the same network, data and plan. If it cannot, its best model is named."""

from __future__ import annotations

import contextlib
import json
import os
import py_compile
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.data import load
from pellucid.errors import DataError, FormatError, PellucidError, UsageError
from pellucid.networks import custom
from pellucid.records import Model, RunFolder
from pellucid.training.plan import restore_plan
from pellucid.workflows.train import resume, run

NETWORK = """
from pathlib import Path
from torch import nn

with Path(__file__).with_name("ran").open("a") as stream:
    stream.write("x")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, pictures):
        return self.last(pictures.flatten(1))
"""


class Stop:
    """Ctrl-C after the first epoch."""

    def on_epoch(self, row: dict[str, Any]) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path


def begun(network: str = "logistic-regression", source: str = "digits", out: str = "run") -> RunFolder:
    """A run that was stopped after the first of two epochs."""
    done = run(
        load(source), network, source=source, out=out, epochs=2, report=False, progress=False,
        callbacks=[Stop()], size=None if source == "digits" else 16,
    )  # fmt: skip
    assert done.interrupted
    return done.folder


def refused(error: type[PellucidError], path: RunFolder | Path | str, **settings: Any) -> str:
    """The sentence that refuses to resume the run."""
    with pytest.raises(error) as caught:
        resume(path.path if isinstance(path, RunFolder) else path, progress=False, **settings)
    return str(caught.value)


# Its network


@pytest.fixture
def net(folder) -> Path:
    path = folder / "net.py"
    path.write_text(NETWORK, encoding="utf-8")
    return path


def times_run(net: Path) -> int:
    log = net.with_name("ran")
    return len(log.read_text()) if log.exists() else 0


def test_an_edited_network_is_not_run_and_the_restored_one_goes_on(net):
    run_folder = begun(f"{net}:Net")
    net.write_text(NETWORK.replace("flatten(1)", "flatten(1).flip(1)"), encoding="utf-8")
    before = times_run(net)
    for named in (None, f"{net}:Net"):
        assert refused(UsageError, run_folder, network=named) == (
            f"{net} has changed since the training began, so the rest would be trained with another network. Restore "
            f"the file, or start anew. The best model so far is kept: {run_folder.model}"
        )
    assert times_run(net) == before
    net.write_text(NETWORK, encoding="utf-8")
    assert not resume(run_folder.path, progress=False).interrupted


def test_a_network_that_came_with_the_run_folder_is_run_only_if_it_is_named(net, folder, monkeypatch, pellucid):
    run_folder = begun(f"{net}:Net")
    monkeypatch.setenv("PELLUCID_CACHE", str(folder / "cache of the receiver"))
    before = times_run(net)
    done = pellucid("train", "--resume", run_folder.path)
    assert done.code == 2
    assert done.sentence == (
        f"The plan wants to run the network {net}:Net, and you have not trained a file with that content before. Look "
        f"at the file, and if you trust it, add --network {net}:Net to the command. The best model so far is kept: "
        f"{run_folder.model}"
    )
    plan = json.loads(run_folder.plan.read_text(encoding="utf-8"))
    for sha256 in ("", "../networks", "0" * 64):
        run_folder.plan.write_text(json.dumps(plan | {"network_sha256": sha256}), encoding="utf-8")
        assert "you have not trained a file with that content before" in refused(UsageError, run_folder)
    assert times_run(net) == before
    run_folder.plan.write_text(json.dumps(plan), encoding="utf-8")
    (folder / "looked at").mkdir()
    moved = shutil.copy(net, folder / "looked at")
    done = pellucid("train", "--resume", run_folder.path, "--network", f"{moved}:Net")
    assert done.code == 0, done.err
    assert (folder / "looked at" / "ran").exists()


def test_once_named_a_network_is_known(net, folder, monkeypatch):
    first, second = begun(f"{net}:Net", out="first"), begun(f"{net}:Net", out="second")
    monkeypatch.setenv("PELLUCID_CACHE", str(folder / "cache of the receiver"))
    refused(UsageError, first)
    resume(first.path, network=f"{net}:Net", progress=False)
    assert not resume(second.path, progress=False).interrupted


def test_a_network_cannot_be_exchanged_for_another(net):
    run_folder = begun()
    assert "does not train a network from a file, so leave out" in refused(UsageError, run_folder, network=f"{net}:Net")
    assert "The run trains the network 'logistic-regression'; leave out 'mlp'." in refused(
        UsageError, run_folder, network="mlp"
    )
    assert times_run(net) == 0


def test_what_is_run_is_the_source_and_no_compiled_file_beside_it(net):
    other = net.with_name("other.py")
    other.write_text(NETWORK.replace("64, 10", "64, 11"), encoding="utf-8")
    os.utime(other, (1000, 1000))
    os.utime(net, (1000, 1000))
    compiled = py_compile.compile(str(other))
    planted = Path(str(compiled).replace("other", "net"))
    shutil.copy(compiled, planted)
    assert custom.load_class(f"{net}:Net")().last.out_features == 10


# Its data


@pytest.fixture
def photos(folder) -> Path:
    """Pictures of two classes, in two splits."""
    draw = np.random.default_rng(0)
    for split, n in (("train", 30), ("test", 10)):
        for number in range(n):
            path = folder / "photos" / split / ("ants", "bees")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return folder / "photos"


def exchange(photos: Path) -> None:
    first, second = photos / "test" / "ants" / "0.png", photos / "train" / "ants" / "0.png"
    shutil.copy(second, first)


def relabel(photos: Path) -> None:
    (photos / "test" / "ants" / "0.png").rename(photos / "test" / "bees" / "0.png")
    (photos / "test" / "bees" / "1.png").rename(photos / "test" / "ants" / "1.png")


CHANGES = {
    "a test picture is deleted": (
        lambda photos: (photos / "test" / "ants" / "0.png").unlink(),
        "the test split had 10 pictures and has 9",
    ),
    "a test picture is exchanged": (exchange, "the test split has other pictures, or in another order"),
    "test pictures change their class": (relabel, "the test split has other pictures, or in another order"),
    "a test picture is renamed": (
        lambda photos: (photos / "test" / "ants" / "0.png").rename(photos / "test" / "ants" / "00.png"),
        "names or labels in the test split differ",
    ),
    "a training picture is deleted": (
        lambda photos: (photos / "train" / "ants" / "0.png").unlink(),
        "the train split had 30 pictures and has 29",
    ),
    "there is no test split": (lambda photos: shutil.rmtree(photos / "test"), "there is no longer a test split"),
    "there is a validation split": (
        lambda photos: shutil.copytree(photos / "test", photos / "validation"),
        "there is a new validation split",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_data_that_changed_are_refused_and_what_changed_is_named(change, photos):
    happen, sentence = CHANGES[change]
    run_folder = begun(source=str(photos))
    kept = shutil.copytree(photos, photos.with_name("kept"))
    happen(photos)
    text = refused(DataError, run_folder)
    assert text.startswith("The data have changed since the run began: ")
    assert sentence in text
    assert text.endswith(f". Restore them, or start a new run. The best model so far is kept: {run_folder.model}")
    shutil.rmtree(photos)
    kept.rename(photos)
    done = resume(run_folder.path, progress=False)
    assert not done.interrupted
    assert done.findings["accuracy"].n == 10


# Its files


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def test_a_damaged_plan_or_checkpoint_names_the_best_model_that_can_be_read():
    run_folder = begun()
    whole = run_folder.plan.read_bytes()
    damaged(run_folder.plan)
    best = f"The best model so far is kept: {run_folder.model}"
    assert refused(FormatError, run_folder).endswith(f"Start a new run. {best}")
    damaged(run_folder.model)
    inner = run_folder.checkpoint / "model.safetensors"
    assert refused(FormatError, run_folder).endswith(f"The best model so far is kept: {inner}")
    Model.load(inner)
    run_folder.plan.write_bytes(whole)
    for path in run_folder.checkpoint.glob("step-*"):
        damaged(path)
    assert refused(FormatError, run_folder).endswith(f"Start a new run instead. The best model so far is kept: {inner}")
    damaged(inner)
    assert refused(FormatError, run_folder).endswith("Start a new run instead.")


def test_a_newer_checkpoint_is_newer_and_not_damaged(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("pellucid.training.checkpoint.VERSION", 99)
        run_folder = begun()
    assert "was written by a newer version of Pellucid: its format is 99, and this version reads 2." in refused(
        FormatError, run_folder
    )


def test_what_somebody_put_among_the_checkpoints_stays_and_does_no_harm():
    run_folder = begun()
    (run_folder.checkpoint / "mine").mkdir()
    (run_folder.checkpoint / "mine" / "notes.txt").write_text("x")
    (run_folder.checkpoint / "step-000000001.safetensors").mkdir()
    (run_folder.checkpoint / "todo.txt").write_text("x")
    (run_folder.checkpoint / ".model.safetensors.0a1b2c3d.part").write_text("what a killed process left")
    assert not resume(run_folder.path, progress=False).interrupted
    assert sorted(path.name for path in run_folder.checkpoint.iterdir()) == [
        "mine",
        "step-000000001.safetensors",
        "todo.txt",
    ]


@pytest.mark.parametrize("name", ["epochs.json", "beginning.safetensors", "start.safetensors", "plan.json"])
def test_a_folder_in_the_place_of_a_file_is_a_sentence(name):
    run_folder = begun()
    (run_folder.checkpoint / name).unlink(missing_ok=True)
    (run_folder.checkpoint / name).mkdir()
    with contextlib.suppress(PellucidError):  # anything else is an internal error
        resume(run_folder.path, progress=False)


BAD = (None, -5, "x", [], {}, 1e308, float("nan"), 10**30, [[]], {"a": 1}, 0)


def test_a_plan_with_any_wrong_value_is_a_sentence_and_never_an_internal_error():
    run_folder = begun("mlp")
    plan = json.loads(run_folder.plan.read_text(encoding="utf-8"))
    changed = [plan | {key: value} for key in plan for value in BAD]
    changed += [plan | {"recipe": plan["recipe"] | {key: value}} for key in plan["recipe"] for value in (*BAD, True)]
    refusals = 0
    for content in changed:
        run_folder.plan.write_text(json.dumps(content), encoding="utf-8")
        refusals += 1
        with contextlib.suppress(PellucidError):  # anything else is an internal error
            restore_plan(run_folder.read_plan())
            refusals -= 1
    assert refusals > len(changed) / 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"recipe": {"epochs": -5}}, "The plan has a recipe that cannot be used: epochs was given as -5"),
        ({"recipe": {"freeze_backbone": True}}, "Without a backbone, there is none to freeze"),
        ({"version": 4}, "was written by a newer version of Pellucid: its format is 4, and this version reads 3"),
        ({"threads": 0}, "plan.json is damaged (threads: Input should be greater than or equal to 1)"),
        ({"splits": {}}, "there is a new train split"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(change, sentence, pellucid):
    run_folder = begun()
    plan = json.loads(run_folder.plan.read_text(encoding="utf-8"))
    change = {key: plan[key] | value if key == "recipe" else value for key, value in change.items()}
    run_folder.plan.write_text(json.dumps(plan | change), encoding="utf-8")
    done = pellucid("train", "--resume", run_folder.path)
    assert sentence in done.sentence
    assert done.sentence.endswith(f"The best model so far is kept: {run_folder.model}")


# A search


def test_a_search_runs_no_unknown_and_no_edited_network_either(net, folder, monkeypatch, pellucid):
    search = ["tune", "digits", "--network", f"{net}:Net", "--epochs", "1", "--search", "learning_rate=0.001,0.01"]
    assert pellucid(*search, "--trials", "1", "--out", "search").code == 0
    more = ["tune", "--resume", "search", "--trials", "2"]
    own_cache = os.environ["PELLUCID_CACHE"]
    monkeypatch.setenv("PELLUCID_CACHE", str(folder / "cache of the receiver"))
    before = times_run(net)
    assert "you have not trained a file with that content before" in pellucid(*more).sentence
    monkeypatch.setenv("PELLUCID_CACHE", own_cache)
    net.write_text(NETWORK + "# edited\n", encoding="utf-8")
    assert "has changed since the training began" in pellucid(*more).sentence
    assert times_run(net) == before
    net.write_text(NETWORK, encoding="utf-8")
    assert pellucid(*more).code == 0
