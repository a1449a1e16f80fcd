"""Rules on the modes of a network: training, evaluation, and without gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pellucid.lint.registry import INFO, WARNING, Flaw
from pellucid.lint.scripts.script import Script
from pellucid.lint.scripts.source import called, last, within
from pellucid.lint.scripts.tags import EVALUATION, LOG_SOFTMAX, SOFTMAX, TRAINING, models

_DIFFERENT = (
    "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "dropout", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d",
    "LazyBatchNorm2d", "SyncBatchNorm", "batch_norm", "InstanceNorm2d", "TransformerEncoderLayer",
)  # fmt: skip


def missing_eval(script: Script) -> Iterator[Flaw]:
    """Held-out pictures given to a network that is in training mode."""
    for event in script.all("model"):
        if event.learns or event.mode - {"no-grad"} != {TRAINING}:
            continue
        if _differs(script, event.tags):
            yield Flaw(
                script.source.place(event.node),
                "The network is still in training mode here: dropout switches units off at random and batch norm takes "
                "the mean of this batch, so the figures are lower, change from run to run, and depend on the batch. "
                "Batch norm even learns from these pictures.",
                "Call model.eval() before, and model.train() before training goes on.",
                WARNING,
            )
        else:
            yield Flaw(
                script.source.place(event.node),
                "The network is still in training mode here. It has neither dropout nor batch norm, so nothing differs "
                "today; the first of them that is added makes the figures wrong.",
                "Call model.eval() before, and model.train() before training goes on.",
                INFO,
            )


def missing_train(script: Script) -> Iterator[Flaw]:
    """A step of training that begins in training mode, and in the next round of a loop in evaluation mode."""
    seen: dict[ast.AST, set[str]] = {}
    for event in script.all("model"):
        mode = event.mode - {"no-grad"}
        if event.learns and len(mode) == 1:
            seen.setdefault(event.node, set()).update(mode)
    for node, modes in seen.items():
        if modes == {TRAINING, EVALUATION}:
            yield Flaw(
                script.source.place(node),
                "After the first evaluation the network stays in evaluation mode: from then on it learns without "
                "dropout, and batch norm keeps what it measured in the first epoch.",
                "Call model.train() at the beginning of every epoch.",
            )


def missing_no_grad(script: Script) -> Iterator[Flaw]:
    """An evaluation that keeps what only gradients need."""
    for event in script.all("model"):
        if not event.learns and "no-grad" not in event.mode:
            yield Flaw(
                script.source.place(event.node),
                "Nothing learns here, and still torch keeps all that gradients would need: memory and time for "
                "nothing.",
                "Put it under `with torch.inference_mode():` or `with torch.no_grad():`.",
            )


def _differs(script: Script, tags: frozenset[str]) -> bool:
    """Whether the network may behave differently in the two modes: it has such layers, or nobody here knows them."""
    makers = [script.source.maker(tag) for tag in models(tags)]
    return any(maker is None or script.source.mentions(*_DIFFERENT, part=maker) for maker in makers)


def missing_zero_grad(script: Script) -> Iterator[Flaw]:
    """A step after which the gradients are kept, or one before which they are wiped."""
    for event in script.all("training-loop"):
        assert isinstance(event.node, (ast.For, ast.AsyncFor, ast.While))
        body = event.node.body
        if not (called(body, "step", script.source, loops=False) or _changes_weights_by_hand(body)):
            continue  # gradients are added up on purpose: the step comes after the loop
        location = script.source.place(_first(body, "backward") or event.node)
        if not (called(body, "zero_grad", script.source, loops=True) or _wipes_by_hand(body, script)):
            yield Flaw(
                location,
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


def softmax_before_cross_entropy(script: Script) -> Iterator[Flaw]:
    """Probabilities, or their logarithms, given to the cross-entropy, which takes logits."""
    for event in script.all("cross-entropy"):
        if SOFTMAX in event.tags:
            yield Flaw(
                script.source.place(event.node),
                "CrossEntropyLoss takes the softmax of what it is given, and here it is given what a softmax gave: "
                "numbers between 0 and 1 that lie close together. With ten classes the loss cannot fall below 1.46, "
                "and gradients are small.",
                "Give it the logits, and take the softmax where probabilities are shown.",
            )
        elif LOG_SOFTMAX in event.tags:
            yield Flaw(
                script.source.place(event.node),
                "CrossEntropyLoss takes a log-softmax of its own, which leaves that of the network as it is: it costs "
                "time and nothing else.",
                "Give it the logits, or take NLLLoss.",
                INFO,
            )
