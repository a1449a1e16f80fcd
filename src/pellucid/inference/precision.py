"""In which precision a device computes: float32, or bfloat16 where it has the instructions for that."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch


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
    """Within it, layers compute in that precision: `full` (float32), or `mixed` (bfloat16 where the device is fast).

    Mixed precision after Micikevicius et al. 2018 (arXiv:1710.03740): weights, sums and losses stay in float32.
    bfloat16 has the range of float32, so that no loss has to be scaled.
    """
    if precision == "mixed" and fast_in_half(device.type):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
