"""Finds and reads the local files that a script imports, and never runs them. Skipped files are named.

Python looks for a module first in the folder of the script (its `sys.path[0]`), so imports of files and packages there
are followed. Relative imports are followed too, inside that folder.
"""

from __future__ import annotations

import ast
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

FILES, DEPTH, SIZE = 40, 6, 1_000_000
"""Largest number of files, of import steps from the script, and of bytes per file."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, UnicodeError)
"""The exceptions that a file raises if it is not Python."""


@dataclass(eq=False)
class Module:
    """A Python file as a syntax tree.

    Attributes:
        name: its path relative to the script's folder: `models/net.py`.
        path: its absolute path.
        tree: its syntax tree.
        functions: its functions and methods by name.
        classes: its classes by name.
        imports: imported name → its module, and its name there (None if it is the module itself). `import models.net`
            gives the dotted name.
        stars: the modules of its star imports.
    """

    name: str
    path: Path
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, tuple[Module, str | None]] = field(default_factory=dict)
    stars: list[Module] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = list(ast.walk(self.tree))
        self.functions = {node.name: node for node in nodes if isinstance(node, Function)}
        self.classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}

    def defines(self, name: str) -> tuple[Module, str] | None:
        """The module that defines a function or class with this name in this file, and its name there.

        The name may be dotted, as `net.Net`. None if no file that was read defines it.
        """
        visited: set[tuple[int, str]] = set()
        here: Module = self
        while (id(here), name) not in visited:
            visited.add((id(here), name))
            if name in here.functions or name in here.classes:
                return here, name
            before, _, after = name.rpartition(".")
            if name in here.imports and here.imports[name][1] is not None:
                here, name = here.imports[name][0], here.imports[name][1] or ""
            elif before and (module := here.module(before)) is not None:
                here, name = module, after
            else:
                definitions = [module.defines(name) for module in here.stars if module is not self]
                return next((definition for definition in definitions if definition is not None), None)
        return None

    def module(self, name: str) -> Module | None:
        """The module that a name refers to in this file; None if it is not a module."""
        imported = self.imports.get(name)
        return imported[0] if imported is not None and imported[1] is None else None


@dataclass
class Reading:
    """The local files of a script.

    Attributes:
        folder: folder of the script.
        modules: path → file, the script first.
        left_out: sentences about skipped files.
    """

    folder: Path
    modules: dict[Path, Module] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def follow(self, script: Module) -> None:
        """Reads the imports of a script recursively, nearest first and each file once."""
        self.modules[script.path] = script
        pending = [(script, 0)]
        while pending:
            module, depth = pending.pop(0)
            for node in ast.walk(module.tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    pending += [(new_module, depth + 1) for new_module in self._statement(module, node, depth + 1)]

    def _statement(self, module: Module, node: ast.Import | ast.ImportFrom, depth: int) -> list[Module]:
        """Registers the names of an import statement, and returns the new modules."""
        before = set(self.modules)
        if isinstance(node, ast.Import):
            for alias in node.names:
                target = self._at(self.folder, alias.name, depth)
                if target is not None:
                    module.imports[alias.asname or alias.name] = (target, None)
        else:
            self._import_from(module, node, depth)
        return [module for path, module in self.modules.items() if path not in before]

    def _import_from(self, module: Module, node: ast.ImportFrom, depth: int) -> None:
        base = self.folder
        if node.level:
            base = module.path.parent
            for _ in range(node.level - 1):
                base = base.parent
        source = self._at(base, node.module, depth) if node.module else None
        for alias in node.names:
            name = alias.asname or alias.name
            dotted = f"{node.module}.{alias.name}" if node.module else alias.name
            inner = self._at(base, dotted, depth) if alias.name != "*" else None
            if inner is not None and not (source is not None and _binds(source, alias.name)):
                module.imports[name] = (inner, None)
            elif source is not None and alias.name == "*":
                module.stars.append(source)
            elif source is not None:
                module.imports[name] = (source, alias.name)

    def _at(self, base: Path, dotted: str, depth: int) -> Module | None:
        """The module of a dotted name below a folder, read if it is new; None if it cannot be read."""
        file = self._find(base, dotted)
        if file is None:
            return None
        return self.modules[file] if file in self.modules else self._read(file, depth)

    def _find(self, base: Path, dotted: str) -> Path | None:
        """The file of a module; None if it is outside the script's folder."""
        stem = base.joinpath(*dotted.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file() and path.resolve().is_relative_to(self.folder):
                return path.resolve()
        return None

    def _read(self, path: Path, depth: int) -> Module | None:
        name = path.relative_to(self.folder).as_posix()
        reason = ""
        if depth > DEPTH:
            reason = f"it is more than {DEPTH} imports away from the script"
        elif len(self.modules) > FILES:
            reason = f"{FILES} files were already read"
        elif path.stat().st_size > SIZE:
            reason = f"it is larger than {SIZE // 1000:,} kB"
        else:
            try:
                with tokenize.open(path) as file:
                    made = Module(name, path, ast.parse(file.read()))
            except NOT_PYTHON as error:
                reason = f"it cannot be read as Python ({why(error)})"
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                self.modules[path] = made
                return made
        note = f"'{name}' is imported but was not read: {reason}."
        if note not in self.left_out:
            self.left_out.append(note)
        return None


def _binds(module: Module, name: str) -> bool:
    """Whether a package's own file defines a name, so that the name is not a module of the package."""
    if name in module.functions or name in module.classes:
        return True
    targets = [
        target
        for node in module.tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def why(error: Exception) -> str:
    """The reason of an error with its line, as `line 3: invalid syntax`."""
    line = getattr(error, "lineno", None)
    reason = getattr(error, "msg", None) or str(error)
    return f"line {line}: {reason}" if line else reason
