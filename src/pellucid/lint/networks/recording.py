"""Records every torch call of a network in order, with the calls whose results it takes.

`TorchFunctionMode` intercepts each call, whether a layer, a `forward` or an operator makes it. So the recording shows
what a network computes, however it is written; names of layers are never read. Compiled code (`torch.jit`) and
functions with a custom gradient are not intercepted: their results are marked as unknown, and the rules ignore them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pellucid.inference import hooks, layer_kinds
from pellucid.inference.hooks import OperationWatcher, module_stack, operation_name, tensors_in

_MARK = "_pellucid_call"
_OURS = {str(Path(__file__).resolve()), str(Path(hooks.__file__).resolve())}
_TORCH = str(Path(torch.__file__).resolve().parent)


@dataclass(frozen=True)
class TensorArgument:
    """A tensor argument of a call: its shape, and its name if it is a parameter."""

    shape: tuple[int, ...]
    name: str = ""


@dataclass(eq=False)
class Call:
    """A torch call on data that depends on the pictures.

    Attributes:
        function: name of the function without underscores: `conv2d`, `relu`, `add`; `input` for the pictures,
            `unknown` if it was not intercepted.
        location: path and kind of the layer, or path of the module and line of its code.
        inputs: the calls whose results it takes, without weights.
        parameters: names of the parameters that it takes, directly or through values computed from them alone.
        arguments, keywords: its arguments, with `TensorArgument` for tensors.
        shape: shape of its (first) result, batch first.
        consumers: the calls that take its result.
        spread: root mean square over all values of the standard deviation between pictures; None if not measured.
        identical_units: whether all units have the same output; None if not measured.
    """

    function: str
    location: str = ""
    inputs: tuple[Call, ...] = ()
    parameters: frozenset[str] = frozenset()
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    consumers: list[Call] = field(default_factory=list)
    spread: float | None = None
    identical_units: bool | None = None

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by position or by name."""
        if len(self.arguments) > index:
            return self.arguments[index]
        return self.keywords.get(name, default)

    @property
    def tensors(self) -> list[TensorArgument]:
        """The tensors among its arguments."""
        values = [
            value
            for value in (*self.arguments, *self.keywords.values())
            if isinstance(value, (TensorArgument, list, tuple))
        ]
        return [value for value in _flat(values) if isinstance(value, TensorArgument)]


@dataclass
class Recording:
    """The recording of one run.

    Attributes:
        calls: the calls in order; the first stands for the pictures.
        outputs: the output of the network.
        last: the calls that gave the output.
        unregistered: location and shape of each parameter that is used but not registered in the network.
    """

    calls: list[Call]
    outputs: Any
    last: list[Call]
    unregistered: list[tuple[str, tuple[int, ...]]]


def record(network: nn.Module, pictures: torch.Tensor, *, measure: bool = False) -> Recording:
    """Runs a network on pictures and records every call. The mode of the network stays as it is.

    Args:
        network: the network; it is not changed.
        pictures: float32 (N, C, H, W).
        measure: whether to measure the spread of the inputs and outputs of layers with weights.
    """
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    begin = Call("input", shape=tuple(pictures.shape))
    # A clone, because torch refuses in-place operations on a leaf that requires gradients.
    marked_input = pictures.detach().requires_grad_().clone()
    setattr(marked_input, _MARK, begin)
    with module_stack(network) as stack:
        recorder = _Recorder(names, stack, begin, measure=measure)
        with torch.enable_grad(), recorder:
            outputs = network(marked_input)
    last = [mark for one in tensors_in(outputs) if (mark := getattr(one, _MARK, None)) is not None]
    return Recording(recorder.calls, outputs, last, recorder.unregistered)


class _Recorder(OperationWatcher):
    def __init__(self, names: dict[int, str], path: list[tuple[str, nn.Module]], begin: Call, *, measure: bool) -> None:
        super().__init__()
        self.names = names
        self.path = path
        self.calls = [begin]
        self.unregistered: list[tuple[str, tuple[int, ...]]] = []
        self.measure = measure
        self._seen: set[int] = set()
        self._kept: list[torch.Tensor] = []  # keeps the tensors alive, so that their ids stay unique
        self._of_parameters: dict[int, frozenset[str]] = {}

    def before(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:  # noqa: ARG002
        inputs, parameters = self._sources(args, kwargs)
        return inputs, parameters, _spread_of_input(args) if self.measure and parameters else None

    def after(self, function: Any, args: Any, kwargs: dict[str, Any], result: Any, noted: Any) -> None:
        inputs, parameters, spread_before = noted
        name = operation_name(function)
        results = [args[0]] if name == "setitem" else list(tensors_in(result))
        if not results:
            return
        if not inputs:
            for tensor in results if parameters else ():
                self._kept.append(tensor)
                self._of_parameters[id(tensor)] = parameters
            return
        call = Call(
            name,
            self._place(),
            tuple(dict.fromkeys(inputs)),
            parameters,
            tuple(self._described(argument) for argument in args),
            {key: self._described(argument) for key, argument in kwargs.items()},
            tuple(results[0].shape),
        )
        for source in call.inputs:
            source.consumers.append(call)
        if self.measure and parameters and spread_before is not None:
            for source in call.inputs[:1]:
                source.spread = spread_before
            _measure(call, results[0])
        for tensor in results:
            setattr(tensor, _MARK, call)
        self.calls.append(call)

    def _sources(self, args: Any, kwargs: Any) -> tuple[list[Call], frozenset[str]]:
        """The calls that gave the tensor arguments, and the names of the parameters among them."""
        inputs: list[Call] = []
        parameters: set[str] = set()
        for one in tensors_in((args, list(kwargs.values()))):
            mark = getattr(one, _MARK, None)
            if mark is not None:
                inputs.append(mark)
            elif id(one) in self.names:
                parameters.add(self.names[id(one)])
            elif id(one) in self._of_parameters:
                parameters |= self._of_parameters[id(one)]
            elif one.requires_grad and one.is_leaf:
                self._unregistered(one)
            elif one.requires_grad:
                unknown = Call("unknown", self._place(), shape=tuple(one.shape))
                setattr(one, _MARK, unknown)
                inputs.append(unknown)
        return inputs, frozenset(parameters)

    def _unregistered(self, parameter: torch.Tensor) -> None:
        if id(parameter) not in self._seen:
            self._seen.add(id(parameter))
            self._kept.append(parameter)
            self.unregistered.append((self._place(), tuple(parameter.shape)))

    def _place(self) -> str:
        name, part = self.path[-1] if self.path else ("", None)
        if part is not None and layer_kinds.is_layer(part) and name:
            return f"{name} ({layer_kinds.kind(part)})"
        line = _line()
        where = name or (type(part).__name__ if part is not None else "")
        return f"{where}, {line}" if where and line else where or line

    def _described(self, one: Any) -> Any:
        if isinstance(one, torch.Tensor):
            return TensorArgument(tuple(one.shape), self.names.get(id(one), ""))
        if isinstance(one, (list, tuple)) and not isinstance(one, torch.Size):
            return type(one)(self._described(part) for part in one) if type(one) in (list, tuple) else one
        return one


def _measure(call: Call, result: torch.Tensor) -> None:
    call.spread = _spread(result)
    if not result.is_floating_point() or result.dim() < 2:
        return
    units = result.detach().movedim(1 if result.dim() == 4 and call.function.startswith("conv") else -1, 0)
    call.identical_units = len(units) > 1 and bool((units == units[:1]).all())


def _spread_of_input(args: Any) -> float | None:
    first = next((one for one in tensors_in(args) if hasattr(one, _MARK)), None)
    return None if first is None else _spread(first)


def _spread(tensor: torch.Tensor) -> float | None:
    if not tensor.is_floating_point() or tensor.dim() < 2 or len(tensor) < 2:
        return None
    return float(tensor.detach().float().var(dim=0).mean().sqrt())


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Iterable) and isinstance(value, (list, tuple)):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _line() -> str:
    """The line of code outside torch that made the call, as `net.py:12`."""
    frame = sys._getframe(1)  # noqa: SLF001 (Python's own way to walk up the stack)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_TORCH) and file not in _OURS and not file.startswith("<"):
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
