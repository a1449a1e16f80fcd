"""The computation of a network as a graph: forward, and backward for one loss, as a figure.

Small networks are shown operation by operation. In deep ones the blocks that repeat are one box each, alike ones side
by side are one box with their number, and what such a block does is drawn once beside them.
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

MANY = 36
"""A graph of more operations than this is drawn by its blocks."""

_LEAST, _MOST = 3, 60
"""Most operations of a block whose inside is drawn."""

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
    """The operations of a network, and which takes its numbers from which: a figure of kind `graph`.

    Args:
        model: the model.
        backward: show how one loss (cross-entropy) is differentiated: for each operation the gradient function, and how
            large the gradients of its output and of its parameters are.
        picture: for the gradients: the picture whose loss it is, see `pellucid.insight.selection.pick`; grey noise
            where it is left out. Where its class is not known, the loss is that of the predicted one.
        network: for a model of the user's own network; see `pellucid.build`.

    Raises:
        NetworkError: the gradients are not numbers.
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
        for most in (
            _MOST,
            len(nodes),
        ):  # where blocks of a size to be drawn are too many, as in a DenseNet, larger ones
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
    parameters = sum(one.numel() for one in module.parameters())
    direction = f"backward from the loss for '{loss_of}'" if backward else "forward"
    title = f"{name_of(model)}, {direction}: {len(nodes) - 1:,} operations, {parameters:,} parameters"
    return Figure("graph", "graph", data, title=title, note=_note(data))


def _note(data: dict[str, Any]) -> str:
    notes = []
    if data["details"]:
        notes.append("A dark frame is a block of operations; its inside is drawn at the right.")
    elif any(box["block"] for box in data["boxes"]):
        notes.append("A dark frame is a block of operations, too many to be drawn.")
    if data["backward"]:
        of = "grey noise, as no picture was given" if data["picture"] == "noise" else data["picture"]
        notes.append(f"Gradients of the loss for {of}: their root mean square.")
    return " ".join(notes)


def _gradients(nodes: Sequence[Node], output: torch.Tensor, target: int) -> tuple[dict[int, dict[str, Any]], float]:
    """For each node the size of the gradients of its output and of its parameters; and the loss."""
    loss = torch.nn.functional.cross_entropy(output, torch.tensor([target]))
    nodes_with_output = [
        (node.index, "output", node.output) for node in nodes if node.output is not None and node.output.requires_grad
    ]
    for node in nodes:
        nodes_with_output += (
            [(node.index, "parameters", one) for one in node.layer.parameters()] if node.layer is not None else []
        )
    tensors = [one for *_, one in nodes_with_output if one.requires_grad]
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True) if tensors else ()
    sums: dict[int, dict[str, list[torch.Tensor]]] = {}
    for (index, what, _), gradient in zip(
        [one for one in nodes_with_output if one[2].requires_grad], gradients, strict=True
    ):
        if gradient is not None:
            sums.setdefault(index, {}).setdefault(what, []).append(gradient.flatten())
    result: dict[int, dict[str, Any]] = {}
    for node in nodes:
        known = sums.get(node.index, {})
        sizes = {what: torch.cat(parts).double().square().mean().sqrt().item() for what, parts in known.items()}
        if not all(torch.isfinite(torch.tensor(list(sizes.values())))):
            raise NetworkError(
                f"The gradients at '{node.name}' are infinite or not numbers: the weights were spoilt while the "
                f"network learned. Train again with a lower learning rate."
            )
        result[node.index] = {"functions": node.made, **{what: rounded(size) for what, size in sizes.items()}}
    return result, loss.item()


def _without_moves(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that compute; what only moves numbers, or is switched off, is passed through."""
    came: dict[int, list[int]] = {}
    kept = []
    for node in nodes:
        sources = sorted({far for near in node.sources for far in came[near]})
        off = isinstance(node.layer, torch.nn.Dropout) and node.layer.p == 0
        if (node.moves or off) and node.index != len(nodes) - 1:
            came[node.index] = sources
            continue
        came[node.index] = [node.index]
        kept.append(node)
        node.sources = sources
    return kept


def _blocks(nodes: Sequence[Node], most: int) -> set[str]:
    """The names of the classes whose instances are boxes: the outermost that repeat, and are not too large."""
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
        and max(sizes[one] for one in which) <= most
        and sum(sizes[one] for one in which) >= _LEAST * len(which)
    }


def _boxes(nodes: Sequence[Node], blocks: set[str]) -> list[_Box]:
    """The nodes in boxes, in the order in which they ran."""
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
    merged = _merged(boxes, alike=lambda box: (box.signature, _sizes(box)))
    if len(merged) > MANY:
        merged = _merged(boxes, alike=lambda box: box.signature)
    _connect(merged)
    return merged


def _merged(boxes: Sequence[_Box], alike: Any) -> list[_Box]:
    """Blocks that follow each other and are alike, as one. Boxes are runs in time, so no circle can come of it."""
    result: list[_Box] = []
    for box in boxes:
        before = result[-1] if result else None
        if before is not None and box.signature and before.group == box.group and alike(before) == alike(box):
            before.count += 1
            before.last = box.title
            before.nodes = [*before.nodes, *box.nodes]
            continue
        result.append(_Box(list(box.nodes), box.title, box.kind, box.group, box.signature, last=box.title))
    return result


def _connect(boxes: Sequence[_Box]) -> None:
    home = {node.index: index for index, box in enumerate(boxes) for node in box.nodes}
    for index, box in enumerate(boxes):
        box.sources = {home[source] for node in box.nodes for source in node.sources} - {index}


def _signature(nodes: Sequence[Node]) -> tuple[Any, ...]:
    """The structure of a block without its sizes: the kinds of its operations and their connections."""
    numbers = {node.index: number for number, node in enumerate(nodes)}
    return tuple(
        (re.sub(r"[\d×]+|, stride .*", "", node.kind), tuple(sorted(numbers.get(one, -1) for one in node.sources)))
        for node in nodes
    )


def _sizes(box: _Box) -> tuple[Any, ...]:
    """The sizes in one of its blocks: of the output of each step, and of its kernels."""
    return tuple((node.kind, node.shape) for node in box.nodes[: len(box.nodes) // box.count])


def _edges(boxes: Iterable[_Box]) -> list[list[int]]:
    return [[source, target] for target, box in enumerate(boxes) for source in sorted(box.sources)]


def _plain(box: _Box, gradients: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A box as plain values."""
    alone = len(box.nodes) == 1
    last = box.nodes[-1]
    plain: dict[str, Any] = {
        "title": box.title if box.count == 1 else _range(box.title, box.last),
        "kind": box.kind if alone or box.count == 1 else f"{box.count} × {box.kind}",
        "shape": layer_kinds.times(last.shape),
        "parameters": sum(node.parameters for node in box.nodes if ":" not in node.name),
        "group": box.group,
        "block": not alone,
        "field": None if last.field is None else layer_kinds.times(last.field.reach),
    }
    if gradients:
        sized = [gradients[node.index].get("parameters") for node in box.nodes]
        weights = [size for size in sized if size is not None]
        plain["gradient"] = {
            "function": ", ".join(gradients[last.index]["functions"][-1:]) if alone else "",
            "output": gradients[last.index].get("output"),
            "parameters": max(weights) if weights else None,
        }
    return plain


def _range(first: str, last: str) -> str:
    """`layer1.1` and `layer1.2` are `layer1.1 to 2`."""
    shared = first.rpartition(".")[0]
    return (
        f"{first} to {last.removeprefix(f'{shared}.')}"
        if shared and last.startswith(f"{shared}.")
        else f"{first} to {last}"
    )


def _details(boxes: Sequence[_Box], gradients: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """What each kind of block does, drawn for the first one of it; at most four kinds, the commonest."""
    kept: dict[tuple[Any, ...], list[_Box]] = {}
    for box in boxes:
        if box.signature and len(box.nodes) <= _MOST * box.count:
            kept.setdefault(box.signature, []).append(box)
    common = sorted(kept.values(), key=lambda alike: -sum(box.count for box in alike))[:4]
    details = []
    for alike in sorted(common, key=lambda alike: alike[0].nodes[0].index):
        first = alike[0]
        nodes = first.nodes[: len(first.nodes) // first.count]
        numbers = {node.index: number + 1 for number, node in enumerate(nodes)}
        drawn = [_Box([node], _short(node.name, first.title), node.kind, "") for node in nodes]
        entry = {
            "title": "what came before",
            "kind": "input",
            "shape": "",
            "parameters": 0,
            "group": "",
            "block": False,
            "field": None,
        }
        count = sum(box.count for box in alike)
        joined = {(numbers.get(source, 0), numbers[node.index]) for node in nodes for source in node.sources}
        details.append(
            {
                "title": f"{first.kind}, as in {first.title}" + (f" ({count} of this form)" if count > 1 else ""),
                "boxes": [entry, *(_plain(box, gradients) for box in drawn)],
                "edges": [list(edge) for edge in sorted(joined)],
            }
        )
    return details


def _short(name: str, block: str) -> str:
    return name.removeprefix(f"{block}.")
