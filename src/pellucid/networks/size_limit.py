"""Stops the construction of a network that outgrows the weights it is built for.

A model file of a few kilobytes can name millions of layers in its settings. Layers take time and memory even on the
meta device, so the size of a built network is compared with the file's weights while it grows.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as registration

from pellucid.errors import ModelFileError

__all__ = ["require_plausible_settings", "within_size_of"]

_MOST_PER_ARRAY = {"parameters": 4, "buffers": 4, "modules": 20}
"""Registrations per array of the file. Of all timm networks, at most 1.3 are parameters and 3.3 modules."""
_FREE = 1000
"""Registrations that are always allowed, for networks of few arrays."""
_FREE_VALUES = 25_000_000
"""Values that are always allowed beside twice those of the file: tables that a network computes itself."""
_FREE_NUMBER = 10_000
"""Settings up to this number are always plausible."""


@contextlib.contextmanager
def within_size_of(weights: Mapping[str, np.ndarray], name: str) -> Iterator[None]:
    """While the block runs, networks built in this thread stay within a multiple of the weights.

    Args:
        weights: the arrays that the network is built for.
        name: the name of the network, for messages.

    Raises:
        ModelFileError: the network registers more modules, parameters, buffers or values.
    """
    counts = dict.fromkeys(_MOST_PER_ARRAY, 0)
    limits = {kind: _FREE + most * len(weights) for kind, most in _MOST_PER_ARRAY.items()}
    most_values = _FREE_VALUES + 2 * sum(array.size for array in weights.values())
    values, thread = 0, threading.get_ident()

    def count(kind: str, added: object) -> None:
        nonlocal values
        if added is None or threading.get_ident() != thread:
            return
        counts[kind] += 1
        if isinstance(added, torch.Tensor) and not nn.parameter.is_lazy(added):
            values += added.numel()
        if counts[kind] > limits[kind] or values > most_values:
            raise ModelFileError(
                f"The weights do not fit this network: with the settings in the model file, '{name}' is larger than "
                f"the arrays in the file can fill. Get the file again from where it came."
            )

    with contextlib.ExitStack() as stack:
        for register, kind in (
            (registration.register_module_module_registration_hook, "modules"),
            (registration.register_module_parameter_registration_hook, "parameters"),
            (registration.register_module_buffer_registration_hook, "buffers"),
        ):
            # The hook's result would replace what is registered; None keeps it.
            handle = register(lambda _module, _name, added, kind=kind: count(kind, added))
            stack.callback(handle.remove)
        yield


def require_plausible_settings(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray], name: str) -> None:
    """Checks that no number in the settings is larger than the file's weights can need.

    Raises:
        ModelFileError: one is.
    """
    most = max(_FREE_NUMBER, *(array.size for array in weights.values()), 0)
    pending: list[Any] = [settings]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, int | float) and not abs(value) <= most:  # also NaN
            raise ModelFileError(
                f"The weights do not fit this network: the settings of '{name}' in the model file have a number above "
                f"{most:,}, more than its weights can fill. Get the file again from where it came."
            )
