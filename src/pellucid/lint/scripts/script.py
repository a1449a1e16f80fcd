"""An abstract interpretation of a script: the possible contents of each name, and the events for the rules.

Each name has a set of tags: splits that its content comes from (`test`), loaders (`loader:12`), networks
(`model:Net:12`), softmax outputs. The walk follows statements in order, loops twice (the second pass starts with
the state after the first), both branches of an `if`, and functions at their calls. Imported files are walked at their
import and have their own names. Events that rules look for are recorded on the way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.lint.scripts import naming
from pellucid.lint.scripts.expressions import Expressions
from pellucid.lint.scripts.modules import Module
from pellucid.lint.scripts.source import LOOPS, Function, Source, called, dotted, last, parse
from pellucid.lint.scripts.tags import NOTHING, Event, Tags, splits


@dataclass
class Script:
    """A script and its events.

    Attributes:
        source: the script and its local files as syntax trees.
        events: the distinct events in order.
        loaders: tag of a loader → the call that creates it.
    """

    source: Source
    events: list[Event] = field(default_factory=list)
    loaders: dict[str, ast.Call] = field(default_factory=dict)

    def all(self, kind: str) -> Iterator[Event]:
        """The events of one kind."""
        return (event for event in self.events if event.kind == kind)


def read(path: Path) -> Script:
    """Reads a script or notebook and collects its events.

    Raises:
        MissingDataError: the file does not exist.
        FormatError: the file is not Python.
    """
    source = parse(path)
    walk = _Walk(source)
    walk.block(source.script.tree.body)
    for function in source.script.functions.values():
        if function not in walk.entered:  # not called in these files
            walk.frame(function, {}, owner=_owner(function, source))
    events = list(
        {(event.kind, event.node, event.tags, event.mode, event.learns): event for event in walk.events}.values()
    )
    return Script(source, events, walk.loaders)


def _owner(function: Function, source: Source) -> Tags:
    """Tags of `self` in a method that is not called."""
    for name, node in source.classes.items():
        if function in node.body:
            return frozenset({f"model:{name}:{node.lineno}" if source.is_network(name) else f"object:{name}"})
    return NOTHING


class _Walk(Expressions):
    """Walks through the statements."""

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.count += 1
            if self.count > 20_000:  # endless recursion: stop with the events so far
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, (Function, ast.ClassDef)):
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self._assignment(node)
        elif isinstance(node, LOOPS):
            self._loop(node)
        elif isinstance(node, ast.If):
            self._branches(node)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            self._with(node)
        elif isinstance(node, ast.Try):
            self.block([*node.body, *(one for handler in node.handlers for one in handler.body)])
            self.block([*node.orelse, *node.finalbody])
        elif isinstance(node, ast.Return):
            self._return(node)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.tags(child)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        before = self.no_grad
        for item in node.items:
            self.no_grad |= _stops_gradients(item.context_expr)
            context_tags = self.tags(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, context_tags, item.context_expr)
        self.block(node.body)
        self.no_grad = before

    def _return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        value_tags = self.tags(node.value)
        self.returned = self.returned | value_tags
        several = node.value.elts if isinstance(node.value, ast.Tuple) else []
        self.parts.append([self.tags(one) for one in several])
        if "test" in splits(value_tags) and "trial" in self.names and self.function:
            self.note("choose", node, value_tags)  # the objective of a hyperparameter search

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Walks through the imported files, each once, and takes over the imported names."""
        for one in node.names:
            if one.name == "*":
                for module in self.module.stars:
                    self.names |= self.top_of(module)
            elif (imported := self.module.imports.get(one.asname or one.name)) is not None:
                names_of_module = self.top_of(imported[0])
                if imported[1] is not None and imported[1] in names_of_module:
                    self.names[one.asname or one.name] = names_of_module[imported[1]]

    def top_of(self, module: Module) -> dict[str, Tags]:
        """Tags of the names in a file after it has run."""
        if module not in self.tops:
            self.tops[module] = {}
            saved_state = (self.names, self.top, self.module, self.returned, self.function, self.no_grad, self.loops)
            self.names = self.top = self.tops[module]
            self.module, self.function, self.no_grad, self.loops = module, "", False, []
            self.block(module.tree.body)
            self.names, self.top, self.module, self.returned, self.function, self.no_grad, self.loops = saved_state
        return self.tops[module]

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        if node.value is None:
            return
        value_tags = self.tags(node.value)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            more = self.tags(target) if isinstance(node, ast.AugAssign) else NOTHING
            if _chooses_the_best(target, node.value) and "test" in splits(value_tags):
                self.note("choose", node, value_tags)
            self.bind(target, value_tags | more, node.value)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        iterated = NOTHING if isinstance(node, ast.While) else self.tags(node.iter)
        learns = called(node.body, "backward", self.source, loops=False)
        if learns:
            self.note("training-loop", node, iterated)
        self.loops.append((node, iterated, learns))
        for _ in range(2):
            if isinstance(node, ast.While):
                condition = self.tags(node.test)
                trains = called(node.body, "backward", self.source, loops=True)
                if trains and _is_comparison(node.test) and "test" in splits(condition):
                    self.note("choose", node, condition)
            else:
                self.bind(node.target, iterated, node.iter)
            self.block(node.body)
        self.loops.pop()
        self.block(node.orelse)

    def _branches(self, node: ast.If) -> None:
        if self.module is not self.source.script and _is_for_scripts(node.test):
            self.block(node.orelse)
            return
        condition = self.tags(node.test)
        decided = _is_comparison(node.test) and "test" in splits(condition)
        if decided and (_acts_on_it(node) or (_gives_up(node) and self._within_training())):
            self.note("choose", node, condition)
        if isinstance(node.test, ast.Constant) and not node.test.value:
            self.block(node.orelse)
            return
        names, modes = dict(self.names), dict(self.modes)
        self.block(node.body)
        names_then, modes_then = dict(self.names), dict(self.modes)
        # In place, because functions of the file refer to the same dictionary.
        for mine, before in ((self.names, names), (self.modes, modes)):
            mine.clear()
            mine.update(before)
        self.block(node.orelse)
        for mine, other in ((self.names, names_then), (self.modes, modes_then)):
            for key in other.keys() | mine.keys():
                mine[key] = mine.get(key, NOTHING) | other.get(key, NOTHING)

    def _within_training(self) -> bool:
        """Whether the current statement is in a loop of this function that trains."""
        for loop, *_ in reversed(self.loops):
            if isinstance(loop, Function):
                return False
            if called(loop.body, "backward", self.source, loops=True):
                return True
        return False


def _is_for_scripts(test: ast.expr) -> bool:
    """Whether the test is `__name__ == "__main__"`, which is false in an imported file."""
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and any(isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators))
    )


def _stops_gradients(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last(node.func) in ("no_grad", "inference_mode", "set_grad_enabled")


def _is_comparison(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Compare) and _orders(part) for part in ast.walk(node))


def _orders(node: ast.Compare) -> bool:
    return any(isinstance(operator, (ast.Lt, ast.Gt, ast.LtE, ast.GtE)) for operator in node.ops)


def _acts_on_it(node: ast.If) -> bool:
    """Whether a branch stores the best value, saves the network, or stops."""
    for part in ast.walk(node):
        if isinstance(part, ast.Break):
            return True
        if isinstance(part, (ast.Assign, ast.AugAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(naming.means_best(dotted(target).rpartition(".")[2]) for target in targets):
                return True
        if isinstance(part, ast.Call) and last(part.func) in _SAVING:
            return True
    return False


def _gives_up(node: ast.If) -> bool:
    """Whether a branch returns from the function."""
    return any(isinstance(part, ast.Return) for part in ast.walk(node))


_CHOOSING = {"max", "min", "argmax", "argmin", "nanargmax", "nanargmin", "idxmax", "idxmin", "sorted"}
_SAVING = {"save", "save_checkpoint", "save_model", "state_dict", "deepcopy", "save_pretrained", "save_file"}


def _chooses_the_best(target: ast.expr, value: ast.expr) -> bool:
    """Whether an assignment chooses the best, as `best = max(best, accuracy)` or `is_best = accuracy > best`."""
    if not naming.means_best(dotted(target).rpartition(".")[2]):
        return False
    if _is_comparison(value):
        return True
    while True:
        if isinstance(value, (ast.Subscript, ast.Attribute)):
            value = value.value
        elif not isinstance(value, ast.Call):
            return False
        elif last(value.func) in _CHOOSING:
            return True
        elif last(value.func) in ("int", "float") and value.args:
            value = value.args[0]
        elif last(value.func) == "item":
            value = value.func
        else:
            return False
