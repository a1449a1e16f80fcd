"""The page of each network, from its docstring. Does not import torch.

`python -m pellucid.networks.pages > docs/networks.md` writes all pages into one document.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from pellucid.networks.catalogue import NETWORKS, check_name, is_file_reference

_BEGIN = """# Networks

Generated from the files in `src/pellucid/networks/` by `python -m pellucid.networks.pages`; do not edit.
`pellucid networks NAME` prints one page. Use `timm:NAME` for any timm network, and `file.py:Class` for your own.

"""


def page(name: str) -> str:
    """The page of a network: formula, shapes, parameters, source and purpose.

    Raises:
        UnknownNameError: there is no such network.
    """
    if name not in NETWORKS:
        check_name(name)  # timm networks and the user's own have valid names, but no pages
        if is_file_reference(name):
            return f"{name} is your own network, so it has no page; to check it: pellucid lint {name}"
        return f"{name} has no page; see the documentation of timm."
    docstring = ast.get_docstring(_class_of(name))
    assert docstring is not None, f"{NETWORKS[name].path} has no docstring"
    return inspect.cleandoc(docstring)


def recipe_of(name: str) -> dict[str, Any]:
    """The same as `catalogue.own_recipe`, without importing torch; empty for networks outside the catalogue."""
    if name not in NETWORKS:
        return {}
    for node in _class_of(name).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "recipe" and isinstance(node, ast.AnnAssign) and node.value:
            return ast.literal_eval(node.value)
    return {}


def _class_of(name: str) -> ast.ClassDef:
    """The syntax tree of the class of a network in the catalogue."""
    module, _, class_name = NETWORKS[name].path.partition(":")
    module_spec = importlib.util.find_spec(module)
    assert module_spec is not None and module_spec.origin is not None
    tree = ast.parse(Path(module_spec.origin).read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)


def document() -> str:
    """All pages, as Markdown."""
    parts = [f"## `{name}`\n\n```text\n{page(name)}\n```\n" for name in NETWORKS]
    return _BEGIN + "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(document())
