"""The table of rules: from a rule's id to where its function lives. None is imported to list them.

To add a rule: write a function that takes the evidence (`networks/evidence.py`) or the script (`scripts/script.py`) and
gives `Flaw`s, add its line, and plant its fault in `tests/insight/linting/`, beside a healthy twin.
"""

# One rule is one line of the table, however long.
# ruff: noqa: E501

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pellucid.insight.linting.flaw import INFO, WARNING, Flaw


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
        return getattr(importlib.import_module(f"pellucid.insight.linting.{module}"), function)


# fmt: off
RULES: dict[str, Rule] = {
    "softmax-before-loss": Rule("networks.outputs:softmax_before_loss", WARNING, "a softmax before the cross-entropy, which takes its own"),
    "activation-on-logits": Rule("networks.outputs:activation_on_logits", WARNING, "an activation or dropout on the outputs that are to be logits"),
    "output-count": Rule("networks.outputs:output_count", WARNING, "another number of outputs than classes"),
    "nothing-between": Rule("networks.chains:nothing_between", WARNING, "weights after weights with no activation between"),
    "idle-bias": Rule("networks.chains:idle_bias", INFO, "a bias that the batch norm after it subtracts"),
    "dropout-before-batch-norm": Rule("networks.dropout:before_batch_norm", WARNING, "dropout whose effect the batch norm after it measures"),
    "dropout-in-evaluation": Rule("networks.dropout:in_evaluation", WARNING, "dropout that goes on when the network is evaluated"),
    "unused-parameter": Rule("networks.parameters:unused", WARNING, "parameters that take no part in the outputs"),
    "no-gradient": Rule("networks.parameters:no_gradient", WARNING, "parameters that are used and can never learn"),
    "unregistered-parameter": Rule("networks.parameters:unregistered", WARNING, "layers that the network uses and does not know of"),
    "mixed-pictures": Rule("networks.batches:mixed_pictures", WARNING, "an answer that depends on the other pictures of the batch"),
    "small-receptive-field": Rule("networks.fields:small_receptive_field", WARNING, "a last feature that sees less than the object"),
    "initial-variance": Rule("networks.beginnings:initial_variance", WARNING, "first weights that let the signal explode or vanish"),
    "identical-units": Rule("networks.beginnings:identical_units", WARNING, "units that begin alike, and so stay alike"),
    "no-shuffle": Rule("scripts.feeding:no_shuffle", WARNING, "training pictures in the same order in every epoch"),
    "trains-on-test": Rule("scripts.feeding:trains_on_test", WARNING, "a training loop over the test pictures"),
    "missing-zero-grad": Rule("scripts.steps:missing_zero_grad", WARNING, "gradients that pile up from step to step, or are wiped before they count"),
    "missing-eval": Rule("scripts.modes:missing_eval", WARNING, "an evaluation in training mode"),
    "missing-train": Rule("scripts.modes:missing_train", WARNING, "a training that goes on in evaluation mode after the first epoch"),
    "missing-no-grad": Rule("scripts.modes:missing_no_grad", INFO, "an evaluation that keeps what only gradients need"),
    "test-data-chooses": Rule("scripts.choosing:test_data_chooses", WARNING, "the test pictures choose an epoch, a rate or a model"),
    "normalised-on-test": Rule("scripts.choosing:normalised_on_test", WARNING, "scales measured on the test pictures"),
    "softmax-before-cross-entropy": Rule("scripts.losses:softmax_before_cross_entropy", WARNING, "a softmax before CrossEntropyLoss, which takes its own"),
}
# fmt: on
