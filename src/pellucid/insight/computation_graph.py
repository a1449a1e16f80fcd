"""The computation graph of a network as a figure: forward, and backward from one loss.

Small networks are drawn operation by operation. In deep networks each repeated block is one box, equal blocks in a row
share one box with their count, and the inside of each kind of block is drawn once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pellucid.data import preprocessing as preparing
from pellucid.data.thumbnails import rounded
from pellucid.errors import NetworkError
from pellucid.inference import layer_kinds
from pellucid.inference.building import build
from pellucid.insight.flow import Node, flow
from pellucid.insight.layer_summary import name_of
from pellucid.insight.selection import pick
from pellucid.records import Figure, Model
from pellucid.records.names import counted

MANY = 36
"""A graph with more operations than this is drawn as blocks."""

_LEAST, _MOST = 3, 60
"""Fewest mean operations of a block, and most operations of a block whose inside is drawn."""

_CONTAINERS = {"Sequential", "ModuleList", "ModuleDict"}


@dataclass
class _Box:
    """One box of the drawing: an operation, a block of operations, or several equal blocks."""

    nodes: list[Node]
    title: str
    kind: str
    group: str
    signature: tuple[Any, ...] = ()
    count: int = 1
    sources: set[int] = field(default_factory=set)
    last: str = ""


def graph(model: Model, *, backward: bool = False, picture: Any = None, network: Any = None) -> Figure:
    """The operations of a network and their connections: a figure of kind `graph`.

    Args:
        model: the model.
        backward: also show the gradients of one cross-entropy loss: the gradient function of each operation, and the
            root mean square of the gradients of its output and of its parameters.
        picture: the picture for the gradients, see `pellucid.insight.selection.pick`; None uses grey noise. Without a
            known label, the loss is that of the predicted class.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        NetworkError: a gradient is infinite or NaN.
    """
    module = build(model, network)
    specification = model.specification
    split, name = pick(picture, specification) if picture is not None else (None, "")
    if split is not None:
        pixels = preparing.normalise(
            torch.from_numpy(np.asarray(preparing.prepare(split, specification.preprocessing))),
            specification.preprocessing,
        )
    else:
        pixels = torch.rand(1, *specification.preprocessing.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    computed = flow(module, pixels, gradients=backward)
    gradients: dict[int, dict[str, Any]] = {}
    loss_of, loss = "", None
    if backward:
        known = split is not None and split.labels is not None and split.classes[int(split.labels[0])] in model.classes
        target = (
            model.classes.index(split.classes[int(split.labels[0])])
            if known and split is not None and split.labels is not None
            else int(computed.output.argmax())
        )
        gradients, loss = _gradients(computed.nodes, computed.output, target)
        loss_of = model.classes[target]
    nodes = _without_moves(computed.nodes)
    boxes = _boxes(nodes, set())
    if len(nodes) > MANY:
        # If blocks that are small enough to draw are too many, as in a DenseNet, use larger ones.
        for most in (_MOST, len(nodes)):
            boxes = _boxes(nodes, _blocks(nodes, most))
            if len(boxes) <= MANY:
                break
    details = _details(boxes, gradients)
    data = {
        "network": name_of(model),
        "backward": backward,
        "loss": rounded(loss) if loss is not None else None,
        "loss_of": loss_of,
        "picture": name or ("noise" if backward else ""),
        "boxes": [_plain(box, gradients) for box in boxes],
        "edges": _edges(boxes),
        "details": details,
    }
    parameters = sum(parameter.numel() for parameter in module.parameters())
    direction = f"backward from the loss for '{loss_of}'" if backward else "forward"
    title = f"{name_of(model)}, {direction}: {counted(len(nodes) - 1, 'operation')}, {counted(parameters, 'parameter')}"
    return Figure("graph", "graph", data, title=title, note=_note(data))


def _note(data: dict[str, Any]) -> str:
    notes = []
    if data["details"]:
        notes.append("A dark frame is a block of operations; its inside is drawn at the right.")
    elif any(box["block"] for box in data["boxes"]):
        notes.append("A dark frame is a block of operations; it has too many to draw.")
    if data["backward"]:
        of = "grey noise, as no picture was given" if data["picture"] == "noise" else data["picture"]
        notes.append(f"Root mean square of the gradients of the loss for {of}.")
    return " ".join(notes)


def _gradients(nodes: Sequence[Node], output: torch.Tensor, target: int) -> tuple[dict[int, dict[str, Any]], float]:
    """The root mean square gradients of each node's output and parameters, by node index; and the loss."""
    loss = torch.nn.functional.cross_entropy(output, torch.tensor([target]))
    nodes_with_output = [
        (node.index, "output", node.output) for node in nodes if node.output is not None and node.output.requires_grad
    ]
    for node in nodes:
        nodes_with_output += (
            [(node.index, "parameters", tensor) for tensor in node.layer.parameters()] if node.layer is not None else []
        )
    tensors = [tensor for *_, tensor in nodes_with_output if tensor.requires_grad]
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True) if tensors else ()
    sums: dict[int, dict[str, list[torch.Tensor]]] = {}
    for (index, what, _), gradient in zip(
        [entry for entry in nodes_with_output if entry[2].requires_grad], gradients, strict=True
    ):
        if gradient is not None:
            sums.setdefault(index, {}).setdefault(what, []).append(gradient.flatten())
    result: dict[int, dict[str, Any]] = {}
    for node in nodes:
        known = sums.get(node.index, {})
        sizes = {what: torch.cat(parts).double().square().mean().sqrt().item() for what, parts in known.items()}
        if not all(torch.isfinite(torch.tensor(list(sizes.values())))):
            raise NetworkError(
                f"The gradients at '{node.name}' are infinite or NaN: training diverged. Train again with a lower "
                f"learning rate."
            )
        result[node.index] = {"functions": node.made, **{what: rounded(size) for what, size in sizes.items()}}
    return result, loss.item()


def _without_moves(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that change values; nodes that only move values, and dropout with p = 0, are bypassed."""
    origins: dict[int, list[int]] = {}
    kept = []
    for node in nodes:
        sources = sorted({far for near in node.sources for far in origins[near]})
        off = isinstance(node.layer, torch.nn.Dropout) and node.layer.p == 0
        if (node.moves or off) and node.index != len(nodes) - 1:
            origins[node.index] = sources
            continue
        origins[node.index] = [node.index]
        kept.append(node)
        node.sources = sources
    return kept


def _blocks(nodes: Sequence[Node], most: int) -> set[str]:
    """The class names of modules to draw as one box: those that repeat and have at most `most` operations each."""
    instances: dict[str, set[tuple[str, int]]] = {}
    sizes: Counter[tuple[str, int]] = Counter()
    for node in nodes:
        for name, kind, run in node.path[1:]:
            instances.setdefault(kind, set()).add((name, run))
            sizes[name, run] += 1
    return {
        kind
        for kind, which in instances.items()
        if len(which) > 1
        and kind not in _CONTAINERS
        and max(sizes[instance] for instance in which) <= most
        and sum(sizes[instance] for instance in which) >= _LEAST * len(which)
    }


def _boxes(nodes: Sequence[Node], blocks: set[str]) -> list[_Box]:
    """The nodes grouped into boxes, in the order in which they run."""
    boxes: list[_Box] = []
    current: tuple[str, int] | None = None
    for node in nodes:
        block = next(((name, kind, run) for name, kind, run in node.path if kind in blocks), None)
        group = node.path[1][0] if len(node.path) > 1 else ""
        if block is None:
            boxes.append(_Box([node], node.name, node.kind, group))
            current = None
        elif (block[0], block[2]) == current:
            boxes[-1].nodes.append(node)
        else:
            boxes.append(_Box([node], block[0], block[1], group if group != block[0] else ""))
            current = (block[0], block[2])
    for box in boxes:
        if len(box.nodes) > 1:
            box.signature = _signature(box.nodes)
    merged = _merged(boxes, key=lambda box: (box.signature, _sizes(box)))
    if len(merged) > MANY:
        merged = _merged(boxes, key=lambda box: box.signature)
    _connect(merged)
    return merged


def _merged(boxes: Sequence[_Box], key: Any) -> list[_Box]:
    """Joins consecutive blocks with equal keys. Boxes are consecutive in time, so this creates no cycle."""
    result: list[_Box] = []
    for box in boxes:
        before = result[-1] if result else None
        if before is not None and box.signature and before.group == box.group and key(before) == key(box):
            before.count += 1
            before.last = box.title
            before.nodes = [*before.nodes, *box.nodes]
            continue
        result.append(_Box(list(box.nodes), box.title, box.kind, box.group, box.signature, last=box.title))
    return result


def _connect(boxes: Sequence[_Box]) -> None:
    box_index = {node.index: index for index, box in enumerate(boxes) for node in box.nodes}
    for index, box in enumerate(boxes):
        box.sources = {box_index[source] for node in box.nodes for source in node.sources} - {index}


def _signature(nodes: Sequence[Node]) -> tuple[Any, ...]:
    """The structure of a block without its sizes: its kinds of operations and their connections."""
    numbers = {node.index: number for number, node in enumerate(nodes)}
    return tuple(
        (
            re.sub(r"[\d×]+|, stride .*", "", node.kind),
            tuple(sorted(numbers.get(source, -1) for source in node.sources)),
        )
        for node in nodes
    )


def _sizes(box: _Box) -> tuple[Any, ...]:
    """The kind and output shape of each operation in one block of the box."""
    return tuple((node.kind, node.shape) for node in box.nodes[: len(box.nodes) // box.count])


def _edges(boxes: Iterable[_Box]) -> list[list[int]]:
    return [[source, target] for target, box in enumerate(boxes) for source in sorted(box.sources)]


def _plain(box: _Box, gradients: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A box as plain values."""
    single = len(box.nodes) == 1
    last = box.nodes[-1]
    plain: dict[str, Any] = {
        "title": box.title if box.count == 1 else _range(box.title, box.last),
        "kind": box.kind if single or box.count == 1 else f"{box.count} × {box.kind}",
        "shape": layer_kinds.times(last.shape),
        "parameters": sum(node.parameters for node in box.nodes if ":" not in node.name),
        "group": box.group,
        "block": not single,
        "field": None if last.field is None else layer_kinds.times(last.field.reach),
    }
    if gradients:
        sizes = [gradients[node.index].get("parameters") for node in box.nodes]
        weights = [size for size in sizes if size is not None]
        plain["gradient"] = {
            "function": ", ".join(gradients[last.index]["functions"][-1:]) if single else "",
            "output": gradients[last.index].get("output"),
            "parameters": max(weights) if weights else None,
        }
    return plain


def _range(first: str, last: str) -> str:
    """`layer1.1 to 2` for `layer1.1` and `layer1.2`."""
    shared = first.rpartition(".")[0]
    return (
        f"{first} to {last.removeprefix(f'{shared}.')}"
        if shared and last.startswith(f"{shared}.")
        else f"{first} to {last}"
    )


def _details(boxes: Sequence[_Box], gradients: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The inside of the first block of each kind; at most four kinds, the most frequent ones."""
    boxes_by_signature: dict[tuple[Any, ...], list[_Box]] = {}
    for box in boxes:
        if box.signature and len(box.nodes) <= _MOST * box.count:
            boxes_by_signature.setdefault(box.signature, []).append(box)
    common = sorted(boxes_by_signature.values(), key=lambda equal: -sum(box.count for box in equal))[:4]
    details = []
    for equal_boxes in sorted(common, key=lambda equal: equal[0].nodes[0].index):
        first = equal_boxes[0]
        nodes = first.nodes[: len(first.nodes) // first.count]
        numbers = {node.index: number + 1 for number, node in enumerate(nodes)}
        drawn = [_Box([node], _short(node.name, first.title), node.kind, "") for node in nodes]
        entry = {
            "title": "previous operations",
            "kind": "input",
            "shape": "",
            "parameters": 0,
            "group": "",
            "block": False,
            "field": None,
        }
        count = sum(box.count for box in equal_boxes)
        edges = {(numbers.get(source, 0), numbers[node.index]) for node in nodes for source in node.sources}
        details.append(
            {
                "title": f"{first.kind}, as in {first.title}" + (f" ({count} of this structure)" if count > 1 else ""),
                "boxes": [entry, *(_plain(box, gradients) for box in drawn)],
                "edges": [list(edge) for edge in sorted(edges)],
            }
        )
    return details


def _short(name: str, block: str) -> str:
    return name.removeprefix(f"{block}.")
