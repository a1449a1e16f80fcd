"""Walks through a script as it would run, without running it, and notes the events that rules look for.

Each name has a set of tags: the splits that its data come from (`test`), loaders (`loader:12`), networks
(`model:Net:12`), softmax outputs. Statements are taken in order: loops twice, because the second round starts with what
the first leaves; both branches of an `if`; functions when they are called; imported files when they are imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.lint.scripts import vocabulary
from pellucid.lint.scripts.calls import Calls
from pellucid.lint.scripts.expressions import Scope
from pellucid.lint.scripts.modules import Module
from pellucid.lint.scripts.source import LOOPS, Function, Source, called, dotted, last, parse
from pellucid.lint.scripts.tags import NOTHING, Event, Tags, splits

_MAX_STATEMENTS = 20_000
_CHOOSING = {"max", "min", "argmax", "argmin", "nanargmax", "nanargmin", "idxmax", "idxmin", "sorted"}
_SAVING = {"save", "save_checkpoint", "save_model", "state_dict", "deepcopy", "save_pretrained", "save_file"}


@dataclass
class Script:
    """A script and its events.

    Attributes:
        source: its syntax tree, and those of the files that it imports.
        events: what rules look for, in order, without duplicates.
        loaders: the calls that create loaders, by tag.
    """

    source: Source
    events: list[Event] = field(default_factory=list)
    loaders: dict[str, ast.Call] = field(default_factory=dict)

    def all(self, kind: str) -> Iterator[Event]:
        """The events of a kind."""
        return (event for event in self.events if event.kind == kind)


def read(path: Path) -> Script:
    """Reads a script or a notebook.

    Raises:
        MissingDataError: the file does not exist.
        FormatError: the file is not Python.
    """
    source = parse(path)
    walk = _Walk(source)
    walk.block(source.script.tree.body)
    for function in source.script.functions.values():
        if function not in walk.visited:  # the script itself never calls it
            walk.frame(function, {}, owner=_owner(function, source))
    events = list({(one.kind, one.node, one.tags, one.mode, one.learns): one for one in walk.events}.values())
    return Script(source, events, walk.loaders)


def _owner(function: Function, source: Source) -> Tags:
    """The tags of `self` in a method that the script never calls."""
    for name, node in source.classes.items():
        if function in node.body:
            return frozenset({f"model:{name}:{node.lineno}" if source.is_network(name) else f"object:{name}"})
    return NOTHING


class _Walk(Calls):
    """Walks through statements."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.count = 0

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.count += 1
            if self.count > _MAX_STATEMENTS:  # functions that call each other many times; the events so far suffice
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
            self.block([*node.body, *(statement for handler in node.handlers for statement in handler.body)])
            self.block([*node.orelse, *node.finalbody])
        elif isinstance(node, ast.Return):
            self._return(node)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.tags(child)

    def top_of(self, module: Module) -> dict[str, Tags]:
        """The tags of the names at the top level of a file, which runs when it is first needed."""
        if module not in self.tops:
            names = self.tops[module] = {}
            outer, self.scope = self.scope, Scope(module, names, names)
            self.block(module.tree.body)
            self.scope = outer
        return self.tops[module]

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Runs the imported files, and binds the imported names."""
        module, names = self.scope.module, self.scope.names
        for alias in node.names:
            if alias.name == "*":
                for star in module.stars:
                    names |= self.top_of(star)
            elif (imported := module.imports.get(alias.asname or alias.name)) is not None:
                source, original_name = imported
                top = self.top_of(source)
                if original_name is not None and original_name in top:
                    names[alias.asname or alias.name] = top[original_name]

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        if node.value is None:
            return
        value_tags = self.tags(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            old_tags = self.tags(target) if isinstance(node, ast.AugAssign) else NOTHING
            if _chooses_the_best(target, node.value) and "test" in splits(value_tags):
                self.note("choose", node, value_tags)
            self.bind(target, value_tags | old_tags, node.value)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        data = NOTHING if isinstance(node, ast.While) else self.tags(node.iter)
        learns = called(node.body, "backward", self.source, loops=False)
        if learns:
            self.note("training-loop", node, data)
        loops = self.scope.loops
        loops.append((node, data, learns))
        for _ in range(2):
            if isinstance(node, ast.While):
                condition = self.tags(node.test)
                trains = called(node.body, "backward", self.source, loops=True)
                if trains and _has_inequality(node.test) and "test" in splits(condition):
                    self.note("choose", node, condition)
            else:
                self.bind(node.target, data, node.iter)
            self.block(node.body)
        loops.pop()
        self.block(node.orelse)

    def _branches(self, node: ast.If) -> None:
        if self.scope.module is not self.source.script and _is_main_guard(node.test):
            self.block(node.orelse)
            return
        condition = self.tags(node.test)
        decides_by_test = _has_inequality(node.test) and "test" in splits(condition)
        if decides_by_test and (_keeps_or_stops(node) or (_returns(node) and self._is_in_training_loop())):
            self.note("choose", node, condition)
        if isinstance(node.test, ast.Constant) and not node.test.value:
            self.block(node.orelse)
            return
        names, modes = self.scope.names, self.modes
        names_before, modes_before = dict(names), dict(modes)
        self.block(node.body)
        names_after_body, modes_after_body = dict(names), dict(modes)
        # The dictionaries are changed in place, because functions of a file share that of its top level.
        for current, before in ((names, names_before), (modes, modes_before)):
            current.clear()
            current.update(before)
        self.block(node.orelse)
        for current, after_body in ((names, names_after_body), (modes, modes_after_body)):
            for key in after_body.keys() | current.keys():
                current[key] = current.get(key, NOTHING) | after_body.get(key, NOTHING)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        no_grad = self.scope.no_grad
        for item in node.items:
            self.scope.no_grad |= _turns_gradients_off(item.context_expr)
            context_tags = self.tags(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, context_tags, item.context_expr)
        self.block(node.body)
        self.scope.no_grad = no_grad

    def _return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        value_tags = self.tags(node.value)
        self.scope.returned |= value_tags
        elements = node.value.elts if isinstance(node.value, ast.Tuple) else []
        self.scope.parts.append([self.tags(element) for element in elements])
        if "test" in splits(value_tags) and "trial" in self.scope.names and self.scope.function:
            self.note("choose", node, value_tags)  # the objective of a search over settings

    def _is_in_training_loop(self) -> bool:
        """Whether a loop around the present statement, in the same function, trains."""
        for loop, *_ in reversed(self.scope.loops):
            if isinstance(loop, Function):
                return False
            if called(loop.body, "backward", self.source, loops=True):
                return True
        return False


def _is_main_guard(test: ast.expr) -> bool:
    """`__name__ == "__main__"`, which is false in an imported file."""
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and any(isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators))
    )


def _turns_gradients_off(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last(node.func) in ("no_grad", "inference_mode", "set_grad_enabled")


def _has_inequality(node: ast.expr) -> bool:
    """Whether an expression compares by <, >, <= or >=."""
    comparisons = (part for part in ast.walk(node) if isinstance(part, ast.Compare))
    inequalities = (ast.Lt, ast.Gt, ast.LtE, ast.GtE)
    return any(isinstance(operator, inequalities) for comparison in comparisons for operator in comparison.ops)


def _keeps_or_stops(node: ast.If) -> bool:
    """Whether a branch records the best result, saves the network, or breaks the loop."""
    for part in ast.walk(node):
        if isinstance(part, ast.Break):
            return True
        if isinstance(part, (ast.Assign, ast.AugAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(vocabulary.means_best(dotted(target).rpartition(".")[2]) for target in targets):
                return True
        if isinstance(part, ast.Call) and last(part.func) in _SAVING:
            return True
    return False


def _returns(node: ast.If) -> bool:
    return any(isinstance(part, ast.Return) for part in ast.walk(node))


def _chooses_the_best(target: ast.expr, value: ast.expr) -> bool:
    """`best = max(best, accuracy)`, `best_epoch = int(np.argmax(accuracies))`, `is_best = accuracy > best`."""
    if not vocabulary.means_best(dotted(target).rpartition(".")[2]):
        return False
    if _has_inequality(value):
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
