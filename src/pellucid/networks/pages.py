"""The page of each network, from its docstring, read without importing torch.

`python -m pellucid.networks.pages > docs/networks.md` writes all of them into one document.
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
`pellucid networks NAME` prints one page. Any network of timm is `timm:NAME`; your own is `file.py:Class`.

"""


def page(name: str) -> str:
    """The page of a network: formula, shapes, parameters, source, and what it is good for.

    Raises:
        UnknownNameError: there is no network of that name.
    """
    if name not in NETWORKS:
        check_name(name)  # timm's and the user's own have names, but no pages
        if is_file_reference(name):
            return f"{name} is a network of your own, and has no page here; `pellucid lint {name}` looks at it."
        return f"{name} has no page here: its own project describes it."
    docstring = ast.get_docstring(_class_of(name))
    assert docstring is not None, f"{NETWORKS[name].path} has no docstring"
    return inspect.cleandoc(docstring)


def recipe_of(name: str) -> dict[str, Any]:
    """How the default training plan of a network differs from the general one: `catalogue.own_recipe` without torch.

    Nothing for networks that are not of the catalogue, whose files are not at hand.
    """
    if name not in NETWORKS:
        return {}
    for node in _class_of(name).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "recipe" and isinstance(node, ast.AnnAssign) and node.value:
            return ast.literal_eval(node.value)
    return {}


def _class_of(name: str) -> ast.ClassDef:
    """The class of a network of the catalogue, as it stands in its file."""
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
