"""The rule on gradients between the steps of training."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pellucid.insight.linting.flaw import Flaw
from pellucid.insight.linting.scripts.script import Script
from pellucid.insight.linting.scripts.source import called, last, within


def missing_zero_grad(script: Script) -> Iterator[Flaw]:
    """A step after which the gradients are kept, or one before which they are wiped."""
    for event in script.all("training-loop"):
        assert isinstance(event.node, (ast.For, ast.AsyncFor, ast.While))
        body = event.node.body
        if not (called(body, "step", script.source, loops=False) or _changes_weights_by_hand(body)):
            continue  # gradients are added up on purpose: the step comes after the loop
        place = script.source.place(_first(body, "backward") or event.node)
        if not (called(body, "zero_grad", script.source, loops=True) or _wipes_by_hand(body, script)):
            yield Flaw(
                place,
                "backward() adds to the gradients that are there, and nothing sets them to 0: each step follows the "
                "sum of all gradients since the beginning, most of them of weights that are long gone.",
                "Call optimizer.zero_grad() in every step, before backward().",
            )
        elif wiping := next(filter(None, map(_wiped_too_early, _with_called(body, script))), None):
            yield Flaw(
                script.source.place(wiping),
                "zero_grad() stands between backward() and step(): the gradients are wiped before the step can follow "
                "them, so nothing is learned.",
                "Call zero_grad() before backward(), or after step().",
            )


def _first(body: list[ast.stmt], name: str) -> ast.Call | None:
    return next((node for node in within(body) if isinstance(node, ast.Call) and last(node.func) == name), None)


def _changes_weights_by_hand(body: list[ast.stmt]) -> bool:
    """`w -= rate * w.grad`."""
    return any(isinstance(node, ast.AugAssign) and _reads_gradient(node.value) for node in within(body))


def _wipes_by_hand(body: list[ast.stmt], script: Script) -> bool:
    """`w.grad = None`, `w.grad.zero_()`, in the loop or in a function that it calls."""
    for statements in _with_called(body, script):
        for node in within(statements):
            if isinstance(node, ast.Assign) and any(last(target) == "grad" for target in node.targets):
                return True
            if isinstance(node, ast.Call) and last(node.func) in ("zero_", "fill_") and _reads_gradient(node.func):
                return True
    return False


def _with_called(body: list[ast.stmt], script: Script) -> list[list[ast.stmt]]:
    """The statements of a loop, and those of the functions that it calls."""
    calls = [last(node.func) for node in within(body) if isinstance(node, ast.Call)]
    return [body, *(script.source.functions[name].body for name in calls if name in script.source.functions)]


def _reads_gradient(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "grad" for one in ast.walk(node))


def _wiped_too_early(body: list[ast.stmt]) -> ast.Call | None:
    """The zero_grad() between backward() and step(), all three in these statements themselves."""
    order = [
        (node.lineno, node.col_offset, last(node.func), node)
        for node in within(body)
        if isinstance(node, ast.Call) and last(node.func) in ("backward", "zero_grad", "step")
    ]
    names = sorted(order, key=lambda one: one[:2])
    for before, wiping, after in zip(names, names[1:], names[2:], strict=False):
        if (before[2], wiping[2], after[2]) == ("backward", "zero_grad", "step"):
            return wiping[3]
    return None
