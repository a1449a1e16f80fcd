"""The rule on what the loss is given."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid.insight.linting.flaw import INFO, Flaw
from pellucid.insight.linting.scripts.script import Script
from pellucid.insight.linting.scripts.tags import LOG_SOFTMAX, SOFTMAX


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
