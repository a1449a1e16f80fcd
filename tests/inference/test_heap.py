"""Memory that is given back is kept for the next step."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from pellucid.inference.device import keep_freed_memory

told = keep_freed_memory() if sys.argv[1] == "told" else None
def step():
    for _ in range(4):
        np.ones(2_000_000, dtype=np.uint8), np.ones(2_000_000, dtype=np.uint8)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env=_environment(environment)
    )
    told, faults = done.stdout.split()
    return told, int(faults)


def _environment(more: dict[str, str]) -> dict[str, str]:
    import os

    usual = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    return usual | more


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc on Linux is told")
def test_a_step_takes_the_memory_of_the_one_before():
    told, faults = _faults("told")
    if told == "False":
        pytest.skip("the C library is not glibc")
    assert faults < 100
    assert _faults("not told")[1] > 10 * max(faults, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc on Linux is told")
def test_what_the_environment_says_stays():
    assert _faults("told", MALLOC_TRIM_THRESHOLD_="65536")[0] == "False"
