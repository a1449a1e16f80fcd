"""Where the arithmetic is done."""

from __future__ import annotations

import torch

from pellucid.errors import UnknownNameError, UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def notes(device: torch.device) -> tuple[str, ...]:
    """What a person should know of the device that a training ran on."""
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
