"""The device: selection, precision, and memory allocation on the CPU."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch

from pellucid.inference.device_names import missing, require_possible


def notes(device: torch.device) -> tuple[str, ...]:
    """Notes on the device of a training run."""
    if device.type == "cpu":
        return ()
    if device.type == "cuda":
        return (f"This ran on the card {torch.cuda.get_device_name(device)}.",)
    return (f"This ran on the device {device.type}, where Pellucid has never been tested.",)


def choose(name: str = "auto") -> torch.device:
    """The device with that name. `auto` prefers an NVIDIA or AMD GPU, then an Apple GPU, then the CPU.

    Pellucid's tests run on CPUs. `docs/scaling.md` says on which card it was run.

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
    return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which layers compute in `full` (float32) or `mixed` (bfloat16 if the device is fast) precision.

    Mixed precision after Micikevicius et al. 2018 (arXiv:1710.03740): weights, sums and losses stay in float32.
    bfloat16 has the range of float32, so the loss needs no scaling.
    """
    if precision == "mixed" and fast_in_half(device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


_INEXACT = "does not have a deterministic implementation|non-deterministic algorithm"


@contextmanager
def exact(device: torch.device, *, wanted: bool = True) -> Iterator[list[str]]:
    """A block in which an NVIDIA card computes the same bytes each time; a CPU does so anyway.

    Yields a list that names the operations, by torch's name, that have no deterministic form and ran nevertheless.
    After https://docs.pytorch.org/docs/stable/notes/randomness.html.

    Args:
        device: where the block computes.
        wanted: False leaves the choice of algorithms to the libraries.
    """
    operations: list[str] = []
    if device.type != "cuda" or not wanted:
        yield operations
        return
    # cuBLAS reads it when it starts, and torch before each product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    library: Any = torch.backends.cudnn
    fill: Any = torch.utils.deterministic
    before = (library.deterministic, library.benchmark, fill.fill_uninitialized_memory)
    mode = torch.get_deterministic_debug_mode()
    messages: list[str] = []
    with watching(_INEXACT, messages):
        library.deterministic, library.benchmark, fill.fill_uninitialized_memory = True, False, False
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield operations
        finally:
            library.deterministic, library.benchmark, fill.fill_uninitialized_memory = before
            torch.set_deterministic_debug_mode(mode)
            operations += dict.fromkeys(message.partition(" ")[0] for message in messages)


def inexact_notes(operations: list[str]) -> tuple[str, ...]:
    """A note on the operations that `exact` found to have no deterministic form."""
    if not operations:
        return ()
    names = ", ".join(operations)
    return (f"torch has no deterministic form of {names} on this card, so the same command may give other bytes.",)


@contextmanager
def watching(pattern: str, found: list[str]) -> Iterator[None]:
    """A block in which warnings whose text matches a regular expression go to a list instead of to the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f"(?s).*({pattern})")
        shown = warnings.showwarning

        def show(message: Warning | str, *others: Any, **more: Any) -> None:
            if re.search(pattern, str(message)):
                found.append(str(message))
            else:
                shown(message, *others, **more)

        warnings.showwarning = show
        yield


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
