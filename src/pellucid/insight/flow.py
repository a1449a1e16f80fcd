"""The computation of a network as a graph: every operation on one picture, and the sources of its inputs.

The operations are watched while they happen (a `TorchFunctionMode`), so that any network will do, whatever its
`forward` decides. What a layer does inside is one node; what a `forward` does between its layers (`+`, `cat`,
`flatten`) are nodes of their own.
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
"""Queries of a tensor, which are no part of the computation."""

_HIDDEN = {
    "contiguous", "to", "float", "type", "type_as", "detach", "clone", "expand", "expand_as", "__getitem__", "view",
    "reshape", "flatten", "unbind", "chunk", "split", "permute", "transpose", "unsqueeze", "squeeze", "dropout",
    "movedim", "unflatten",
}  # fmt: skip
"""Operations that move numbers and change none. They are passed through, and not drawn where a layer follows."""


@dataclass
class Node:
    """An operation, or all the operations of one layer in one run.

    Attributes:
        index: its place in the order in which they ran; the picture is 0.
        name: the layer's, as the network calls it (`activation:2` for its second run); for what is no layer the
            operation's: `add`.
        kind: in words.
        path: the modules that it runs within, from the outside: ((name, class, which run), ...), without the layer.
        layer: the layer; None if the node is no layer.
        shape: of its output, without the batch.
        sources: the indices of the nodes whose numbers it takes.
        field: its receptive field; None if that is the whole picture or unknown.
        moves: whether it only moves numbers, and changes none.
        made: the gradient functions that it left, in torch's words (`ConvolutionBackward0`).
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
        """How many numbers the layer has."""
        return 0 if self.layer is None else sum(one.numel() for one in self.layer.parameters())


@dataclass
class Flow:
    """The graph: its nodes in the order in which they ran, the picture first; and the outputs, (1, K)."""

    nodes: list[Node]
    output: torch.Tensor


def flow(module: nn.Module, batch: torch.Tensor, *, gradients: bool = False) -> Flow:
    """Runs one picture, (1, C, H, W), through a network in evaluation mode, and notes what happens to it.

    With `gradients`, the outputs can be differentiated afterwards, and each node says which gradient functions it left.
    """
    watching = _Watching(batch)
    parts = {name or type(part).__name__: part for name, part in module.named_modules()}
    mode = contextlib.nullcontext() if gradients else torch.no_grad()
    with hooked(parts, before=watching.enter, after=lambda *_: watching.leave()), mode, watching:
        output = module(batch)
    return Flow(_without_loose_ends(watching), output)


def receptive_fields(module: nn.Module, shape: tuple[int, int, int]) -> dict[str, Field]:
    """The receptive field of every layer that has one, by its name."""
    with torch.random.fork_rng(devices=[]):
        computed = flow(module, torch.zeros(1, *shape))
    return {node.name: node.field for node in computed.nodes if node.layer is not None and node.field is not None}


class _Watching(OperationWatcher):
    """Notes each operation, and from which tensors it takes its numbers."""

    def __init__(self, picture: torch.Tensor) -> None:
        super().__init__()
        start = Node(0, "picture", "input", shape=tuple(picture.shape[1:]), field=Field.of_a_pixel(), output=picture)
        self.nodes = [start]
        self.origin: dict[int, tuple[int, Field | None]] = {id(picture): (0, start.field)}
        self.alive: list[torch.Tensor] = [picture]  # an id is that of one tensor for as long as it lives
        self.stack: list[tuple[nn.Module, str, int, Node | None]] = []
        self.runs: dict[str, int] = {}

    def enter(self, name: str, part: nn.Module, _: Any) -> None:
        """A module begins to run; one that is a layer becomes a node when it does its first operation."""
        within = next((node for *_, node in self.stack if node is not None), None)
        self.runs[name] = self.runs.get(name, 0) + 1
        node = None
        if within is None and layer_kinds.is_layer(part):
            again = f":{self.runs[name]}" if self.runs[name] > 1 else ""
            node = Node(-1, name + again, layer_kinds.kind(part), self._path(), part)
        self.stack.append((part, name, self.runs[name], node))

    def leave(self) -> None:
        """The module that began last has ended."""
        self.stack.pop()

    def _path(self) -> tuple[tuple[str, str, int], ...]:
        return tuple((name, type(part).__name__, run) for part, name, run, _ in self.stack)

    def before(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:  # noqa: ARG002
        inputs = [tensor for tensor in tensors_in((args, kwargs)) if id(tensor) in self.origin]
        # An operation in place gives its input a new origin, so the old ones are noted here.
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
        came: list[tuple[int, Field | None]],
        shapes: list[tuple[int, ...]],
        outputs: list[torch.Tensor],
    ) -> None:
        layer = next((node for *_, node in self.stack if node is not None), None)
        node = layer if layer is not None else Node(-1, _plain(operation), _plain(operation), self._path())
        if node.index < 0:
            node.index = len(self.nodes)
            # To lay the maps out as one row of numbers is worth a line; other rearrangements are not.
            laid_out = len(outputs[0].shape) == 2 and any(len(shape) == 4 for shape in shapes)
            node.moves = layer is None and _plain(operation) in _HIDDEN and not laid_out
            self.nodes.append(node)
        for source, _ in came:
            if source != node.index and source not in node.sources:
                node.sources.append(source)
        node.shape = tuple(outputs[0].shape[1:])
        node.output = outputs[0]
        node.field = receptive_field.after(
            operation, args, kwargs, [one for _, one in came], shapes, tuple(outputs[0].shape)
        )
        made = outputs[0].grad_fn
        if made is not None and made.name() not in node.made:
            node.made.append(made.name())
        for one in outputs:
            self.origin[id(one)] = (node.index, node.field)
            self.alive.append(one)


def _without_loose_ends(watching: _Watching) -> list[Node]:
    """The nodes that lead to the output, renumbered; queries of a size, for example, lead nowhere."""
    nodes = watching.nodes
    needed = {len(nodes) - 1}
    for node in reversed(nodes):
        if node.index in needed:
            needed |= set(node.sources)
    kept = [node for node in nodes if node.index in needed or node.index == 0]
    number = {node.index: new_index for new_index, node in enumerate(kept)}
    for node in kept:
        node.index, node.sources = number[node.index], sorted(number[one] for one in node.sources)
    return kept


def _plain(operation: str) -> str:
    """`__add__`, `add_` and `iadd` are all `add`."""
    name = operation.strip("_")
    name = {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "isub": "sub", "truediv": "div"}.get(name, name)
    return "__getitem__" if name == "getitem" else name
