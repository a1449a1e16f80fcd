"""Several processes: two real ones learn what one learns, each its own part, and one that is killed loses nothing."""

import importlib
import itertools
import json
import os
import runpy
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.cli import main
from pellucid.errors import TrainingError, UsageError
from pellucid.training import processes
from pellucid.training.plan import make_plan
from pellucid.training.processes import ProcessGroup
from pellucid.training.randomness import epoch_order
from pellucid.training.training import learn

HERE = Path(__file__).parent
DRIVER = runpy.run_path(str(HERE / "two_processes.py"))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two real processes wrote: [(told, arrays), (told, arrays)]."""
    folder = tmp_path_factory.mktemp("two")
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, str(HERE / "two_processes.py"), str(folder)],
            env=os.environ | launched(rank, port=port), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    printed = [one.communicate(timeout=280) for one in started]
    assert [one.returncode for one in started] == [0, 0], printed
    assert printed[1][0] == ""  # all but the first are silent
    assert "epoch 2/2" in printed[0][0]
    return [
        (json.loads((folder / f"rank-{rank}.json").read_text()), np.load(folder / f"rank-{rank}.npz"))
        for rank in (0, 1)
    ]


def launched(rank, size=2, port=29500):
    return {
        "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
    }  # fmt: skip


@pytest.mark.parametrize("name", DRIVER["PLANS"])
def test_two_processes_learn_what_one_learns(two, name):
    network, changes = DRIVER["PLANS"][name]
    alone = learn(DRIVER["few"](), make_plan(DRIVER["few"](), network, **DRIVER["SETTINGS"], **changes), progress=False)
    for told, arrays in two:
        for key, value in alone.model.weights.items():
            np.testing.assert_allclose(arrays[f"{name}/{key}"], value, rtol=1e-3, atol=1e-5, err_msg=key)
        for row, expected in zip(told[name]["history"], alone.history.rows, strict=True):
            assert row == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", [*DRIVER["PLANS"], "run"])
def test_both_have_the_same_weights_to_the_bit(two, name):
    (_, first), (_, second) = two
    names = [key for key in first if key.startswith(f"{name}/")]
    assert names
    for key in names:
        assert first[key].tobytes() == second[key].tobytes()


def test_each_picture_is_seen_by_one_process_once_an_epoch(two):
    parts = [told["mlp, adam"]["seen"] for told, _ in two]
    steps = [[step for step in part if len(step) < 100] for part in parts]  # without what validation looks at
    assert len(steps[0]) == len(steps[1]) == 10
    for epoch in (1, 2):
        of_it = [part[(epoch - 1) * 5 : epoch * 5] for part in steps]
        seen = [set(itertools.chain(*part)) for part in of_it]
        assert not seen[0] & seen[1]
        assert seen[0] | seen[1] == set(range(180))
        # Together they are the one global order, batch by batch.
        together = [picture for batches in zip(*of_it, strict=True) for part in batches for picture in part]
        assert together == epoch_order(0, epoch, 180).tolist()


def test_other_data_and_a_batch_that_cannot_be_shared_are_refused_in_both(two):
    for told, _ in two:
        other, small = told["errors"]
        assert other.startswith("1 of 2 processes have other data, another plan or other weights")
        assert small.startswith("A batch of 1 pictures cannot be shared by 2 processes. Give a larger batch size")


def test_a_stop_request_to_one_process_stops_all_at_the_same_step(two):
    (first, _), (second, _) = two
    assert first["stopped"]["interrupted"] and second["stopped"]["interrupted"]
    assert first["stopped"]["steps"] == second["stopped"]["steps"] == [1, 2, 3]
    assert first["stopped"]["same"] and second["stopped"]["same"]
    assert first["stopped"]["sha256"] == second["stopped"]["sha256"]


def test_only_rank_0_writes_and_both_note_the_shared_batches(two):
    (first, _), (second, _) = two
    assert first["run"]["findings"] > 0
    assert second["run"]["findings"] == 0
    folder = Path(first["run"]["folder"])
    assert second["run"]["folder"] == str(folder.resolve())
    about = json.loads((folder / "run.json").read_text())
    assert about["processes"] == 2
    assert any(note.startswith("2 processes shared each batch") for note in about["network"]["notes"])
    assert any("running statistics in the model are the means" in note for note in first["run"]["notes"])
    assert not any("Batch normalisation" in note for note in first["mlp, adam"]["notes"])
    assert not (folder.parent / "not-there").exists()


def test_a_lost_process_is_a_sentence_in_the_other(two):
    assert two[0][0]["lost"].startswith("Another process of this training has ended, or cannot be reached (")
    assert "--max-restarts" in two[0][0]["lost"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_torchrun_goes_on_by_itself_after_a_worker_was_killed(two, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1",
            str(HERE / "killed_worker.py"), str(tmp_path),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resumes after step 4; 0 of 2 epochs are done") == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits-convnet-001"]
    folder = tmp_path / "runs" / "digits-convnet-001"
    assert not (folder / "checkpoint").exists()
    for rank in (0, 1):
        steps = [int(step) for step in (tmp_path / f"steps-{rank}").read_text().split()]
        again = [before - after + 1 for before, after in itertools.pairwise(steps) if after <= before]
        assert len(again) == 1 and 2 <= again[0] <= 4, steps
        assert set(steps) == set(range(1, max(steps) + 1))
    # The same bytes as two processes that nobody disturbed.
    undisturbed = Path(two[0][0]["run"]["folder"])
    for name in ("model.safetensors", "history.csv"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()


# What follows needs no second process: one that says the same stands for it.


@pytest.fixture
def twin(monkeypatch):
    """Two processes of which the other says what this one says."""
    monkeypatch.setattr(ProcessGroup, "_all_reduce", lambda self, message: message.mul_(2))
    monkeypatch.setattr(ProcessGroup, "_broadcast", lambda self, message: None)
    return ProcessGroup(0, 2)


def test_the_parts_of_a_batch_are_all_of_it():
    for size in (1, 2, 3, 7):
        for first, last in ((0, 7), (5, 105), (10, 17)):
            parts = [ProcessGroup(rank, size).shard(first, last) for rank in range(size)]
            assert [start for start, _ in parts] == [first, *(end for _, end in parts[:-1])]
            assert parts[-1][1] == last


def test_gradients_and_running_statistics_become_means(twin):
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    unused = network[2]
    network(torch.randn(5, 3))
    network[1].running_mean.fill_(0.25)
    network[0].weight.grad = torch.full((2, 3), 0.5)
    loss, right = twin.average_gradients(network, torch.tensor(1.5), torch.tensor(5.0), torch.tensor(3))
    assert (loss.item(), right.item()) == (1.5, 6)
    torch.testing.assert_close(network[0].weight.grad, torch.full((2, 3), 0.5))
    torch.testing.assert_close(network[1].running_mean, torch.full((2,), 0.25))
    assert unused.weight.grad is None  # which no process has a gradient for
    assert processes.running_statistics(nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)).modules()) == []


def test_double_precision_stays_double(twin):
    (total,) = twin.all_reduce([torch.tensor([0.1], dtype=torch.float64)])
    assert total.dtype == torch.float64 and total.item() == 0.2


def test_a_stop_request_travels_with_a_step(twin):
    assert not twin.should_stop(requested=True)
    twin.all_reduce([torch.zeros(1)])
    assert twin.should_stop(requested=False)
    assert not twin.should_stop(requested=False)  # received once: the next training begins anew
    assert ProcessGroup(0, 2).any_requested(requested=True)
    assert not ProcessGroup(0, 2).any_requested(requested=False)


def test_broadcast_and_gathered_rows(twin, monkeypatch):
    assert twin.broadcast(b"word") == b"word"
    assert twin.broadcast(b"") == b""
    assert ProcessGroup(1, 2).broadcast(b"ignored") == b""
    monkeypatch.setattr(ProcessGroup, "_all_reduce", lambda self, message: None)
    whole = twin.gather_rows(torch.ones(2, 3), 1, 4)
    assert whole.sum(dim=1).tolist() == [0, 3, 3, 0]
    twin.require_same("plan", {"w": np.ones(2)})
    with twin.local_main_first():
        pass
    monkeypatch.setenv("LOCAL_RANK", "1")
    with twin.local_main_first():
        pass


def test_in_a_single_process_collectives_do_nothing():
    alone = processes.current_group()
    assert (alone.size, alone.is_main, alone.shard(3, 9)) == (1, True, (3, 9))
    assert alone.broadcast(b"word") == b"word"
    assert alone.any_requested(requested=True) and not alone.should_stop(requested=False)
    alone.require_same("anything", {})
    with alone.local_main_first(), processes.process_group() as together:
        assert together is alone
    assert list(processes.notes(nn.Linear(1, 1))) == []
    assert (processes.world_size(), processes.is_main(), processes.error_prefix()) == (1, True, "")
    assert not processes.another_process_reports()


@pytest.fixture
def second(monkeypatch):
    """This process as the second of two."""
    for name, value in launched(1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "_connected", False)
    monkeypatch.setattr(processes, "_connection_lost", False)
    return monkeypatch


def test_which_process_reports_an_error(second):
    assert (processes.world_size(), processes.is_main(), processes.error_prefix()) == (2, False, "Process 1: ")
    assert processes.another_process_reports()  # before they are connected, the first of the machine does
    second.setattr(processes, "_connected", True)
    assert not processes.another_process_reports()
    second.setattr(processes, "_connection_lost", True)
    assert processes.another_process_reports()
    second.delenv("MASTER_ADDR")  # some of the variables alone do not make a launcher
    assert processes.world_size() == 1


def test_without_accelerate_the_error_names_the_extra(second):
    second.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError) as error, processes.process_group():
        pass
    assert str(error.value) == (
        "A launcher started 2 processes, which needs accelerate, and accelerate is not installed. Install it with: "
        'pip install "pellucid[processes]".'
    )


def stand_in(monkeypatch, reached=True):
    """An accelerate that needs no second process."""

    class PartialState(SimpleNamespace):
        def __init__(self, cpu, timeout, store, rank, world_size) -> None:
            assert (store, rank, world_size) == ("place", 1, 2)
            assert timeout >= timedelta(hours=1)
            if not reached:
                raise RuntimeError("[/a/place/in.cc:7] connection refused. That is bad\nand more")
            super().__init__(process_index=1, num_processes=2, local_process_index=1, cpu=cpu)

        def destroy_process_group(self):
            raise ValueError("it has gone already")

        @staticmethod
        def _reset_state() -> None:
            pass

    module = ModuleType("accelerate")
    module.PartialState = PartialState
    monkeypatch.setitem(sys.modules, "accelerate", module)
    monkeypatch.setattr(processes, "_rendezvous", lambda: ("place", 1, 2))


def test_joining(second):
    stand_in(second)
    with processes.process_group("cpu") as together:
        assert (together.rank, together.size, together.device) == (1, 2, "cpu")
        assert processes.current_group() is together
        with processes.process_group("cpu") as again:
            assert again is together
        assert "the means over the processes" in list(processes.notes(nn.BatchNorm1d(1)))[1]
        assert "hardest pictures of its own part" in list(processes.notes(nn.Linear(1, 1), hard_fraction=0.5))[1]
        threads = torch.get_num_threads()
        try:
            second.setattr(processes, "_cores", lambda: 7)
            second.setenv("OMP_NUM_THREADS", "1")
            processes.set_threads(None)
            assert torch.get_num_threads() == 3
            second.setenv("OMP_NUM_THREADS", "5")
            processes.set_threads(None)
            assert torch.get_num_threads() == 3  # what the user has set in the environment stays
            processes.set_threads(2)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(threads)
    assert processes.current_group().size == 1
    assert processes._cores() >= 1
    with pytest.raises(UsageError, match=r"not on mps\. Give --device cpu"), processes.process_group("mps"):
        pass
    second.setattr(torch.cuda, "is_available", lambda: True)
    with processes.process_group() as together:
        assert together.device == "cuda:1"


def test_each_attempt_of_a_launcher_meets_under_names_of_its_own(monkeypatch):
    """torchrun keeps one store for all attempts: the addresses of those that were killed still stand in it."""
    store = torch.distributed.HashStore()
    module = importlib.import_module("torch.distributed.rendezvous")
    monkeypatch.setattr(module, "rendezvous", lambda url, timeout: iter([(store, 1, 2)]))
    places = []
    for attempt in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        place, rank, size = processes._rendezvous()
        assert (rank, size) == (1, 2)
        places.append(place)
    places[0].set("address", "of one that was killed")
    assert places[0].check(["address"]) and not places[1].check(["address"])


def test_messages_go_through_torch(monkeypatch):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        group = ProcessGroup(0, 2)  # of whom the other is not there, so that sums are one's own
        assert group.all_reduce([torch.tensor([1.5])])[0].item() == 1.5
        assert group.broadcast(b"word") == b"word"
    finally:
        torch.distributed.destroy_process_group()

    def closed(message, src):
        raise RuntimeError("[/a/place/in.cc:7] Connection closed by peer [127.0.0.1]:9")

    monkeypatch.setattr(torch.distributed, "broadcast", closed)
    monkeypatch.setattr(processes, "_connection_lost", False)
    with pytest.raises(TrainingError, match=r"cannot be reached \(Connection closed by peer"):
        ProcessGroup(0, 2).broadcast(b"nobody")
    assert processes._connection_lost


def test_a_process_with_other_weights_is_detected(twin, monkeypatch):
    monkeypatch.setattr(ProcessGroup, "broadcast", lambda self, content: b"another digest")
    with pytest.raises(TrainingError, match=r"^2 of 2 processes have other data, another plan or other"):
        twin.require_same("plan", {"w": np.ones(2)})


def test_unreachable_processes_are_a_sentence(second):
    stand_in(second, reached=False)
    with (
        pytest.raises(TrainingError, match=r"cannot be reached \(connection refused\)"),
        processes.process_group("cpu"),
    ):
        pass
    assert processes.another_process_reports()


def test_what_is_measured_in_one_process_is_refused_in_two(second, capsys, tmp_path):
    stand_in(second)
    second.chdir(tmp_path)
    second.setenv("LOCAL_RANK", "0")
    for options, said in (
        (["--find-lr"], "Process 1: --find-lr tries learning rates in one process. Start it without torchrun."),
        (["--budget", "5m"], "Process 1: A time budget and the batch size 'auto' are measured in a single process."),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["train", "digits", "--network", "mlp", *options])
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith(said)
        assert not processes._connected, "one process reports it before they connect"
    assert not (tmp_path / "runs").exists()
    with pytest.raises(SystemExit):
        main(["tune", "digits", "--network", "mlp"])
    assert capsys.readouterr().err == (
        "Process 1: 2 processes were started together, but only `pellucid train` runs in several processes. Start "
        "`pellucid tune` without torchrun.\n"
    )
    second.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit):
        main(["train", "digits", "--network", "lenet"])
    assert capsys.readouterr() == ("", "")  # the first of the machine says it
