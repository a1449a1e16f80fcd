"""The layers of a network in the order in which they run, measured on one black picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from pellucid.inference import layer_kinds
from pellucid.inference.hooks import first_tensor, hooked
from pellucid.inference.multiply_adds import counter, multiply_adds


@dataclass(frozen=True)
class Layer:
    """A layer in one of its runs.

    Attributes:
        name: as the network calls it; `activation:2` when the same one runs for the second time.
        module: the layer itself.
        kind: in words.
        input_shape: without the batch; None if the input was no tensor.
        output_shape: without the batch; None if the output was no tensor, or the layer never ran.
        parameters: number of its parameters that no earlier layer shares.
        multiply_adds: for one picture; None if unknown.
        number: its number among the convolutions, from 1; None for other layers.
        pieces: number of pieces of one picture that it handles one by one, as attention within windows does.
        last: whether its channels come last because those of the layers around it do.
    """

    name: str
    module: nn.Module
    kind: str
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int | None
    number: int | None = None
    pieces: int = 1
    last: bool = False

    @property
    def spatial(self) -> bool:
        """Whether it gives maps: (C, H, W)."""
        return self._three and not self.channels_last

    @property
    def channels_last(self) -> bool:
        """Whether it gives maps with their channels last, (H, W, C): it works on the last of three directions."""
        return self._three and (self.last or type(self.module) in (nn.Linear, nn.LayerNorm))

    @property
    def _three(self) -> bool:
        return self.output_shape is not None and len(self.output_shape) == 3 and self.pieces == 1


@dataclass(frozen=True)
class Trace:
    """The layers in the order in which they ran; then what holds parameters and is no layer, or did not run.

    Attributes:
        layers: what ran.
        others: what holds parameters without having run as a layer.
        between: multiply-adds of convolutions and products of matrices that no layer did, but a `forward` itself.
        left_out: number of layers that are not listed: those that change nothing, and those without parameters
            that did not run.
    """

    layers: tuple[Layer, ...]
    others: tuple[Layer, ...]
    between: int
    left_out: int

    @property
    def convolutions(self) -> tuple[Layer, ...]:
        """The convolutions, each once."""
        return tuple(layer for layer in self.layers if layer.number is not None and ":" not in layer.name)


def trace(module: nn.Module, shape: tuple[int, int, int]) -> Trace:
    """Runs one black picture of `shape` (C, H, W) through a network in evaluation mode, and notes its layers."""
    modules = _layers(module)
    runs: list[tuple[str, nn.Module, tuple[Any, ...], Any]] = []

    def keep(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        runs.append((name, layer, inputs, first_tensor(output)))

    with hooked(modules, after=keep), torch.no_grad(), counter() as counted:
        module(torch.zeros(1, *shape))
    known: set[int] = set()
    times: Counter[str] = Counter()
    layers: list[Layer] = []
    by_layers, number = 0, 0
    for name, layer, inputs, output in runs:
        if isinstance(layer, nn.Identity):
            continue
        products, seen_by_torch = (
            multiply_adds(layer, inputs, output) if isinstance(output, torch.Tensor) else (None, False)
        )
        by_layers += (products or 0) if seen_by_torch else 0
        times[name] += 1
        number += layer_kinds.is_convolution(layer) and times[name] == 1
        again = f":{times[name]}" if times[name] > 1 else ""
        layers.append(
            Layer(
                name=f"{name}{again}",
                module=layer,
                kind=layer_kinds.kind(layer),
                input_shape=_shape(inputs[0] if inputs else None),
                output_shape=_shape(output),
                parameters=_new_parameters(layer, known),
                multiply_adds=products,
                number=number if layer_kinds.is_convolution(layer) and times[name] == 1 else None,
                pieces=len(output) if isinstance(output, torch.Tensor) and output.ndim else 1,
            )
        )
    layers = _with_their_neighbours(layers)
    others = _others(module, modules, times, known)
    unlisted = [name for name in modules if name not in times and name not in {other.name for other in others}]
    return Trace(tuple(layers), tuple(others), max(counted() - by_layers, 0), len(unlisted))


def _with_their_neighbours(layers: list[Layer]) -> list[Layer]:
    """The layers, where those without weights have their channels last if all others that give this shape have."""
    last = {layer.output_shape for layer in layers if layer.channels_last}
    first = {layer.output_shape for layer in layers if layer_kinds.is_convolution(layer.module)}
    return [
        replace(layer, last=True)
        if layer.output_shape in last - first and next(layer.module.parameters(), None) is None
        else layer
        for layer in layers
    ]


def _layers(module: nn.Module) -> dict[str, nn.Module]:
    """The modules that count as one layer, by name; a network that is a single one is called as its class."""
    modules: dict[str, nn.Module] = {}
    for name, part in module.named_modules():
        within = any(name.startswith(f"{above}.") for above in modules if above)
        if layer_kinds.is_layer(part) and not within:
            modules[name or type(part).__name__] = part
    return modules


def _others(module: nn.Module, modules: dict[str, nn.Module], ran: Counter[str], known: set[int]) -> list[Layer]:
    """What has parameters that no layer has that ran."""
    others = []
    for path, part in module.named_modules():
        name = path or type(part).__name__
        if name in modules and name not in ran:
            count, what = _new_parameters(part, known), f"{layer_kinds.kind(part)}, not run"
        else:
            count, what = _new_parameters(part, known, recurse=False), f"{type(part).__name__}, by itself"
        if count:
            others.append(Layer(name, part, what, None, None, count, None))
    return others


def _new_parameters(module: nn.Module, known: set[int], *, recurse: bool = True) -> int:
    """How many parameters a module has that are not known yet; they are from then on."""
    new = {id(one): one.numel() for one in module.parameters(recurse) if id(one) not in known}
    known.update(new)
    return sum(new.values())


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return tuple(tensor.shape[1:]) if isinstance(tensor, torch.Tensor) else None
