"""Networks of the user's own: a class in a Python file, or a module that is handed over built.

A model file holds no code, so a model of such a network names the class that it needs: `mynet.py:Net`. Within one
process a network that was handed over is remembered, so that its model runs without being told again.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from torch import nn

from pellucid.errors import NetworkError, UsageError

_REMEMBERED: dict[str, nn.Module] = {}


def is_file_reference(name: str) -> bool:
    """Whether `name` is of the form `file.py:Class`."""
    file, separator, attribute = name.rpartition(":")
    return bool(separator) and file.endswith(".py") and attribute.isidentifier()


def load_class(reference: str) -> type[nn.Module]:
    """The class that `file.py:Class` names. Runs the file: it is the user's own, and named on purpose.

    Raises:
        UsageError: there is no such file or class, or the file fails.
    """
    file, _, attribute = reference.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"There is no file {path} to take the network '{attribute}' from.")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault(path.stem, module)  # so that dataclasses and the like find their own module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}.") from error
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        classes = [
            name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        raise UsageError(
            f"{path} has no network class '{attribute}'; it has {', '.join(classes) or 'none'}. "
            f"A network is a subclass of torch.nn.Module."
        )
    return found


def instantiate(
    kind: type[nn.Module], shape: tuple[int, int, int], classes: int, settings: dict[str, Any] | None = None
) -> nn.Module:
    """An instance of `kind`, which is given `shape` and `classes` where its constructor takes them.

    Raises:
        NetworkError: it cannot be made so.
    """
    parameters = inspect.signature(kind).parameters
    offered = {"shape": shape, "classes": classes}
    arguments = {key: value for key, value in offered.items() if key in parameters} | (settings or {})
    try:
        return kind(**arguments)
    except TypeError as error:
        raise NetworkError(
            f"{kind.__name__}({', '.join(arguments)}) cannot be made: {error}. Its constructor may take "
            f"shape=(C, H, W), classes=K, and settings that have defaults or are given with --set."
        ) from error


def source_of(module: nn.Module) -> str:
    """How the class of `module` is named in a model file: `mynet.py:Net` or `package.module:Net`."""
    kind = type(module)
    name = kind.__qualname__
    loaded = sys.modules.get(kind.__module__)
    file = getattr(loaded, "__file__", None)
    if file and "." not in kind.__module__ and kind.__module__ != "__main__":
        return f"{Path(file).name}:{name}"
    return f"{kind.__module__}:{name}"


def remember(source: str, module: nn.Module) -> None:
    """Keeps an untrained copy of `module`, so that models of it run in this process."""
    _REMEMBERED[source] = copy.deepcopy(module)


def recall(source: str) -> nn.Module | None:
    """A fresh copy of the network that was remembered under `source`, or None."""
    return copy.deepcopy(_REMEMBERED[source]) if source in _REMEMBERED else None
