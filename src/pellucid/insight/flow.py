"""The computation graph of a network: every operation on one picture, and where its inputs come from.

A `TorchFunctionMode` records the operations as they run, so it works for any network, whatever its `forward` does. All
operations inside one layer form one node; operations between layers (`+`, `cat`, `flatten`) are nodes of their own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import torch
from torch import nn

from pellucid.inference import layer_kinds
from pellucid.inference.hooks import OperationWatcher, hooked, tensors_in
from pellucid.insight import receptive_field
from pellucid.insight.receptive_field import Field

_NO_OPERATIONS = {
    "__get__", "__set__", "size", "dim", "numel", "is_floating_point", "is_complex", "stride", "storage_offset",
    "data_ptr", "requires_grad_", "register_hook", "is_contiguous", "__len__", "__bool__", "item", "tolist",
}  # fmt: skip
"""Queries of a tensor, which are not part of the computation."""

_HIDDEN = {
    "contiguous", "to", "float", "type", "type_as", "detach", "clone", "expand", "expand_as", "__getitem__", "view",
    "reshape", "flatten", "unbind", "chunk", "split", "permute", "transpose", "unsqueeze", "squeeze", "dropout",
    "movedim", "unflatten",
}  # fmt: skip
"""Operations that move values without changing them. The graph does not draw them."""


@dataclass
class Node:
    """An operation, or all the operations of one layer in one run.

    Attributes:
        index: position in the order of execution; the input picture is 0.
        name: the name of the layer in the network (`activation:2` for its second run), or of the operation (`add`).
        kind: the kind of the layer or operation, in words.
        path: the modules around it, outermost first: ((name, class, run number), ...), without the layer itself.
        layer: the layer; None if the node is not a layer.
        shape: the shape of its output, without the batch dimension.
        sources: the indices of the nodes that feed it.
        field: its receptive field; None if that is the whole picture or unknown.
        moves: whether it only moves values, without changing them.
        made: the names of its gradient functions in torch (`ConvolutionBackward0`).
        output: its output.
    """

    index: int
    name: str
    kind: str
    path: tuple[tuple[str, str, int], ...] = ()
    layer: nn.Module | None = None
    shape: tuple[int, ...] = ()
    sources: list[int] = default(default_factory=list)
    field: Field | None = None
    moves: bool = False
    made: list[str] = default(default_factory=list)
    output: torch.Tensor | None = None

    @property
    def parameters(self) -> int:
        """Number of parameters of the layer."""
        return 0 if self.layer is None else sum(parameter.numel() for parameter in self.layer.parameters())


@dataclass
class Flow:
    """The graph: its nodes in the order of execution, the input picture first; and the network's output, (1, K)."""

    nodes: list[Node]
    output: torch.Tensor


def flow(module: nn.Module, batch: torch.Tensor, *, gradients: bool = False) -> Flow:
    """Runs one picture, (1, C, H, W), through a network in evaluation mode and records its operations.

    With `gradients`, the output can be differentiated afterwards, and each node lists its gradient functions.
    """
    watching = _Watching(batch)
    parts = {name or type(part).__name__: part for name, part in module.named_modules()}
    mode = contextlib.nullcontext() if gradients else torch.no_grad()
    with hooked(parts, before=watching.enter, after=lambda *_: watching.leave()), mode, watching:
        output = module(batch)
    return Flow(_without_loose_ends(watching), output)


def receptive_fields(module: nn.Module, shape: tuple[int, int, int]) -> dict[str, Field]:
    """The receptive field of every layer that has one, by layer name."""
    with torch.random.fork_rng(devices=[]):
        computed = flow(module, torch.zeros(1, *shape))
    return {node.name: node.field for node in computed.nodes if node.layer is not None and node.field is not None}


class _Watching(OperationWatcher):
    """Records each operation and the tensors that it reads."""

    def __init__(self, picture: torch.Tensor) -> None:
        super().__init__()
        start = Node(0, "picture", "input", shape=tuple(picture.shape[1:]), field=Field.of_a_pixel(), output=picture)
        self.nodes = [start]
        self.origin: dict[int, tuple[int, Field | None]] = {id(picture): (0, start.field)}
        self.alive: list[torch.Tensor] = [picture]  # keeps the tensors alive, so that their ids stay unique
        self.stack: list[tuple[nn.Module, str, int, Node | None]] = []
        self.runs: dict[str, int] = {}

    def enter(self, name: str, part: nn.Module, _: Any) -> None:
        """Called when a module starts to run. A layer becomes a node at its first operation."""
        within = next((node for *_, node in self.stack if node is not None), None)
        self.runs[name] = self.runs.get(name, 0) + 1
        node = None
        if within is None and layer_kinds.is_layer(part):
            again = f":{self.runs[name]}" if self.runs[name] > 1 else ""
            node = Node(-1, name + again, layer_kinds.kind(part), self._path(), part)
        self.stack.append((part, name, self.runs[name], node))

    def leave(self) -> None:
        """Called when the innermost running module ends."""
        self.stack.pop()

    def _path(self) -> tuple[tuple[str, str, int], ...]:
        return tuple((name, type(part).__name__, run) for part, name, run, _ in self.stack)

    def before(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:  # noqa: ARG002
        inputs = [tensor for tensor in tensors_in((args, kwargs)) if id(tensor) in self.origin]
        # An in-place operation gives its input a new origin, so the old origins are recorded here.
        return [self.origin[id(tensor)] for tensor in inputs], [tuple(tensor.shape) for tensor in inputs]

    def after(self, function: Any, args: Any, kwargs: dict[str, Any], result: Any, noted: Any) -> None:
        origins, shapes = noted
        operation = getattr(function, "__name__", str(function))
        if not origins or operation in _NO_OPERATIONS:
            return
        outputs = list(tensors_in(result))
        if outputs:
            self._note(operation, args, kwargs, origins, shapes, outputs)

    def _note(
        self,
        operation: str,
        args: Any,
        kwargs: Any,
        origins: list[tuple[int, Field | None]],
        shapes: list[tuple[int, ...]],
        outputs: list[torch.Tensor],
    ) -> None:
        layer = next((node for *_, node in self.stack if node is not None), None)
        node = layer if layer is not None else Node(-1, _plain(operation), _plain(operation), self._path())
        if node.index < 0:
            node.index = len(self.nodes)
            # Flattening the feature maps into a vector is worth drawing; other rearrangements are not.
            flattens = len(outputs[0].shape) == 2 and any(len(shape) == 4 for shape in shapes)
            node.moves = layer is None and _plain(operation) in _HIDDEN and not flattens
            self.nodes.append(node)
        for source, _ in origins:
            if source != node.index and source not in node.sources:
                node.sources.append(source)
        node.shape = tuple(outputs[0].shape[1:])
        node.output = outputs[0]
        node.field = receptive_field.after(
            operation, args, kwargs, [field for _, field in origins], shapes, tuple(outputs[0].shape)
        )
        gradient_function = outputs[0].grad_fn
        if gradient_function is not None and gradient_function.name() not in node.made:
            node.made.append(gradient_function.name())
        for tensor in outputs:
            self.origin[id(tensor)] = (node.index, node.field)
            self.alive.append(tensor)


def _without_loose_ends(watching: _Watching) -> list[Node]:
    """The nodes that lead to the output, renumbered. Size queries, for example, lead nowhere."""
    nodes = watching.nodes
    needed = {len(nodes) - 1}
    for node in reversed(nodes):
        if node.index in needed:
            needed |= set(node.sources)
    kept = [node for node in nodes if node.index in needed or node.index == 0]
    number = {node.index: new_index for new_index, node in enumerate(kept)}
    for node in kept:
        node.index, node.sources = number[node.index], sorted(number[source] for source in node.sources)
    return kept


def _plain(operation: str) -> str:
    """The plain name of an operation: `add` for `__add__`, `add_` and `iadd`."""
    name = operation.strip("_")
    name = {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "isub": "sub", "truediv": "div"}.get(name, name)
    return "__getitem__" if name == "getitem" else name
