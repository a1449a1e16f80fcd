"""Rules about the outputs of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.registry import INFO, Flaw

_SQUASHING = calls.ACTIVATIONS - {"prelu", "leaky_relu", "rrelu", "glu"}
_RANGES = {"sigmoid": "between 0 and 1", "hardsigmoid": "between 0 and 1", "tanh": "between −1 and 1"}


def softmax_before_loss(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs that are probabilities or log-probabilities, while the loss applies its own softmax.

    The rule looks at the values: they are not negative and sum to 1, or their exponentials do.
    """
    outputs = evidence.outputs
    if evidence.loss != "cross-entropy" or outputs is None or outputs.dim() != 2 or outputs.shape[1] < 2:
        return
    outputs = outputs.float()
    ones = torch.ones(len(outputs))
    if bool((outputs >= 0).all()) and torch.allclose(outputs.sum(dim=1), ones, atol=1e-4):
        yield Flaw(
            _place(evidence, {"softmax"}),
            f"The outputs are already probabilities, and the cross-entropy applies a second softmax. With "
            f"{outputs.shape[1]:,} classes, the loss cannot fall below "
            f"{math.log(1 + (outputs.shape[1] - 1) / math.e):.2f}, and gradients are small, so the network learns "
            f"slowly and its probabilities stay low.",
            "Return logits: remove the softmax from the network, and apply it only to show probabilities.",
        )
    elif bool((outputs <= 0).all()) and torch.allclose(outputs.exp().sum(dim=1), ones, atol=1e-4):
        yield Flaw(
            _place(evidence, {"log_softmax"}),
            "The outputs are log-probabilities. The cross-entropy applies its own log-softmax, which does not change "
            "them and only costs time.",
            "Remove the log-softmax from the network, or use NLLLoss.",
            INFO,
        )


def activation_on_logits(evidence: Evidence) -> Iterator[Flaw]:
    """An activation or dropout between the last weights and the cross-entropy."""
    if evidence.loss != "cross-entropy" or evidence.last is None:
        return
    call = calls.back(evidence.last, calls.RESHAPING)
    if call.function in _SQUASHING:
        value_range = _RANGES.get(call.function, "in a limited range")
        yield Flaw(
            call.location,
            f"The outputs go through {call.function} before the cross-entropy, which expects logits of any size and "
            f"sign. Here they are {value_range}, so the network cannot become confident, and it does not learn where "
            f"the slope is 0.",
            f"Remove {call.function} at the end; activations belong between layers.",
        )
    elif calls.is_dropout(call):
        yield Flaw(
            call.location,
            f"During training, dropout sets each logit to 0 with probability {calls.share(call):g}, also that of the "
            "right class, so the loss cannot become small.",
            "Move the dropout before the last layer.",
        )


def output_count(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs that are not one value per picture and class."""
    subject, outputs = evidence.subject, evidence.outputs
    pictures = evidence.recording.calls[0].shape[0]
    location = evidence.last.location if evidence.last is not None else subject.name
    if outputs is None:
        output_type = type(evidence.recording.outputs).__name__
        yield Flaw(location, f"The network returns {output_type}, not a tensor.", "Return the logits, (N, K).")
    elif outputs.dim() == 0 or len(outputs) != pictures:
        yield Flaw(
            location,
            f"For {pictures} pictures the outputs have shape {tuple(outputs.shape)}: a reshape mixes the "
            f"pictures of the batch.",
            "Flatten with x.flatten(1), which keeps the batch dimension, not with view(-1, ...).",
        )
    elif outputs.dim() != 2:
        yield Flaw(
            location,
            f"For {pictures} pictures the outputs have shape {tuple(outputs.shape)}; expected is one value per class, "
            f"(N, K).",
            "Average or flatten the feature maps, and end with a dense layer of K outputs.",
        )
    elif subject.classes is not None and outputs.shape[1] != subject.classes:
        number = outputs.shape[1]
        effect = "The others take a share of the probability" if number > subject.classes else "Some classes have none"
        yield Flaw(
            location,
            f"The network has {number} outputs for {subject.classes} classes. {effect}.",
            f"Give the last layer {subject.classes} outputs.",
        )


def _place(evidence: Evidence, functions: set[str]) -> str:
    """The location of the last call of these functions; the end of the network if it is unknown."""
    if evidence.last is None:
        return evidence.subject.name
    for call in calls.before(evidence.last):
        if call.function in functions:
            return call.location
        if calls.has_weights(call):
            break
    return evidence.last.location


def mixed_pictures(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs of a picture that change with the other pictures of its batch, in evaluation mode."""
    if evidence.mixed:
        yield Flaw(
            evidence.last.location if evidence.last is not None else evidence.subject.name,
            "In evaluation mode, the outputs of a picture change with the other pictures of its batch, so its "
            "prediction depends on the batch. Usual causes: softmax over dim=0, batch norm without running "
            "statistics, attention or recurrence without batch_first=True, a reshape across the batch.",
            "Keep the batch dimension separate: dim=1, batch_first=True, track_running_stats=True, x.flatten(1).",
        )
