"""A training script as text and as a tree, with the files beside it that it imports: read, never run."""

from __future__ import annotations

import ast
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.errors import FormatError, MissingDataError
from pellucid.lint.scripts.modules import NOT_PYTHON, Function, Module, Reading

LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True)
class Source:
    """What stands in a script, and in the files that it imports.

    Attributes:
        modules: the script, and then the files beside it that were read.
        functions: those that are defined, methods too, by name; where a name has several, that of the script, or of
            the file that was read first.
        classes: the same of classes.
        cells: for a notebook, of each line the number of its cell and the line within, both from 1.
        left_out: sentences on what is imported and was not read.
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
        """Everything, the script first."""
        return (node for module in self.modules for node in ast.walk(module.tree))

    def home(self, node: ast.AST) -> Module:
        """The file in which something stands."""
        return self._homes.get(node, self.script)

    def line(self, node: ast.AST) -> str:
        """What tells a line from those of other files: `12`, or `12@net.py` of a file that is imported."""
        home = self.home(node)
        line = getattr(node, "lineno", 1)
        return f"{line}" if home is self.script else f"{line}@{home.name}"

    @property
    def learns(self) -> bool:
        """Whether anything in it learns by torch."""
        return self.mentions("backward") and self.uses_torch

    @property
    def uses_torch(self) -> bool:
        """Whether it imports torch, or anything of it."""
        names = [one.name for node in self.walk() if isinstance(node, ast.Import) for one in node.names]
        names += [node.module or "" for node in self.walk() if isinstance(node, ast.ImportFrom)]
        return any(name.split(".")[0] in ("torch", "torchvision", "timm") for name in names)

    def place(self, node: ast.AST) -> str:
        """`train.py:12`, or `lesson.ipynb, cell 3, line 4`; of a file that is imported `models/net.py:8`."""
        line, home = getattr(node, "lineno", 1), self.home(node)
        if self.cells and home is self.script:
            cell, within = self.cells[line - 1]
            return f"{home.name}, cell {cell}, line {within}"
        return f"{home.name}:{line}"

    def method(self, kind: str, name: str) -> Function | None:
        """A method that a class of these files defines."""
        body = self.classes[kind].body if kind in self.classes else []
        return next((one for one in body if isinstance(one, Function) and one.name == name), None)

    def is_network(self, kind: str) -> bool:
        """Whether a class of these files is a network."""
        if kind not in self.classes:
            return False
        bases = {last(base) for base in self.classes[kind].bases}
        return "Module" in bases or self.method(kind, "forward") is not None

    def callers(self, name: str, *, loops: bool) -> frozenset[str]:
        """The functions of these files that call one of that name, themselves or through each other."""
        key = (name, loops)
        if key not in self._callers:
            calls = {one: _calls(function.body, loops=loops) for one, function in self.functions.items()}
            callers: set[str] = set()
            while more := {caller for caller, called in calls.items() if called & {name, *callers}} - callers:
                callers |= more
            self._callers[key] = frozenset(callers)
        return self._callers[key]

    def mentions(self, *names: str, part: ast.AST | None = None) -> bool:
        """Whether one of these names stands in a part or in what it calls on, also as the last part of another."""
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
        """Where the layers of a network stand: its class, or the call of `Sequential`; None for what is not known."""
        _, kind, line = model.split(":", 2)
        if kind in self.classes:
            return self.classes[kind]
        for node in self.walk():
            if isinstance(node, ast.Call) and last(node.func) == kind == "Sequential" and self.line(node) == line:
                plain = not any(isinstance(one, ast.Starred) for one in node.args)
                return node if plain else self.home(node).tree
        return None


def parse(path: Path) -> Source:
    """Reads a script or a notebook, and the files beside it that it imports.

    Raises:
        MissingDataError: there is no such file.
        FormatError: the script is not Python. Of a file that is imported it is only said.
    """
    if not path.is_file():
        raise MissingDataError(f"There is no file {path} to read. A network in it is named {path.name}:Class.")
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
            f"{path} cannot be read as Python{where}: {reason}. Expected is a training script or notebook; a network "
            f"in a file is named file.py:Class."
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
    """The code of a notebook in one piece, and where each line comes from. Its magic lines become `pass`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = content.get("cells") if isinstance(content, dict) else None
    if type(cells) is not list:
        raise SyntaxError("it is no notebook, for it has no cells")
    lines: list[str] = []
    line_ranges: list[tuple[int, int]] = []
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    for number, cell in enumerate(code, 1):
        text = cell.get("source", "")
        written = ("".join(text) if isinstance(text, list) else str(text)).splitlines()
        if written and written[0].lstrip().startswith("%%"):
            continue  # the whole cell is for another language, or for a magic that times it
        for within, line in enumerate(written, 1):
            bare = line.lstrip()
            lines.append(f"{line[: len(line) - len(bare)]}pass" if bare.startswith(("%", "!", "?")) else line)
            line_ranges.append((number, within))
    return "\n".join(lines), tuple(line_ranges) or ((1, 1),)


def dotted(node: ast.AST) -> str:
    """`self.loader` of such a node; empty for what is no name."""
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
    """Everything in some statements; without what stands in loops where these are not wanted."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop(0)
        yield node
        if loops or not isinstance(node, LOOPS):
            waiting += ast.iter_child_nodes(node)


def called(nodes: list[ast.stmt], name: str, source: Source, *, loops: bool) -> bool:
    """Whether statements call a function or method of that name, themselves or in functions of these files."""
    return bool(_calls(nodes, loops=loops) & {name, *source.callers(name, loops=loops)})


def _calls(nodes: list[ast.stmt], *, loops: bool) -> set[str]:
    return {last(node.func) for node in within(nodes, loops=loops) if isinstance(node, ast.Call)}
