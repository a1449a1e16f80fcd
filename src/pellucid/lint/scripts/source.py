"""A training script and its local imports as syntax trees. They are read, never run."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.errors import FormatError, MissingDataError
from pellucid.lint.scripts.modules import NOT_PYTHON, Function, Module, Reading
from pellucid.records import json_text

LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True)
class Source:
    """A script and the local files that it imports.

    Attributes:
        modules: the script, then the local files that were read.
        functions: functions and methods by name; of several with one name, that of the script or of the file read
            first.
        classes: classes by name, in the same way.
        cells: for a notebook, the cell number and the line in the cell of each line, both from 1.
        left_out: sentences about imported files that were not read.
    """

    modules: tuple[Module, ...]
    functions: dict[str, Function]
    classes: dict[str, ast.ClassDef]
    cells: tuple[tuple[int, int], ...] = ()
    left_out: tuple[str, ...] = ()
    _homes: dict[ast.AST, Module] = field(default_factory=dict, compare=False, repr=False)
    _callers: dict[tuple[str, bool], frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def script(self) -> Module:
        """The script itself."""
        return self.modules[0]

    def walk(self) -> Iterator[ast.AST]:
        """All nodes, those of the script first."""
        return (node for module in self.modules for node in ast.walk(module.tree))

    def home(self, node: ast.AST) -> Module:
        """The file of a node."""
        return self._homes.get(node, self.script)

    def line(self, node: ast.AST) -> str:
        """A unique name of a node's line: `12`, or `12@net.py` in an imported file."""
        home = self.home(node)
        line = getattr(node, "lineno", 1)
        return f"{line}" if home is self.script else f"{line}@{home.name}"

    @property
    def learns(self) -> bool:
        """Whether anything trains with torch."""
        return self.mentions("backward") and self.uses_torch

    @property
    def uses_torch(self) -> bool:
        """Whether any file imports torch, torchvision or timm."""
        names = [alias.name for node in self.walk() if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in self.walk() if isinstance(node, ast.ImportFrom)]
        return any(name.split(".")[0] in ("torch", "torchvision", "timm") for name in names)

    @property
    def uses_eval(self) -> bool:
        """Whether it calls a method `eval`, which puts a network into evaluation mode."""
        return any(isinstance(node, ast.Attribute) and node.attr == "eval" for node in self.walk())

    def location(self, node: ast.AST) -> str:
        """The location of a node: `train.py:12`, `lesson.ipynb, cell 3, line 4`, or `models/net.py:8` if imported."""
        line, home = getattr(node, "lineno", 1), self.home(node)
        if self.cells and home is self.script:
            cell, within = self.cells[line - 1]
            return f"{home.name}, cell {cell}, line {within}"
        return f"{home.name}:{line}"

    def method(self, kind: str, name: str) -> Function | None:
        """A method of a class in these files; None if it is not defined."""
        body = self.classes[kind].body if kind in self.classes else []
        return next((part for part in body if isinstance(part, Function) and part.name == name), None)

    def is_network(self, kind: str) -> bool:
        """Whether the class is a network that these files define."""
        if kind not in self.classes:
            return False
        bases = {last(base) for base in self.classes[kind].bases}
        return "Module" in bases or self.method(kind, "forward") is not None

    def callers(self, name: str, *, loops: bool) -> frozenset[str]:
        """The functions of these files that call a function of that name, directly or indirectly."""
        key = (name, loops)
        if key not in self._callers:
            calls = {key: _calls(function.body, loops=loops) for key, function in self.functions.items()}
            callers: set[str] = set()
            while more := {caller for caller, called in calls.items() if called & {name, *callers}} - callers:
                callers |= more
            self._callers[key] = frozenset(callers)
        return self._callers[key]

    def mentions(self, *names: str, part: ast.AST | None = None) -> bool:
        """Whether a part, or the functions and classes that it uses, mentions one of these names."""
        methods = {id(one) for kind in self.classes.values() for one in kind.body}
        known = {**self.functions, **self.classes} if part is not None else {}
        waiting: list[ast.AST] = [part] if part is not None else [module.tree for module in self.modules]
        seen: set[ast.AST] = set()
        while waiting:
            if (top := waiting.pop()) in seen:
                continue
            seen.add(top)
            mentioned = {last(node) for node in ast.walk(top) if isinstance(node, (ast.Name, ast.Attribute))}
            if mentioned & set(names):
                return True
            waiting += [known[name] for name in mentioned if name in known and id(known[name]) not in methods]
        return False

    def maker(self, model: str) -> ast.AST | None:
        """The node with the layers of a network: its class or the `Sequential` call; None if unknown."""
        _, kind, line = model.split(":", 2)
        if kind in self.classes:
            return self.classes[kind]
        for node in self.walk():
            if isinstance(node, ast.Call) and last(node.func) == kind == "Sequential" and self.line(node) == line:
                plain = not any(isinstance(one, ast.Starred) for one in node.args)
                return node if plain else self.home(node).tree
        return None


def parse(path: Path) -> Source:
    """Reads a script or notebook, and the local files that it imports.

    Raises:
        MissingDataError: the file does not exist.
        FormatError: the script is not Python. Imported files that are not Python are only noted.
    """
    if not path.is_file():
        raise MissingDataError(f"There is no file {path}. To lint a network in a file, give {path.name}:Class.")
    cells: tuple[tuple[int, int], ...] = ()
    try:
        if path.suffix == ".ipynb":
            text, cells = _notebook(path)
        else:
            with tokenize.open(path) as file:
                text = file.read()
        tree = ast.parse(text)
    except NOT_PYTHON as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        reason = getattr(error, "msg", None) or str(error)
        raise FormatError(
            f"{path} cannot be read as Python{where}: {reason}. Give a training script or notebook, or "
            f"a network in a file as file.py:Class."
        ) from error
    script = Module(path.name, path.resolve(), tree)
    reading = Reading(path.resolve().parent)
    reading.follow(script)
    modules = tuple(reading.modules.values())
    functions: dict[str, Function] = {}
    classes: dict[str, ast.ClassDef] = {}
    for module in modules:
        functions = module.functions | functions
        classes = module.classes | classes
    homes = {node: module for module in modules[1:] for node in ast.walk(module.tree)}
    return Source(modules, functions, classes, cells, tuple(reading.left_out), homes)


def _notebook(path: Path) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The code of a notebook, with (cell, line) of each line. Magic lines become `pass`."""
    content = json_text.parse(path.read_text(encoding="utf-8"))
    cells = content.get("cells") if isinstance(content, dict) else None
    if type(cells) is not list:
        raise SyntaxError("it is not a notebook, because it has no cells")
    lines: list[str] = []
    line_ranges: list[tuple[int, int]] = []
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    for number, cell in enumerate(code, 1):
        text = cell.get("source", "")
        written = ("".join(text) if isinstance(text, list) else str(text)).splitlines()
        if written and written[0].lstrip().startswith("%%"):
            continue  # a cell magic: another language, or timing
        for within, line in enumerate(written, 1):
            bare = line.lstrip()
            lines.append(f"{line[: len(line) - len(bare)]}pass" if bare.startswith(("%", "!", "?")) else line)
            line_ranges.append((number, within))
    return "\n".join(lines), tuple(line_ranges) or ((1, 1),)


def dotted(node: ast.AST) -> str:
    """The dotted name of a node, as `self.loader`; empty if it is not a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def last(node: ast.AST) -> str:
    """The last part of a name: `softmax` of `F.softmax`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def within(nodes: list[ast.stmt], *, loops: bool = True) -> Iterator[ast.AST]:
    """All nodes in some statements, without the contents of loops unless `loops`."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop(0)
        yield node
        if loops or not isinstance(node, LOOPS):
            waiting += ast.iter_child_nodes(node)


def called(nodes: list[ast.stmt], name: str, source: Source, *, loops: bool) -> bool:
    """Whether statements call a function or method of that name, directly or through functions of these files."""
    return bool(_calls(nodes, loops=loops) & {name, *source.callers(name, loops=loops)})


def _calls(nodes: list[ast.stmt], *, loops: bool) -> set[str]:
    return {last(node.func) for node in within(nodes, loops=loops) if isinstance(node, ast.Call)}
