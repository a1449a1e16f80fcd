"""Killed, without room, without permission, torn: what was learned is still there, and a sentence says how to go on."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.errors import FormatError, StorageError
from pellucid.records import RunFolder, atomic
from pellucid.training.checkpoint import KEPT, Checkpoints
from pellucid.workflows.train import resume, run

TOP = Path(__file__).resolve().parents[2]
PLAN = {
    "network": "mlp", "epochs": 3, "batch_size": 256, "source": "digits", "report": False, "progress": False,
    "check": False, "settings": {"widths": [40]},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark forks, which it does on Linux only")
def test_twenty_kills_change_no_byte_and_cost_at_most_one_interval(tmp_path):
    done = subprocess.run(
        [
            sys.executable, str(TOP / "benchmarks" / "kills.py"), "--kills", "20", "--seed", "11",
            "--results", str(tmp_path / "results.jsonl"),
        ],
        capture_output=True, text=True, timeout=880, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (tmp_path / "results.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert found["kills"] == sum(found["kinds"].values()) == 20
    assert found["with_other_bytes"] == 0
    assert found["most_steps_made_again"] <= found["checkpoint_interval"] < found["steps_of_a_training"]
    assert len(found["kinds"]) > 1  # by the clock, and within a write


def test_the_kill_benchmark_lost_nothing():
    results = TOP / "benchmarks" / "results" / "kills.jsonl"
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert lines
    for line in lines:
        assert line["with_other_bytes"] == 0
        assert line["most_steps_made_again"] <= line["checkpoint_interval"]


class StopAfter:
    """Lets something happen after an epoch."""

    def __init__(self, epoch, happen) -> None:
        self.epoch = epoch
        self.happen = happen

    def on_epoch(self, row):
        if row["epoch"] == self.epoch:
            self.happen()


def begin(folder, *, after=1, happen):
    return run(pellucid.load("digits"), out=folder, callbacks=[StopAfter(after, happen)], **PLAN)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of model and history of a run that nobody disturbed."""
    folder = run(pellucid.load("digits"), out=tmp_path_factory.mktemp("whole") / "run", **PLAN).folder
    return folder.model.read_bytes(), folder.history.read_bytes()


def ends_as(whole, path):
    done = resume(path, progress=False)
    return (done.folder.model.read_bytes(), done.folder.history.read_bytes()) == whole


@contextlib.contextmanager
def mounted(place, *options: str):
    """A file system of its own, where this machine lets us make one; else the test is skipped."""
    place.mkdir(exist_ok=True)
    made = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


needs_mount = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only Linux's root mounts file systems"
)


@needs_mount
def test_a_disk_that_fills_up_for_real(tmp_path, whole):
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as disk:
        ballast = disk / "ballast"

        def fill():
            with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(b"x" * 4096)

        with pytest.raises(StorageError, match=r"The disk is full: .* could not be written\. Free some space"):
            begin(disk / "run", happen=fill)
        left = [path.name for path in (disk / "run" / "checkpoint").iterdir()]
        assert any(name.startswith("step-") for name in left)
        assert not any(name.endswith(".part") for name in left)
        ballast.unlink()
        assert ends_as(whole, disk / "run")


@needs_mount
def test_a_folder_that_becomes_read_only_for_real(tmp_path, whole):
    """Permissions do not bind root, so the folder is mounted upon itself, to be read only."""
    run_folder = tmp_path / "run"
    with contextlib.ExitStack() as mounts:

        def make_read_only():
            mounts.enter_context(mounted(run_folder, "--bind", str(run_folder)))
            subprocess.run(["mount", "-o", "remount,bind,ro", str(run_folder)], check=True)

        with pytest.raises(StorageError, match=r"is not writable\. Choose a folder of your own"):
            begin(run_folder, happen=make_read_only)
        with pytest.raises(StorageError, match="is not writable"):
            resume(run_folder, progress=False)
    assert ends_as(whole, run_folder)


@pytest.mark.skipif(os.name == "nt", reason="there are no limits of this kind")
def test_a_file_size_limit_is_an_error_and_leaves_the_previous_checkpoint(tmp_path):
    """A limit of the system (RLIMIT_FSIZE), in a process of its own."""
    script = """
import resource, signal, sys
from pellucid.errors import StorageError
from pellucid.records import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
atomic.write_bytes(sys.argv[1], b"before")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    atomic.write_bytes(sys.argv[1], b"x" * 100_000)
except StorageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{tmp_path / 'file'} cannot be written: File too large.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


class Crash(BaseException):
    """What stands for a process that ends at once."""


def crash():
    raise Crash


def test_torn_at_every_length_the_checkpoint_before_loads(tmp_path):
    with pytest.raises(Crash):
        begin(tmp_path / "run", after=2, happen=crash)
    folder = RunFolder(tmp_path / "run").checkpoint
    newest, before = Checkpoints(folder)._paths()
    content = newest.read_bytes()
    found = Checkpoints(folder, resume=True)
    found.plan = plan = plan_of(newest)
    # Every length of the header, where each byte means something else; of the arrays, every thousandth.
    header = 8 + int.from_bytes(content[:8], "little")
    for length in (*range(0, header, 16), *range(header - 40, header + 40), *range(header, len(content), 997)):
        newest.write_bytes(content[:length])
        assert found.latest().step == int(before.name[5:14])
    newest.write_bytes(content)
    assert found.latest().step == int(newest.name[5:14])
    assert plan_of(before) == plan


def plan_of(path):
    from pellucid.training.checkpoint import _unpack

    return _unpack(path.read_bytes(), path)[1]


def test_a_run_resumes_from_the_previous_checkpoint_if_the_last_is_torn(tmp_path, whole):
    with pytest.raises(Crash):
        begin(tmp_path / "run", after=2, happen=crash)
    paths = Checkpoints(RunFolder(tmp_path / "run").checkpoint)._paths()
    assert len(paths) == KEPT
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    assert ends_as(whole, tmp_path / "run")


def test_without_a_readable_checkpoint_the_error_suggests_a_new_run(tmp_path):
    with pytest.raises(Crash):
        begin(tmp_path / "run", after=2, happen=crash)
    paths = Checkpoints(RunFolder(tmp_path / "run").checkpoint)._paths()
    paths[0].unlink()
    paths[0].mkdir()  # what cannot even be opened
    paths[1].write_bytes(b"")
    with pytest.raises(FormatError, match=r"No checkpoint can be read. .* cannot be read \(.*\). Start a new run"):
        resume(tmp_path / "run", progress=False)


def test_a_run_killed_during_cleanup_is_finished(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.checkpoint.mkdir()
    for path in (folder.plan, folder.launch, folder.checkpoint / "step-000000001.safetensors"):
        atomic.write_bytes(path, b"x")
    removed = []
    unlink = Path.unlink

    def noting(path, missing_ok=False):
        removed.append(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noting)
    folder.remove_checkpoints()
    assert removed[0] == folder.plan
    assert list(folder.checkpoint.iterdir()) == []
