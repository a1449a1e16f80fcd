"""What a call gives to a function, and what is asked of calls and functions."""

from __future__ import annotations

import ast

from pellucid.insight.linting.scripts import naming
from pellucid.insight.linting.scripts.source import Function, Source, called, last
from pellucid.insight.linting.scripts.tags import NO, Tags

OFF = ("no_grad", "inference_mode")


def says_eval(source: Source) -> bool:
    """Whether anything is put into evaluation mode by name."""
    return any(isinstance(node, ast.Attribute) and node.attr == "eval" for node in source.walk())


def steps(function: Function, source: Source) -> bool:
    """Whether a function takes a step of training itself, rather than in a loop."""
    return called(function.body, "backward", source, loops=False)


def in_order(node: ast.Call, arguments: list[Tags], keywords: dict[str, Tags]) -> bool:
    """Whether a loader of torch does not shuffle; what is not known here is taken to."""
    no = frozenset({NO})
    samplers = [one.value for one in node.keywords if one.arg == "sampler"]
    if any(isinstance(one, ast.Call) and last(one.func) == "SequentialSampler" for one in samplers):
        return True
    if "**" in keywords or any(keywords.get(name, no) != no for name in ("sampler", "batch_sampler")):
        return False
    return (arguments[2] if len(arguments) > 2 else keywords.get("shuffle", no)) == no


def parameters(function: Function) -> list[str]:
    """The names of what a function is given."""
    found = function.args
    return [one.arg for one in (*found.posonlyargs, *found.args, *found.kwonlyargs)]


def bound(function: Function, arguments: list[Tags], keywords: dict[str, Tags], owner: Tags | None) -> dict[str, Tags]:
    """What the parameters of a function hold in a call; without those of which nothing is known."""
    names = parameters(function)
    if owner is not None and names[:1] == ["self"]:
        arguments = [owner, *arguments]
    found = dict(zip(names, arguments, strict=False))
    found |= {name: tags for name, tags in keywords.items() if name in names}
    return {name: tags for name, tags in found.items() if tags or name == "self"}


def of_metrics(node: ast.Call) -> bool:
    """Whether a mean is one of losses or accuracies rather than of data."""
    return any(
        naming.means_metric(last(one)) or isinstance(one, (ast.Compare, ast.List))
        for one in ast.walk(node)
        if isinstance(one, (ast.Name, ast.Attribute, ast.Compare, ast.List))
    )
