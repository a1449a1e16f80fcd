"""`Flaw`: one thing that a rule found, with its place, its reason and its mend."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

WARNING = "warning"
INFO = "info"
LEVELS = (WARNING, INFO)
"""The gravest first. A warning costs accuracy, or makes a figure untrue; an info costs time or memory at most."""


@dataclass(frozen=True)
class Flaw:
    """What a rule found.

    Attributes:
        place: a layer's path, or `file.py:12`.
        reason: why it makes things worse; whole sentences.
        mend: what to do; whole sentences.
        level: where it differs from the rule's own.
    """

    place: str
    reason: str
    mend: str
    level: str = ""


# One rule is one line of the table, however long.
# ruff: noqa: E501


@dataclass(frozen=True)
class Rule:
    """A line of the table.

    Attributes:
        path: `module:function`, below this package.
        level: how grave what it finds is, unless the flaw itself says otherwise.
        finds: what it finds, in a few words.
    """

    path: str
    level: str
    finds: str

    @property
    def reads(self) -> str:
        """What it reads: a `network` or a `script`."""
        return "network" if self.path.startswith("networks.") else "script"

    def load(self) -> Callable[[Any], Iterable[Flaw]]:
        """Its function."""
        module, _, function = self.path.partition(":")
        return getattr(importlib.import_module(f"pellucid.lint.{module}"), function)


# fmt: off
RULES: dict[str, Rule] = {
    "softmax-before-loss": Rule("networks.outputs:softmax_before_loss", WARNING, "a softmax before the cross-entropy, which takes its own"),
    "activation-on-logits": Rule("networks.outputs:activation_on_logits", WARNING, "an activation or dropout on the outputs that are to be logits"),
    "output-count": Rule("networks.outputs:output_count", WARNING, "another number of outputs than classes"),
    "nothing-between": Rule("networks.layers:nothing_between", WARNING, "weights after weights with no activation between"),
    "idle-bias": Rule("networks.layers:idle_bias", INFO, "a bias that the batch norm after it subtracts"),
    "dropout-before-batch-norm": Rule("networks.layers:before_batch_norm", WARNING, "dropout whose effect the batch norm after it measures"),
    "dropout-in-evaluation": Rule("networks.layers:in_evaluation", WARNING, "dropout that goes on when the network is evaluated"),
    "unused-parameter": Rule("networks.weights:unused", WARNING, "parameters that take no part in the outputs"),
    "no-gradient": Rule("networks.weights:no_gradient", WARNING, "parameters that are used and can never learn"),
    "unregistered-parameter": Rule("networks.weights:unregistered", WARNING, "layers that the network uses and does not know of"),
    "mixed-pictures": Rule("networks.outputs:mixed_pictures", WARNING, "an answer that depends on the other pictures of the batch"),
    "small-receptive-field": Rule("networks.receptive_field:small_receptive_field", WARNING, "a last feature that sees less than the object"),
    "initial-variance": Rule("networks.weights:initial_variance", WARNING, "first weights that let the signal explode or vanish"),
    "identical-units": Rule("networks.weights:identical_units", WARNING, "units that begin alike, and so stay alike"),
    "no-shuffle": Rule("scripts.data_rules:no_shuffle", WARNING, "training pictures in the same order in every epoch"),
    "trains-on-test": Rule("scripts.data_rules:trains_on_test", WARNING, "a training loop over the test pictures"),
    "missing-zero-grad": Rule("scripts.loop_rules:missing_zero_grad", WARNING, "gradients that pile up from step to step, or are wiped before they count"),
    "missing-eval": Rule("scripts.loop_rules:missing_eval", WARNING, "an evaluation in training mode"),
    "missing-train": Rule("scripts.loop_rules:missing_train", WARNING, "a training that goes on in evaluation mode after the first epoch"),
    "missing-no-grad": Rule("scripts.loop_rules:missing_no_grad", INFO, "an evaluation that keeps what only gradients need"),
    "test-data-chooses": Rule("scripts.data_rules:test_data_chooses", WARNING, "the test pictures choose an epoch, a rate or a model"),
    "normalised-on-test": Rule("scripts.data_rules:normalised_on_test", WARNING, "scales measured on the test pictures"),
    "softmax-before-cross-entropy": Rule("scripts.loop_rules:softmax_before_cross_entropy", WARNING, "a softmax before CrossEntropyLoss, which takes its own"),
}
# fmt: on
