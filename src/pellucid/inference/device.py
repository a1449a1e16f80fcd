"""The device: selection, precision, and memory allocation on the CPU."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from pellucid.inference.device_names import missing, require_possible


def notes(device: torch.device) -> tuple[str, ...]:
    """Notes on the device of a training run."""
    if device.type == "cpu":
        return ()
    return (f"This ran on the device {device.type}, where Pellucid has never been tested.",)


def choose(name: str = "auto") -> torch.device:
    """The device with that name. `auto` prefers an NVIDIA or AMD GPU, then an Apple GPU, then the CPU.

    Pellucid is tested on CPUs only; other devices run the same code.

    Raises:
        UnknownNameError: there is no device with that name.
        UsageError: this machine has no such device.
    """
    require_possible(name)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    if not available[name]:
        raise missing(name)
    return torch.device(name)


@cache
def fast_in_half(kind: str) -> bool:
    """Whether a kind of device (`cpu`, `cuda`, `mps`) multiplies bfloat16 faster than float32.

    CPUs with AVX-512 BF16 or AMX do, and NVIDIA GPUs since Ampere. Others only emulate it.
    """
    if kind == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older versions of torch
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    # Not tested on a GPU.
    return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which layers compute in `full` (float32) or `mixed` (bfloat16 if the device is fast) precision.

    Mixed precision after Micikevicius et al. 2018 (arXiv:1710.03740): weights, sums and losses stay in float32.
    bfloat16 has the range of float32, so the loss needs no scaling.
    """
    if precision == "mixed" and fast_in_half(device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_TRIM_BYTES = 64 * 2**20
_MMAP_BYTES = 32 * 2**20
"""The largest value that glibc accepts."""


@cache
def keep_freed_memory() -> bool:
    """Makes the C library keep up to 64 MiB of freed memory for reuse; returns whether it does.

    Each training step allocates and frees the same arrays of a few megabytes. By default the C library returns them to
    the system, which zeroes every page at the next allocation: a fifth of LeNet-5's training time. This calls glibc's
    `mallopt` on Linux, unless the environment configures malloc already.
    """
    configured = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or configured:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MMAP_BYTES) and mallopt(_TRIM_THRESHOLD, _TRIM_BYTES))
