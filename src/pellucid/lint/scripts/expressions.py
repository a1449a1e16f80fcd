"""The state of a walk through a script, and the tags of its expressions."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from pellucid.lint.scripts import vocabulary
from pellucid.lint.scripts.modules import Module
from pellucid.lint.scripts.source import Source, dotted, last
from pellucid.lint.scripts.tags import (
    EVALUATION,
    LOG_SOFTMAX,
    NO,
    NOTHING,
    SCALE,
    SOFTMAX,
    TRAINING,
    YES,
    Event,
    Tags,
    models,
    splits,
)


@dataclass
class Scope:
    """The function, or the top level of a file, that the walk is in.

    Attributes:
        module: the file.
        names: the tags of the local names.
        top: the tags of the names at the top level of the file.
        function: the name of the function; empty at the top level.
        no_grad: whether gradients are off.
        loops: the loops and functions around the present statement, with the data that they iterate over, and whether
            they take training steps.
        returned: the tags of all returned values.
        parts: for each `return`, the tags of the elements if it returns a tuple.
    """

    module: Module
    names: dict[str, Tags]
    top: dict[str, Tags]
    function: str = ""
    no_grad: bool = False
    loops: list[tuple[Any, Tags, bool]] = field(default_factory=list)
    returned: Tags = NOTHING
    parts: list[list[Tags]] = field(default_factory=list)


class Expressions:
    """Finds the tags of expressions. Subclasses evaluate calls and walk through statements.

    Attributes:
        source: the script and the files that it imports.
        scope: the function that the walk is in.
        tops: for each file that has run, the tags of its names.
        attributes: the tags of attributes that the script sets, by attribute name alone.
        modes: the modes in which each network may be.
        parts_of: for each call, the tags of the elements if it returns a tuple.
        received_model: the calls with a network among their arguments.
        events: what rules look for, in order.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        names: dict[str, Tags] = {}
        self.scope = Scope(source.script, names, names)
        self.tops: dict[Module, dict[str, Tags]] = {source.script: names}
        self.attributes: dict[str, Tags] = {}
        self.modes: dict[str, Tags] = {}
        self.parts_of: dict[ast.AST, list[Tags]] = {}
        self.received_model: set[ast.AST] = set()
        self.events: list[Event] = []
        self._unknown_mode = frozenset({TRAINING, EVALUATION} if source.uses_eval else {TRAINING})

    def call(self, node: ast.Call) -> Tags:
        """The tags of the result of a call."""
        raise NotImplementedError

    def top_of(self, module: Module) -> dict[str, Tags]:
        """The tags of the names at the top level of a file."""
        raise NotImplementedError

    def note(self, kind: str, node: ast.AST, tags: Tags, mode: Tags = NOTHING, *, learns: bool = False) -> None:
        """Adds an event."""
        self.events.append(Event(kind, node, tags, mode, learns))

    def tags(self, node: ast.AST | None) -> Tags:
        """The tags of an expression."""
        if node is None:
            return NOTHING
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Constant):
            return vocabulary.of_constant(node)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            return self._sequence(node)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            return self._comprehension(node)
        if isinstance(node, ast.Lambda):
            return NOTHING
        children = [self.tags(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        tags_of_children = frozenset().union(*children)
        is_same_value = isinstance(node, (ast.IfExp, ast.Starred, ast.Await, ast.NamedExpr))
        return tags_of_children if is_same_value else tags_of_children - {SOFTMAX, LOG_SOFTMAX, YES, NO}

    def bind(self, target: ast.expr, tags: Tags, value: ast.AST) -> None:
        """Assigns tags to a name, an attribute, a subscript or several of them."""
        if isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, tags, value)
            return
        if isinstance(target, ast.Starred):
            target = target.value
        name = last(target)
        if not splits(tags) and not models(tags) and name and (split := vocabulary.split_of(name)):
            tags |= {split}
        if vocabulary.means_model(name) and not models(tags) and isinstance(value, ast.Call):
            pretrained = last(value.func) in ("load", "from_pretrained")
            is_new = value not in self.received_model
            tags |= {self.new_model(name, value, pretrained=pretrained, is_new=is_new)}
        if isinstance(target, ast.Name):
            names = self.scope.names
            for part in [known for known in names if known.startswith(f"{target.id}[")]:
                del names[part]
            names[target.id] = tags
            names |= {f"{target.id}[{key!r}]": part_tags for key, part_tags in self._elements(value)}
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr] = tags
        elif isinstance(target, ast.Subscript):
            self.bind(target.value, self.tags(target.value) | tags, value)

    def by_name(self, name: str) -> Tags:
        """The tags that a name alone suggests: a network, or data of a split."""
        if vocabulary.means_model(name):
            tag = f"model::{name}"
            self.modes.setdefault(tag, self._unknown_mode)
            return frozenset({tag})
        split = vocabulary.split_of(name)
        return frozenset({split}) if split else NOTHING

    def new_model(self, kind: str, node: ast.Call, *, pretrained: bool = False, is_new: bool = True) -> str:
        """The tag of a network that a call creates; with `is_new` its mode starts again, in training unless loaded."""
        tag = f"model:{kind}:{self.source.line(node)}"
        if is_new or tag not in self.modes:
            self.modes[tag] = self._unknown_mode if pretrained else frozenset({TRAINING})
        return tag

    def _unpack(self, target: ast.Tuple | ast.List, tags: Tags, value: ast.AST) -> None:
        elements = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
        element_tags = self.parts_of.get(value, [])
        for index, element in enumerate(target.elts):
            split = vocabulary.split_of(last(element.value if isinstance(element, ast.Starred) else element))
            if len(elements) == len(target.elts):
                self.bind(element, self.tags(elements[index]), elements[index])
            elif len(element_tags) == len(target.elts):
                self.bind(element, element_tags[index], value)
            else:
                # The parts of the value are unknown, so each name decides which split it is.
                self.bind(element, (tags - splits(tags)) | {split} if split else tags, value)

    def _elements(self, value: ast.AST) -> list[tuple[Any, Tags]]:
        """The elements of a value by constant index or key, as in `loaders["train"]`."""
        if isinstance(value, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
            return [(key, self.tags(item)) for key, item in zip(keys, value.values, strict=True) if key is not None]
        return list(enumerate(self.parts_of.get(value, [])))

    def _subscript(self, node: ast.Subscript) -> Tags:
        """The tags of one element if it is known; otherwise those of the whole."""
        whole_tags, index = self.tags(node.value), node.slice
        if isinstance(index, ast.Constant):
            elements = {f"[{key!r}]": element_tags for key, element_tags in self._elements(node.value)}
            suffix = f"[{index.value!r}]"
            name = f"{dotted(node.value)}{suffix}"
            element = elements.get(suffix, self.scope.names.get(name, self.scope.top.get(name)))
            if element is not None:
                return element
        return whole_tags | splits(self.tags(index))

    def _sequence(self, node: ast.List | ast.Tuple) -> Tags:
        """All tags of the elements, but of softmax layers only a last one."""
        layers = set(vocabulary.RESULTS)
        last_layer = self.tags(node.elts[-1]) & layers if node.elts else NOTHING
        return frozenset().union(*(self.tags(element) - layers for element in node.elts)) | last_layer

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Tags:
        for generator in node.generators:
            self.bind(generator.target, self.tags(generator.iter), generator.iter)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return frozenset().union(*(self.tags(part) for part in parts))

    def _name(self, name: str) -> Tags:
        if name in self.scope.names:
            return self.scope.names[name]
        if name in self.scope.top:
            return self.scope.top[name]
        return self.by_name(name)

    def _attribute(self, node: ast.Attribute) -> Tags:
        module = self.scope.module.module(dotted(node.value))
        if module is not None and node.attr in (module_names := self.top_of(module)):
            return module_names[node.attr]
        owner_tags = self.tags(node.value)
        is_self = dotted(node.value) == "self"
        if node.attr in self.attributes and (is_self or not owner_tags):
            return self.attributes[node.attr]
        split = vocabulary.split_of(node.attr)
        if split:
            return frozenset({split})
        return self.by_name(node.attr) if is_self else owner_tags

    def _operation(self, node: ast.BinOp) -> Tags:
        left, right = self.tags(node.left), self.tags(node.right)
        if isinstance(node.op, (ast.Sub, ast.Div)) and SCALE in right and "test" in splits(left):
            self.note("scale", node, left | right)
        return (left | right) - {SOFTMAX, LOG_SOFTMAX, SCALE}
