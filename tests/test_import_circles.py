"""No modules import each other in a circle, not even by an import inside a function."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"


def modules(source: Path) -> dict[str, Path]:
    """Every module below a folder, by its dotted name."""
    names = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(source: Path) -> dict[str, set[str]]:
    """For every module the modules that it imports, anywhere in its code but for type checking alone."""
    known = modules(source)
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & set(known)
            elif isinstance(node, ast.ImportFrom) and node.module in known:
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= full & set(known) or {str(node.module)}
        graph[name].discard(name)
    return graph


def nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes of a tree, without those below `if TYPE_CHECKING:`."""
    collected = [tree]
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            collected += nodes(child)
    return collected


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(imports(SOURCE)).prepare()
    except CycleError as error:
        pytest.fail("these modules import each other: " + " → ".join(error.args[1]))


def test_a_circle_would_be_seen(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def later():\n    from package import b\n    return b\n")
    (package / "b.py").write_text("from package.a import later\n")
    with pytest.raises(CycleError):
        TopologicalSorter(imports(tmp_path)).prepare()
