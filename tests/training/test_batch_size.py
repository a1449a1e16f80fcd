"""The largest batch that memory holds: the search, and real steps in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid.errors import TrainingError, UsageError
from pellucid.records import Dataset, MappedPictures
from pellucid.records.quantities import format_size
from pellucid.training import batch_size, memory, memory_trial
from pellucid.training.batch_size import (
    FEWEST_STEPS,
    ProcessTrials,
    choose_batch_size,
    find_batch_size,
    is_auto,
    search,
)
from pellucid.training.plan import ResolvedPlan, make_plan


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 64))
def test_what_is_found_fits_and_is_nearly_the_largest(most, bound, first):
    asked: list[int] = []

    def fits(batch: int) -> bool:
        assert 1 <= batch <= bound, "nothing larger is ever tried"
        asked.append(batch)
        return batch <= most

    found = search(fits, min(first, bound), bound)
    assert found in asked
    assert found <= min(most, bound)
    assert found >= min(most, bound) * 0.8 - 8
    assert len(asked) <= 20


def test_where_nothing_fits():
    assert search(lambda _: False, 16, 1000) == 0


def linear(batch: int) -> int:
    return 10**8 + 10**6 * batch


def test_the_choice_is_explained():
    found = choose_batch_size(linear, 200_000_000, 1000, 32_000)
    assert 90 <= found.chosen <= 100
    above = min(batch for batch in found.tried if batch > found.chosen)
    assert found.reason == (
        f"it takes {100 + found.chosen} MB of 200 MB, and {above} would take {format_size(10**8 + 10**6 * above)}"
    )
    assert choose_batch_size(linear, 10**12, 1000, 32_000).reason == (
        "the bound of at least 32 batches in an epoch of 32,000 pictures decided, and not memory: "
        "it takes 1.1 GB of 1 TB"
    )
    assert choose_batch_size(linear, 10**12, 64, 100).reason == (
        "an epoch of 100 pictures leaves no room for a larger one, and memory did not decide: it takes 164 MB of 1 TB"
    )
    killed = choose_batch_size(lambda batch: linear(batch) if batch <= 32 else None, 10**12, 1000, 32_000)
    assert killed.chosen == 32
    assert killed.reason.endswith("would take more than there is")


@pytest.mark.parametrize(("takes", "said"), [(linear, "101 MB"), (lambda _: None, "more than there is")])
def test_not_even_one_picture(takes, said):
    with pytest.raises(UsageError) as error:
        choose_batch_size(takes, 50_000_000, 100, 3200)
    assert str(error.value) == (
        f"A batch of one picture takes {said}, and the limit is 50 MB. Give a higher memory limit (--memory-limit), "
        f"smaller pictures or a smaller network."
    )


@pytest.mark.parametrize("text", ["2", "0GB", "0.1B", 0, True, None])
def test_a_memory_limit_has_a_unit_and_is_above_0(text):
    with pytest.raises(UsageError) as error:
        memory.parse_limit(text)
    assert str(error.value).startswith("A memory limit is a size ")
    assert (memory.parse_limit("1.5GiB"), memory.parse_limit(7)) == (3 * 2**29, 7)


@given(st.text(max_size=10))
def test_any_text_is_a_memory_limit_or_refused(text):
    with contextlib.suppress(UsageError):
        assert memory.parse_limit(text) > 0


def test_this_machine_has_memory():
    assert 10**6 < memory.used() <= memory.peak() * 1.01
    assert memory.free() > 10**7


def test_other_systems_measure_it_otherwise(monkeypatch):
    info = SimpleNamespace(uss=10**6, peak_pagefile=7)
    process = SimpleNamespace(memory_info=lambda: info, memory_full_info=lambda: info)
    for name, value in (("Process", lambda: process), ("LINUX", False), ("WINDOWS", True), ("MACOS", False)):
        monkeypatch.setattr(psutil, name, value)
    assert (memory.used(), memory.peak()) == (10**6, 7)
    monkeypatch.setattr(psutil, "WINDOWS", False)
    if os.name != "nt":
        assert memory.peak() > 10**5, "bytes: the kernel counts kilobytes"
        in_kilobytes = memory.peak()
        monkeypatch.setattr(psutil, "MACOS", True)
        assert memory.peak() * 1024 == pytest.approx(in_kilobytes, rel=0.1)


def test_a_container_has_a_limit_of_its_own(tmp_path):
    assert memory._container_free(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("1000\n", encoding="ascii")
    assert memory._container_free(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("5000\n", encoding="ascii")
    assert memory._container_free(tmp_path) == 4000


def test_which_word_is_auto():
    assert is_auto(" Auto")
    assert not is_auto(64)
    assert not is_auto("64")


def few():
    digits = pellucid.load("digits")
    return replace(digits, splits={"train": digits.train.take(np.arange(500))})


# The base of two processes differs by tens of megabytes, which what a batch adds must outweigh.
WIDE = {"widths": [40_000, 10]}


def test_real_steps_in_a_process_of_its_own():
    """An MLP of 64 × 40,000 weights: what a batch adds is known from below, as its activations are kept to go back."""
    found = find_batch_size(few(), make_plan(few(), "mlp", settings=WIDE, batch_size=450))
    assert found.chosen == 450, "all that there is to learn from, since the plan says so"
    sizes = {batch: taken for batch, taken in found.tried.items() if taken is not None}
    assert list(sizes) == [16, 32, 64, 128, 256, 450]
    # Two layers' outputs before and after the activation, float32.
    assert sizes[450] - sizes[16] > 0.9 * 2 * 4 * 40_000 * (450 - 16)
    assert sizes[450] < found.limit

    # Nearer to 64: what a process takes at its most may differ by a hundred megabytes from one to the next.
    between = sizes[64] + (sizes[450] - sizes[64]) // 4
    less = find_batch_size(
        few(), make_plan(few(), "mlp", settings=WIDE, batch_size=450).with_record(memory_limit=between)
    )
    assert 32 <= less.chosen < 450
    assert less.tried[less.chosen] <= between == less.limit


def test_the_checkpoint_is_counted():
    """A network of 15 million weights and hardly any activations: its checkpoint is the most that it ever takes."""
    found = find_batch_size(
        few(), make_plan(few(), "mlp", settings={"widths": [200_000]}, batch_size=1, optimizer="sgd", momentum=0)
    )
    weights = 4 * (64 * 200_000 + 200_000 * 10)
    taken = max(size for size in found.tried.values() if size is not None)
    # Itself and its gradients, three copies, their checkpoint, and what is between.
    assert taken > 6 * weights


def test_what_the_process_answers(capsys):
    request = {
        "plan": {
            "network": "mlp", "settings": {}, "threads": torch.get_num_threads(), "device": "cpu",
            "recipe": pellucid.Recipe().model_dump(mode="json"),
        },
        "shape": [1, 8, 8], "classes": 10, "pictures": 300, "validation": 30,
    }  # fmt: skip
    answers = io.StringIO()
    lines = [json.dumps(request), '{"batch_size": 8}', '{"batch_size": 16}']
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_trial, "_let_be_killed_first", lambda: None)  # these tests are not to be killed first
        memory_trial.serve(io.StringIO("\n".join(lines) + "\n"), answers)
        assert [set(json.loads(line)) for line in answers.getvalue().splitlines()] == [{"bytes"}, {"bytes"}]

        answers = io.StringIO()
        wrong = json.dumps(request | {"plan": request["plan"] | {"network": "no-such-network"}})
        memory_trial.serve(io.StringIO(f"{wrong}\n{lines[1]}\n"), answers)
        assert "error" in json.loads(answers.getvalue())

        for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")):
            patch.setattr(memory_trial, "_train", lambda *_, error=error: (_ for _ in ()).throw(error))
            answers = io.StringIO()
            memory_trial.serve(io.StringIO("\n".join(lines) + "\n"), answers)
            assert answers.getvalue() == "", "it ends, and its end is the answer"


FALSE_CHILD = """
import json, os, sys
sys.stdin.readline()
for line in sys.stdin:
    batch = json.loads(line)["batch_size"]
    if batch > 100:
        os._exit(9)
    print(json.dumps({"bytes": 10**6 * batch} if batch != 7 else {"error": "It failed."}), flush=True)
"""


@pytest.fixture
def child(monkeypatch):
    """Tries batch sizes in a process that ends, as one that the system kills, above a hundred pictures."""
    begun: list[subprocess.Popen] = []
    real = subprocess.Popen

    def begin(_command: list[str], **more: Any):
        begun.append(real([sys.executable, "-c", FALSE_CHILD], **more))
        return begun[-1]

    monkeypatch.setattr(batch_size.subprocess, "Popen", begin)
    monkeypatch.setattr(memory, "used", lambda: 0)
    with ProcessTrials({"pictures_bytes": 5}) as found:
        yield found, begun
    assert all(process.poll() is not None for process in begun)


def test_a_process_that_is_killed_is_an_answer(child):
    trials, begun = child
    assert trials.measure(16) == 16_000_005
    assert trials.measure(32) == 32_000_005
    assert len(begun) == 1, "rising sizes share a process"
    assert trials.measure(128) is None
    assert trials.measure(64) == 64_000_005
    assert trials.measure(48) == 48_000_005
    assert len(begun) == 3, "a peak that is to go down needs a new one"
    with pytest.raises(TrainingError) as error:
        trials.measure(7)
    assert str(error.value) == "It failed."


def test_a_process_that_is_gone_before_it_is_asked(child):
    trials, begun = child
    trials.measure(16)
    begun[0].kill()
    begun[0].wait()
    assert trials.measure(32) is None


def test_a_network_that_cannot_be_named():
    with pytest.raises(UsageError) as error:
        find_batch_size(few(), make_plan(few(), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))))
    assert str(error.value).startswith("On a CPU another process finds the batch size, and needs the network by name")


def test_apples_processor_does_not_say(monkeypatch):
    monkeypatch.setattr("pellucid.inference.device.choose", lambda _: torch.device("mps"))
    with pytest.raises(UsageError) as error:
        find_batch_size(few(), make_plan(few(), "mlp"))
    assert str(error.value) == (
        "How much memory a batch takes cannot be measured on mps. Give the batch size as a number, for example 100."
    )


def test_the_bound_leaves_an_epoch_some_steps(monkeypatch):
    monkeypatch.setattr(ProcessTrials, "measure", lambda self, batch: 1)
    monkeypatch.setattr(ProcessTrials, "available", lambda self: 100)
    data = pellucid.load("digits")
    found = find_batch_size(data, make_plan(data, "mlp", batch_size=8))
    assert found.chosen == 1293 // FEWEST_STEPS == 40
    assert found.limit == 100


def test_a_model_to_start_from_says_its_network_and_shape(monkeypatch):
    asked: list[dict] = []
    monkeypatch.setattr(ProcessTrials, "measure", lambda self, batch: asked.append(self.request) or 1)
    model = pellucid.train(few(), "mlp", settings={"widths": [20]}, epochs=1, progress=False)
    find_batch_size(few(), make_plan(few(), start=model).with_record(memory_limit=10**9))
    assert (asked[0]["plan"]["network"], asked[0]["plan"]["settings"], asked[0]["shape"]) == (
        "mlp",
        {"widths": [20]},
        [1, 8, 8],
    )


def test_pictures_that_stay_mapped_take_no_memory(tmp_path, monkeypatch):
    """A set larger than memory may be trained on with a limit far below its size."""
    asked: list[dict] = []
    monkeypatch.setattr(ProcessTrials, "measure", lambda self, batch: asked.append(self.request) or 1)
    whole = few()
    mapped = MappedPictures([whole.train.pictures])
    find_batch_size(whole, make_plan(whole, "mlp").with_record(memory_limit=10**9))
    larger = replace(whole, splits={"train": replace(whole.train, pictures=mapped)})
    find_batch_size(larger, make_plan(larger, "mlp").with_record(memory_limit=10**9))
    assert [one["pictures_bytes"] for one in asked[:: len(asked) // 2]] == [500 * 64, 0]


def test_files_take_memory_unless_they_are_too_many(photos, monkeypatch):
    asked: list[dict] = []
    monkeypatch.setattr(ProcessTrials, "measure", lambda self, batch: asked.append(self.request) or 1)
    data = pellucid.load(photos)
    n = len(data.train)
    for memory_held in ("1GB", "1KB"):
        monkeypatch.setenv("PELLUCID_MEMORY", memory_held)
        asked.clear()
        find_batch_size(data, make_plan(data, "lenet5", size=32).with_record(memory_limit=10**9))
        assert asked[0]["pictures_bytes"] == (n * 3 * 32 * 32 if memory_held == "1GB" else 0)


def test_on_a_card(monkeypatch):
    """There is no graphics card here: what torch says of one is played."""
    monkeypatch.setattr("pellucid.inference.device.choose", lambda _: torch.device("cuda"))
    monkeypatch.setattr("pellucid.training.dry_run.choose", lambda _: torch.device("cpu"))
    sizes: list[int] = []
    original = memory_trial.dry_run

    def trying(data: Dataset, plan: ResolvedPlan):
        sizes.append(plan.recipe.batch_size)
        if sizes[-1] > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(data, plan)

    monkeypatch.setattr(memory_trial, "dry_run", trying)
    for name, value in {
        "empty_cache": None, "reset_peak_memory_stats": None, "mem_get_info": (10**6, 10**9),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1000 * sizes[-1])
    found = find_batch_size(few(), make_plan(few(), "mlp", batch_size=450))
    assert found.limit == 900_000
    assert 160 <= found.chosen <= 200
    assert found.reason.endswith("would take more than there is")
