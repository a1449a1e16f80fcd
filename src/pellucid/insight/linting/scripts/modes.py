"""Rules on the modes of a network: training, evaluation, and without gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pellucid.insight.linting.flaw import INFO, WARNING, Flaw
from pellucid.insight.linting.scripts.script import Script
from pellucid.insight.linting.scripts.tags import EVALUATION, TRAINING, models

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
