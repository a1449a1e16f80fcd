"""The layers of a network in order of execution, traced with one black picture."""

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
    """One run of a layer.

    Attributes:
        name: its name in the network; `activation:2` for the second run of `activation`.
        module: the layer itself.
        kind: its kind, in words.
        input_shape: shape without the batch dimension; None if the input is not a tensor.
        output_shape: shape without the batch dimension; None if the output is not a tensor or the layer did not run.
        parameters: number of its parameters that no earlier layer shares.
        multiply_adds: multiply-adds for one picture; None if unknown.
        number: its number among the convolutions, from 1; None for other layers.
        pieces: number of pieces into which it divides a picture, as windowed attention does.
        last: whether its channels come last because those of its neighbours do.
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
        """Whether its output is feature maps, (C, H, W)."""
        return self._three and not self.channels_last

    @property
    def channels_last(self) -> bool:
        """Whether its output is channels-last feature maps, (H, W, C)."""
        return self._three and (self.last or type(self.module) in (nn.Linear, nn.LayerNorm))

    @property
    def _three(self) -> bool:
        return self.output_shape is not None and len(self.output_shape) == 3 and self.pieces == 1


@dataclass(frozen=True)
class Trace:
    """The layers of a network.

    Attributes:
        layers: the layers that ran, in order of execution.
        others: modules with parameters that did not run, or are not layers.
        between: multiply-adds of convolutions and matrix products in a `forward`, outside all layers.
        left_out: number of omitted layers: those that change nothing, and those without parameters that did not run.
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
    """Runs one black picture of `shape` (C, H, W) through a network in evaluation mode and records its layers."""
    modules = _layers(module)
    runs: list[tuple[str, nn.Module, tuple[Any, ...], Any]] = []

    def keep(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        runs.append((name, layer, inputs, first_tensor(output)))

    with hooked(modules, after=keep), torch.no_grad(), counter() as total_multiply_adds:
        module(torch.zeros(1, *shape))
    known: set[int] = set()
    times: Counter[str] = Counter()
    layers: list[Layer] = []
    by_layers, number = 0, 0
    for name, layer, inputs, output in runs:
        if isinstance(layer, nn.Identity):
            continue
        layer_multiply_adds, counted_by_torch = (
            multiply_adds(layer, inputs, output) if isinstance(output, torch.Tensor) else (None, False)
        )
        by_layers += (layer_multiply_adds or 0) if counted_by_torch else 0
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
                multiply_adds=layer_multiply_adds,
                number=number if layer_kinds.is_convolution(layer) and times[name] == 1 else None,
                pieces=len(output) if isinstance(output, torch.Tensor) and output.ndim else 1,
            )
        )
    layers = _with_channel_order(layers)
    others = _others(module, modules, times, known)
    unlisted = [name for name in modules if name not in times and name not in {other.name for other in others}]
    return Trace(tuple(layers), tuple(others), max(total_multiply_adds() - by_layers, 0), len(unlisted))


def _with_channel_order(layers: list[Layer]) -> list[Layer]:
    """The layers; those without weights are channels-last if all weighted layers with the same output shape are."""
    last = {layer.output_shape for layer in layers if layer.channels_last}
    first = {layer.output_shape for layer in layers if layer_kinds.is_convolution(layer.module)}
    return [
        replace(layer, last=True)
        if layer.output_shape in last - first and next(layer.module.parameters(), None) is None
        else layer
        for layer in layers
    ]


def _layers(module: nn.Module) -> dict[str, nn.Module]:
    """The modules that count as one layer, by name. A network that is a single layer is named after its class."""
    modules: dict[str, nn.Module] = {}
    for name, part in module.named_modules():
        inside_a_layer = any(name.startswith(f"{layer}.") for layer in modules if layer)
        if layer_kinds.is_layer(part) and not inside_a_layer:
            modules[name or type(part).__name__] = part
    return modules


def _others(module: nn.Module, modules: dict[str, nn.Module], ran: Counter[str], known: set[int]) -> list[Layer]:
    """The modules with parameters that belong to no layer that ran."""
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
    """Number of parameters of a module that are not in `known`; adds their ids to it."""
    new = {id(weight): weight.numel() for weight in module.parameters(recurse) if id(weight) not in known}
    known.update(new)
    return sum(new.values())


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return tuple(tensor.shape[1:]) if isinstance(tensor, torch.Tensor) else None
