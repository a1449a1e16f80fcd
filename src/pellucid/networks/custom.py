"""The user's own networks: a class in a Python file, or an `nn.Module`.

A model file contains no code, so a model of such a network names its class: `mynet.py:Net`. Within one process the
networks of the latest models are cached, so these models run without giving the class again.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import inspect
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pellucid.errors import NetworkError, PellucidError, UsageError
from pellucid.networks.catalogue import file_of, is_file_reference
from pellucid.records.paths import expand_user

_REMEMBERED: OrderedDict[str, nn.Module] = OrderedDict()
_MOST_REMEMBERED = 64


def full_reference(name: str) -> str:
    """`file.py:Class` with the absolute path of the file, so that it works from any folder; other names unchanged."""
    if not is_file_reference(name):
        return name
    file, _, attribute = name.rpartition(":")
    return f"{expand_user(file).resolve()}:{attribute}"


def source_hash(reference: str) -> str:
    """SHA-256 of the file in `file.py:Class`, in hexadecimal; empty if it cannot be read."""
    try:
        return hashlib.sha256(expand_user(reference.rpartition(":")[0]).read_bytes()).hexdigest()
    except OSError:
        return ""


def load_class(reference: str, *, sha256: str | None = None) -> type[nn.Module]:
    """The class named by `file.py:Class`. Runs the file, which the user named on purpose.

    Args:
        reference: `file.py:Class`.
        sha256: SHA-256 that the file must have, in hexadecimal; None for any.

    Raises:
        MissingDataError: there is no such file.
        UsageError: the reference has another form, there is no such class, the file has changed, or it fails.
    """
    if not is_file_reference(reference):
        raise UsageError(
            f"Give your own network as file.py:Class, for example mynet.py:Net; given: '{reference}'. For a network of "
            f"the catalogue, omit --network."
        )
    path, attribute = file_of(reference)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if sha256 is not None and hashlib.sha256(source).hexdigest() != sha256:
        raise UsageError(
            f"{path} has changed since the training began, so the rest would be trained with another network. Restore "
            f"the file, or start anew."
        )
    # A unique module name, so that json.py does not replace Python's json, nor one folder's net.py another's.
    name = f"pellucid_network_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses, among others, look up their module
    try:
        # These very bytes, and not what a file beside them (`__pycache__`) says they were compiled to.
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102 (the user named it)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}.") from error
    network_class = getattr(module, attribute, None)
    if not (isinstance(network_class, type) and issubclass(network_class, nn.Module)):
        classes = [
            name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        raise UsageError(
            f"{path} has no network class '{attribute}'; it has {', '.join(classes) or 'none'}. "
            f"A network must be a subclass of torch.nn.Module."
        )
    return network_class


def instantiate(
    kind: type[nn.Module], shape: tuple[int, int, int], classes: int, settings: dict[str, Any] | None = None
) -> nn.Module:
    """An instance of `kind`, with `shape` and `classes` as arguments if its constructor accepts them.

    Raises:
        NetworkError: the constructor fails.
    """
    parameters = inspect.signature(kind).parameters
    defaults = {"shape": shape, "classes": classes}
    arguments = {key: value for key, value in defaults.items() if key in parameters} | (settings or {})
    try:
        return kind(**arguments)
    except PellucidError:
        raise
    except Exception as error:
        raise NetworkError(
            f"{kind.__name__}({', '.join(arguments)}) cannot be built: {type(error).__name__}: {error}. Its "
            f"constructor may take shape=(C, H, W), classes=K, and settings with defaults or from --set."
        ) from error


def source_of(module: nn.Module) -> str:
    """The name of the class of `module` in a model file: `mynet.py:Net` or `package.module:Net`."""
    kind = type(module)
    name = kind.__qualname__
    loaded = sys.modules.get(kind.__module__)
    file = getattr(loaded, "__file__", None)
    if file and "." not in kind.__module__ and kind.__module__ != "__main__":
        return f"{Path(file).name}:{name}"
    return f"{kind.__module__}:{name}"


def remember(weights: Mapping[str, np.ndarray], module: nn.Module) -> None:
    """Caches a network for the model with these weights.

    The weights are the key, since two instances of one class may differ in their constructor arguments.
    """
    key = _digest(weights)
    _REMEMBERED[key] = module
    _REMEMBERED.move_to_end(key)
    while len(_REMEMBERED) > _MOST_REMEMBERED:
        _REMEMBERED.popitem(last=False)


def recall(weights: Mapping[str, np.ndarray]) -> nn.Module | None:
    """A copy of the cached network for these weights, or None."""
    module = _REMEMBERED.get(_digest(weights))
    return None if module is None else copy_of(module)


def copy_of(module: nn.Module) -> nn.Module:
    """A deep copy of the user's module, which Pellucid never changes.

    Raises:
        NetworkError: it cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise NetworkError(
            f"The network {type(module).__name__} cannot be copied ({error}). Give its class instead."
        ) from error


def _digest(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
