"""Rules about training loops: modes of the network, gradients, and the loss."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pellucid.lint.registry import INFO, WARNING, Flaw
from pellucid.lint.scripts.script import Script
from pellucid.lint.scripts.source import called, last, within
from pellucid.lint.scripts.tags import EVALUATION, LOG_SOFTMAX, SOFTMAX, TRAINING, models

_MODE_DEPENDENT = (
    "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "dropout", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d",
    "LazyBatchNorm2d", "SyncBatchNorm", "batch_norm", "InstanceNorm2d", "TransformerEncoderLayer",
)  # fmt: skip


def missing_eval(script: Script) -> Iterator[Flaw]:
    """Predictions on held-out pictures in training mode."""
    for event in script.all("model"):
        if event.learns or event.mode - {"no-grad"} != {TRAINING}:
            continue
        if _differs(script, event.tags):
            yield Flaw(
                script.source.location(event.node),
                "The network is still in training mode here: dropout switches off random units, and batch norm uses "
                "the statistics of this batch. The results are worse, random, and depend on the batch, and batch norm "
                "even learns from these pictures.",
                "Call model.eval() before this line, and model.train() before training continues.",
                WARNING,
            )
        else:
            yield Flaw(
                script.source.location(event.node),
                "The network is still in training mode here. Without dropout and batch norm this changes nothing, but "
                "the results become wrong when you add one of them.",
                "Call model.eval() before this line, and model.train() before training continues.",
                INFO,
            )


def missing_train(script: Script) -> Iterator[Flaw]:
    """A training step that is in training mode in the first pass of a loop, and in evaluation mode later."""
    seen: dict[ast.AST, set[str]] = {}
    for event in script.all("model"):
        mode = event.mode - {"no-grad"}
        if event.learns and len(mode) == 1:
            seen.setdefault(event.node, set()).update(mode)
    for node, modes in seen.items():
        if modes == {TRAINING, EVALUATION}:
            yield Flaw(
                script.source.location(node),
                "After the first evaluation the network stays in evaluation mode. It then trains without dropout, and "
                "batch norm keeps the statistics of the first epoch.",
                "Call model.train() at the beginning of every epoch.",
            )


def missing_no_grad(script: Script) -> Iterator[Flaw]:
    """An evaluation that records gradients."""
    for event in script.all("model"):
        if not event.learns and "no-grad" not in event.mode:
            yield Flaw(
                script.source.location(event.node),
                "Nothing is trained here, but torch stores everything that gradients need, costing memory and time.",
                "Wrap it in `with torch.inference_mode():` or `with torch.no_grad():`.",
            )


def _differs(script: Script, tags: frozenset[str]) -> bool:
    """Whether the network may behave differently in the two modes: it has such layers, or its layers are unknown."""
    makers = [script.source.maker(tag) for tag in models(tags)]
    return any(maker is None or script.source.mentions(*_MODE_DEPENDENT, part=maker) for maker in makers)


def missing_zero_grad(script: Script) -> Iterator[Flaw]:
    """Gradients that are never set to 0, or that are set to 0 before the step."""
    for event in script.all("training-loop"):
        assert isinstance(event.node, (ast.For, ast.AsyncFor, ast.While))
        body = event.node.body
        if not (called(body, "step", script.source, loops=False) or _changes_weights_by_hand(body)):
            continue  # gradients add up on purpose; the step is after the loop
        location = script.source.location(_first(body, "backward") or event.node)
        if not (called(body, "zero_grad", script.source, loops=True) or _clears_by_hand(body, script)):
            yield Flaw(
                location,
                "backward() adds to the existing gradients, and nothing sets them to 0. So each step uses the sum of "
                "all gradients since the start, most of them from old weights.",
                "Call optimizer.zero_grad() in every step, before backward().",
            )
        elif clearing := next(filter(None, map(_cleared_too_early, _with_called(body, script))), None):
            yield Flaw(
                script.source.location(clearing),
                "zero_grad() is between backward() and step(), so the gradients are cleared before the step uses them, "
                "and nothing is learned.",
                "Call zero_grad() before backward(), or after step().",
            )


def _first(body: list[ast.stmt], name: str) -> ast.Call | None:
    return next((node for node in within(body) if isinstance(node, ast.Call) and last(node.func) == name), None)


def _changes_weights_by_hand(body: list[ast.stmt]) -> bool:
    """`w -= rate * w.grad`."""
    return any(isinstance(node, ast.AugAssign) and _reads_gradient(node.value) for node in within(body))


def _clears_by_hand(body: list[ast.stmt], script: Script) -> bool:
    """`w.grad = None`, `w.grad.zero_()`, in the loop or in a function that it calls."""
    for statements in _with_called(body, script):
        for node in within(statements):
            if isinstance(node, ast.Assign) and any(last(target) == "grad" for target in node.targets):
                return True
            if isinstance(node, ast.Call) and last(node.func) in ("zero_", "fill_") and _reads_gradient(node.func):
                return True
    return False


def _with_called(body: list[ast.stmt], script: Script) -> list[list[ast.stmt]]:
    """The statements of a loop and of the functions that it calls."""
    calls = [last(node.func) for node in within(body) if isinstance(node, ast.Call)]
    return [body, *(script.source.functions[name].body for name in calls if name in script.source.functions)]


def _reads_gradient(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in ast.walk(node))


def _cleared_too_early(body: list[ast.stmt]) -> ast.Call | None:
    """The zero_grad() between backward() and step(), if all three are directly in these statements."""
    order = [
        (node.lineno, node.col_offset, last(node.func), node)
        for node in within(body)
        if isinstance(node, ast.Call) and last(node.func) in ("backward", "zero_grad", "step")
    ]
    order.sort(key=lambda entry: entry[:2])
    for before, middle, after in zip(order, order[1:], order[2:], strict=False):
        if (before[2], middle[2], after[2]) == ("backward", "zero_grad", "step"):
            return middle[3]
    return None


def softmax_before_cross_entropy(script: Script) -> Iterator[Flaw]:
    """Probabilities or log-probabilities as input of the cross-entropy, which takes logits."""
    for event in script.all("cross-entropy"):
        if SOFTMAX in event.tags:
            yield Flaw(
                script.source.location(event.node),
                "CrossEntropyLoss applies a softmax, but its input here is already the output of a softmax. With ten "
                "classes the loss cannot fall below 1.46, and gradients are small.",
                "Pass the logits, and apply the softmax only to show probabilities.",
            )
        elif LOG_SOFTMAX in event.tags:
            yield Flaw(
                script.source.location(event.node),
                "CrossEntropyLoss applies its own log-softmax, which does not change log-probabilities and only costs "
                "time.",
                "Pass the logits, or use NLLLoss.",
                INFO,
            )
