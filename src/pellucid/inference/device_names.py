"""The names of devices, and which of them this machine surely lacks. Imports no torch, so that it answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pellucid.errors import UnknownNameError, UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda", "mps")

_CARDS_ON_LINUX = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvgpu")
"""Device files of the drivers: NVIDIA's, AMD's, Windows' for Linux within it, and those of NVIDIA's small boards."""


def require_possible(name: str) -> Device:
    """The device of that name, unless this machine surely lacks it. `pellucid.inference.device.choose` asks torch.

    Raises:
        UnknownNameError: there is no device with that name.
        UsageError: this machine has no such device.
    """
    device = next((known for known in DEVICES if known == name), None)
    if device is None:
        raise UnknownNameError("device", name, DEVICES)
    if name == "mps" and sys.platform != "darwin":
        raise missing(name)
    if name == "cuda" and (
        sys.platform == "darwin"
        or (sys.platform == "linux" and not any(Path(path).exists() for path in _CARDS_ON_LINUX))
    ):
        raise missing(name)
    return device


def missing(name: str) -> UsageError:
    """The error for a device that this machine does not have."""
    return UsageError(f"This machine has no {name} device that torch can use. Omit --device, or use cpu.")
