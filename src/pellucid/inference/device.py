"""The device of a computation: its choice, its precision, and the memory of the processor."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from pellucid.errors import UnknownNameError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def notes(device: torch.device) -> tuple[str, ...]:
    """Notes on the device of a training."""
    if device.type == "cpu":
        return ()
    return (f"This was computed on the device {device.type}, on which Pellucid has never been tested.",)


def choose(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes an NVIDIA or AMD card where there is one, then Apple's, then the CPU.

    Pellucid's tests run on CPUs; on other devices the same code runs, but has not been tested.

    Raises:
        UnknownNameError: no device is called so.
        UsageError: this machine has none of that kind.
    """
    if name not in DEVICES:
        raise UnknownNameError("device", name, DEVICES)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there[name]:
        raise UsageError(f"This machine has no {name} device that torch can use. Leave the device out, or give cpu.")
    return torch.device(name)


@cache
def fast_in_half(kind: str) -> bool:
    """Whether devices of a kind (`cpu`, `cuda`, `mps`) multiply bfloat16 faster than float32.

    Processors with AVX-512 BF16 or AMX do, and NVIDIA's graphics cards from Ampere on. Others only imitate it.
    """
    if kind == "cpu":
        has = getattr(torch.cpu, "get_capabilities", dict)()  # older torch does not tell
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    # Not run on a graphics card.
    return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Within the block, layers compute in `full` precision (float32), or in `mixed` (bfloat16 if the device is fast).

    Mixed precision after Micikevicius et al. 2018 (arXiv:1710.03740): weights, sums and losses stay in float32.
    bfloat16 has the range of float32, so that no loss has to be scaled.
    """
    if precision == "mixed" and fast_in_half(device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 64 * 2**20
_MAPPED_FROM = 32 * 2**20
"""The largest value that the C library accepts."""


@cache
def keep_freed_memory() -> bool:
    """Makes the C library keep up to 64 MiB of freed memory for the next allocation; returns whether it does.

    Each step of a training asks for the same arrays of some megabytes and gives them back. By default they go back to
    the system between two steps, which zeroes them page by page when they are asked for again: a fifth of the time of
    LeNet-5. This sets `mallopt` of glibc on Linux, unless the environment configures it.
    """
    configured = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or configured:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MAPPED_FROM) and mallopt(_TRIM_THRESHOLD, _KEPT))
