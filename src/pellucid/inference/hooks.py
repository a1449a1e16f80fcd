"""Watching a network while it runs: hooks on its modules, and a view of every torch operation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Before = Callable[[str, nn.Module, tuple[Any, ...]], None]
"""Called with (name, module, inputs) when a module starts."""
After = Callable[[str, nn.Module, tuple[Any, ...], Any], None]
"""Called with (name, module, inputs, output) when a module has finished."""


@contextlib.contextmanager
def hooked(
    modules: Mapping[str, nn.Module], *, before: Before | None = None, after: After | None = None
) -> Iterator[None]:
    """Within the block, calls `before` and `after` around each run of these modules.

    Args:
        modules: by name.
        before: called when a module starts.
        after: called when it has finished. Its output may be overwritten later: copy what you keep.
    """
    handles = []
    for name, module in modules.items():
        if before is not None:
            handles.append(module.register_forward_pre_hook(lambda part, inputs, name=name: before(name, part, inputs)))
        if after is not None:
            handles.append(
                module.register_forward_hook(lambda part, inputs, output, name=name: after(name, part, inputs, output))
            )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def module_stack(network: nn.Module) -> Iterator[list[tuple[str, nn.Module]]]:
    """Within the block, a list of the modules that are running: (name, module), the outermost first."""
    stack: list[tuple[str, nn.Module]] = []
    with hooked(
        dict(network.named_modules()),
        before=lambda name, module, _: stack.append((name, module)),
        after=lambda *_: stack.pop() and None,
    ):
        yield stack


class OperationWatcher(TorchFunctionMode):
    """Sees every torch operation within its `with` block, whether a layer, a `forward` or an operator calls it.

    A subclass overrides `before`, `after` or both.
    """

    def before(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Called before an operation runs, which may overwrite its inputs; what it returns is handed to `after`."""

    def after(self, function: Any, args: Any, kwargs: dict[str, Any], result: Any, noted: Any) -> None:
        """Called with the result of an operation, and with what `before` returned."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        noted = self.before(func, args, kwargs)
        result = func(*args, **kwargs)
        self.after(func, args, kwargs, result, noted)
        return result


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested lists, tuples and dictionaries, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


_IN_PLACE_NAMES = {"iadd": "add", "radd": "add", "isub": "sub", "rsub": "sub", "imul": "mul", "rmul": "mul"} | (
    dict.fromkeys(("truediv", "itruediv", "rtruediv", "divide", "true_divide"), "div")
)


def operation_name(function: Any) -> str:
    """The plain name of a torch function: `add` for `__add__`, `add_` and `__iadd__`; a property has its own name."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    name = name.strip("_")
    return _IN_PLACE_NAMES.get(name, name)


def first_tensor(output: Any) -> Any:
    """The output of a layer if it is a tensor, else the first element of a tuple or list."""
    if isinstance(output, (tuple, list)) and output:
        return first_tensor(output[0])
    return output
