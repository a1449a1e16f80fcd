"""A run that is killed for real, and goes on."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.cli import main
from pellucid.errors import MissingDataError, StorageError, UsageError
from pellucid.records import RunFolder
from pellucid.records.run import held
from pellucid.workflows.train import resume, run

DRIVER = """
import os, random, signal, sys
import pellucid.training.checkpoint as checkpoint
from pellucid.records import atomic
from pellucid.workflows.train import resume, run
import pellucid

folder, seed = sys.argv[1], int(sys.argv[2])
checkpoint.Checkpoints.due = lambda self: True
chance = random.Random(seed)
left = chance.randint(1, 90) if seed else 10**9


def die_sometimes(place):
    global left
    left -= 1
    if left == 0:
        print("killed", place, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Watch:
    def on_step(self, step, loss, accuracy):
        with open(folder + ".steps", "a") as stream:
            stream.write(f"{step} ")
        die_sometimes("step")

    def on_epoch(self, row):
        die_sometimes("epoch")


real = os.fsync


def fsync(descriptor):
    die_sometimes("before the content is durable")
    real(descriptor)
    die_sometimes("before the file has its name")


atomic.os.fsync = fsync
if os.path.exists(os.path.join(folder, "checkpoint", "plan.json")):
    done = resume(folder, progress=False, callbacks=[Watch()])
else:
    done = run(pellucid.load("digits"), "convnet", source="digits", out=folder, epochs=2, batch_size=64, seed=3,
               augmentation=["shift:1"], threads=1, report=False, progress=False, callbacks=[Watch()])
print("finished", done.model.sha256, flush=True)
"""


def drive(folder: Path, seed: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder), str(seed)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_twenty_kills_change_no_byte(tmp_path):
    assert drive(tmp_path / "whole", 0).returncode == 0
    expected = {name: (tmp_path / "whole" / name).read_bytes() for name in ("model.safetensors", "history.csv")}
    kills, seeds, places = 0, iter(range(1, 200)), set()
    attempt = 0
    while kills < 20:
        folder = tmp_path / f"killed{attempt}"
        attempt += 1
        while True:
            done = drive(folder, next(seeds) if kills < 20 else 0)
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
            places.add(done.stdout.split(maxsplit=1)[1].strip())
            if not (folder / "checkpoint" / "plan.json").exists() and folder.exists():
                # Killed before anything was begun: such a folder is not taken again, nor is it needed.
                folder = tmp_path / f"killed{attempt}-again{kills}"
        assert {name: (folder / name).read_bytes() for name in expected} == expected
        steps = [int(step) for step in Path(f"{folder}.steps").read_text().split()]
        again = [before - after + 1 for before, after in itertools.pairwise(steps) if after <= before]
        assert all(count <= 1 for count in again), f"steps made again after a kill: {again}"
    assert {"step", "before the content is durable", "before the file has its name"} <= places


@pytest.fixture
def interrupted(tmp_path):
    """A run that was interrupted after its first epoch."""

    class Stop:
        def on_epoch(self, row):
            signal.raise_signal(signal.SIGINT)

    done = run(
        pellucid.load("digits"), "logistic-regression", source="digits", out=tmp_path / "run", epochs=3,
        report=False, progress=False, callbacks=[Stop()],
    )  # fmt: skip
    assert done.interrupted
    return done.folder.path


def test_an_interrupted_run_goes_on_from_the_shell(interrupted, capsys, tmp_path):

    whole = run(
        pellucid.load("digits"), "logistic-regression", out=tmp_path / "whole", epochs=3, report=False, progress=False
    )
    with pytest.raises(SystemExit) as ended:
        main(["train", "--resume", str(interrupted), "--json"])
    assert ended.value.code == 0
    printed = capsys.readouterr()
    assert "goes on after step" in printed.err
    assert json.loads(printed.out)["findings"][0]["name"] == "accuracy"
    for name in ("model.safetensors", "history.csv", "predictions.parquet"):
        assert (interrupted / name).read_bytes() == (whole.folder.path / name).read_bytes()
    assert not (interrupted / "checkpoint").exists()


def test_a_finished_run_and_no_run_are_refused(tmp_path, interrupted):
    resume(interrupted, progress=False)
    with pytest.raises(MissingDataError, match="is finished: there is nothing to go on with"):
        resume(interrupted)
    with pytest.raises(MissingDataError, match="is no run folder"):
        resume(tmp_path / "nothing")


def test_a_folder_in_use_is_refused(interrupted):
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            ("import sys, time; from pathlib import Path; from pellucid.records import RunFolder;"
            "from pellucid.records.run import held\n"
            f"with held(RunFolder(Path({str(interrupted)!r}))): print('held', flush=True); time.sleep(60)"),
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="is in use by another process"):
            resume(interrupted)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    # The lock of a process that was killed is no lock.
    with held(RunFolder(interrupted)):
        pass
    assert not resume(interrupted, progress=False).interrupted


def test_what_the_plan_does_not_name_has_to_be_given(tmp_path):
    from torch import nn

    class Stop:
        def on_epoch(self, row):
            signal.raise_signal(signal.SIGINT)

    data = pellucid.load("digits")
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run(data, network, out=tmp_path / "run", epochs=2, report=False, progress=False, callbacks=[Stop()])
    with pytest.raises(UsageError, match="give them: resume"):
        resume(tmp_path / "run")
    with pytest.raises(UsageError, match="give it: resume"):
        resume(tmp_path / "run", data=data)
    assert not resume(tmp_path / "run", data=data, network=network, progress=False).interrupted


def test_resume_takes_nothing_else(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--resume", str(tmp_path)])
    assert ended.value.code == 2
    assert "leave data, --network, --from and --out out" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM that can be heard")
def test_the_word_to_end_keeps_what_was_learned(tmp_path):
    class Told:
        def on_step(self, step, loss, accuracy):
            if step == 5:
                signal.raise_signal(signal.SIGTERM)

    data = pellucid.load("digits")
    done = run(
        data, "mlp", source="digits", out=tmp_path / "run", epochs=2, report=False, progress=False, callbacks=[Told()]
    )
    assert done.interrupted
    assert not resume(tmp_path / "run", progress=False).interrupted
    whole = run(data, "mlp", source="digits", out=tmp_path / "whole", epochs=2, report=False, progress=False)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole.folder.model.read_bytes()


def test_ctrl_c_while_it_is_scored_keeps_the_model_and_the_way_on(tmp_path, monkeypatch):
    import pellucid.workflows.train as workflow

    def impatient(_found, _split):
        raise KeyboardInterrupt

    data = pellucid.load("digits")
    monkeypatch.setattr(workflow, "evaluate", impatient)
    done = run(data, "mlp", source="digits", out=tmp_path / "run", epochs=1, report=False, progress=False)
    assert done.interrupted
    assert done.folder.model.is_file() and done.folder.run_json.is_file()
    monkeypatch.undo()
    again = resume(tmp_path / "run", progress=False)
    assert not again.interrupted
    assert again.findings["accuracy"].n == 360


def test_a_run_that_was_killed_says_where_its_best_model_is(tmp_path):
    from pellucid.errors import ModelFileError
    from pellucid.records import Model

    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"has not ended. Its best model so far is .*checkpoint; `pellucid"):
        Model.load(tmp_path)
