"""The table of all rules, and `Flaw`: one finding of a rule with its location, reason and fix."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

WARNING = "warning"
INFO = "info"
LEVELS = (WARNING, INFO)
"""Most serious first. A warning costs accuracy or falsifies a result; an info costs time or memory at most."""


@dataclass(frozen=True)
class Flaw:
    """One finding of a rule.

    Attributes:
        location: path of a layer, or `file.py:12`.
        reason: why it is a problem, in sentences.
        fix: what to do, in sentences.
        level: its level; empty for the level of the rule.
    """

    location: str
    reason: str
    fix: str
    level: str = ""


# Each rule is one line of the table, of any length.
# ruff: noqa: E501


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        path: `module:function` of the rule, relative to this package.
        level: level of its flaws, unless a flaw has its own.
        finds: what it finds, in a few words.
    """

    path: str
    level: str
    finds: str

    @property
    def reads(self) -> str:
        """What the rule reads: `network` or `script`."""
        return "network" if self.path.startswith("networks.") else "script"

    def load(self) -> Callable[[Any], Iterable[Flaw]]:
        """Imports the function of the rule."""
        module, _, function = self.path.partition(":")
        return getattr(importlib.import_module(f"pellucid.lint.{module}"), function)


# fmt: off
RULES: dict[str, Rule] = {
    "softmax-before-loss": Rule("networks.outputs:softmax_before_loss", WARNING, "a softmax before the cross-entropy, which applies its own"),
    "activation-on-logits": Rule("networks.outputs:activation_on_logits", WARNING, "an activation or dropout on the logits"),
    "output-count": Rule("networks.outputs:output_count", WARNING, "a number of outputs that differs from the number of classes"),
    "nothing-between": Rule("networks.layers:nothing_between", WARNING, "two layers with weights and no activation between them"),
    "idle-bias": Rule("networks.layers:idle_bias", INFO, "a bias that the next batch norm subtracts"),
    "dropout-before-batch-norm": Rule("networks.layers:before_batch_norm", WARNING, "dropout before a batch norm, which measures its effect"),
    "dropout-in-evaluation": Rule("networks.layers:in_evaluation", WARNING, "dropout that is active in evaluation mode"),
    "unused-parameter": Rule("networks.weights:unused", WARNING, "parameters that do not affect the outputs"),
    "no-gradient": Rule("networks.weights:no_gradient", WARNING, "parameters that are used but never get a gradient"),
    "unregistered-parameter": Rule("networks.weights:unregistered", WARNING, "parameters that are used but not registered"),
    "mixed-pictures": Rule("networks.outputs:mixed_pictures", WARNING, "outputs that depend on the other pictures of the batch"),
    "small-receptive-field": Rule("networks.receptive_field:small_receptive_field", WARNING, "a receptive field smaller than the object"),
    "initial-variance": Rule("networks.weights:initial_variance", WARNING, "initial weights that make the signal explode or vanish"),
    "identical-units": Rule("networks.weights:identical_units", WARNING, "units with equal initial weights, which stay equal"),
    "no-shuffle": Rule("scripts.data_rules:no_shuffle", WARNING, "training pictures that are not shuffled"),
    "trains-on-test": Rule("scripts.data_rules:trains_on_test", WARNING, "a training loop over the test pictures"),
    "missing-zero-grad": Rule("scripts.loop_rules:missing_zero_grad", WARNING, "gradients that add up over steps, or are cleared before the step"),
    "missing-eval": Rule("scripts.loop_rules:missing_eval", WARNING, "an evaluation in training mode"),
    "missing-train": Rule("scripts.loop_rules:missing_train", WARNING, "training in evaluation mode after the first epoch"),
    "missing-no-grad": Rule("scripts.loop_rules:missing_no_grad", INFO, "an evaluation that records gradients"),
    "test-data-chooses": Rule("scripts.data_rules:test_data_chooses", WARNING, "test pictures that choose an epoch, a learning rate or a model"),
    "normalised-on-test": Rule("scripts.data_rules:normalised_on_test", WARNING, "mean or scale computed on test pictures"),
    "softmax-before-cross-entropy": Rule("scripts.loop_rules:softmax_before_cross_entropy", WARNING, "a softmax before CrossEntropyLoss, which applies its own"),
}
# fmt: on
