"""Rules on what a network gives at its end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.registry import INFO, Flaw

_SQUASHING = calls.ACTIVATIONS - {"prelu", "leaky_relu", "rrelu", "glu"}
_STEEPEST = {"sigmoid": "between 0 and 1", "hardsigmoid": "between 0 and 1", "tanh": "between −1 and 1"}


def softmax_before_loss(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs that are probabilities, or their logarithms, where the loss takes a softmax of its own.

    It is seen in the numbers: they are not negative and have the sum 1, or their exponentials have.
    """
    outputs = evidence.outputs
    if evidence.loss != "cross-entropy" or outputs is None or outputs.dim() != 2 or outputs.shape[1] < 2:
        return
    outputs = outputs.float()
    ones = torch.ones(len(outputs))
    if bool((outputs >= 0).all()) and torch.allclose(outputs.sum(dim=1), ones, atol=1e-4):
        yield Flaw(
            _place(evidence, {"softmax"}),
            f"The outputs are probabilities already, and the cross-entropy takes the softmax of what it is given: of "
            f"numbers between 0 and 1 that lie close together. With {outputs.shape[1]:,} classes the loss cannot fall "
            f"below {math.log(1 + (outputs.shape[1] - 1) / math.e):.2f}, and gradients are small, so the network "
            f"learns slowly and stays unsure.",
            "Give the logits: leave the softmax out of the network, and take it where probabilities are shown.",
        )
    elif bool((outputs <= 0).all()) and torch.allclose(outputs.exp().sum(dim=1), ones, atol=1e-4):
        yield Flaw(
            _place(evidence, {"log_softmax"}),
            "The outputs are logarithms of probabilities. The cross-entropy's own softmax leaves these as they are, so "
            "it costs time and nothing else; with NLLLoss it would be right.",
            "Leave the log-softmax out of the network, or take NLLLoss.",
            INFO,
        )


def activation_on_logits(evidence: Evidence) -> Iterator[Flaw]:
    """An activation, or a dropout, between the last weights and the cross-entropy."""
    if evidence.loss != "cross-entropy" or evidence.last is None:
        return
    call = calls.back(evidence.last, calls.RESHAPING)
    if call.function in _SQUASHING:
        bounded = _STEEPEST.get(call.function, "only where it lets them")
        yield Flaw(
            call.place,
            f"The outputs go through {call.function} before the cross-entropy, which takes logits of any size and "
            f"sign: they lie {bounded}, so the network cannot become sure, and where the slope is 0 it does not learn.",
            f"Leave {call.function} out at the end; activations belong between layers.",
        )
    elif calls.is_dropout(call):
        yield Flaw(
            call.place,
            f"Dropout sets each logit to 0 with a probability of {calls.share(call):g} while the network learns, "
            "that of the right class too: the loss then asks for what cannot be given.",
            "Put the dropout before the last layer.",
        )


def output_count(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs that are not one number for each class and picture."""
    subject, outputs = evidence.subject, evidence.outputs
    pictures = evidence.recording.calls[0].shape[0]
    location = evidence.last.place if evidence.last is not None else subject.name
    if outputs is None:
        output_type = type(evidence.recording.outputs).__name__
        yield Flaw(location, f"The network gives no tensor but {output_type}.", "Return the logits, (N, K).")
    elif outputs.dim() == 0 or len(outputs) != pictures:
        yield Flaw(
            location,
            f"{pictures} pictures go in and outputs of shape {tuple(outputs.shape)} come out: numbers of one picture "
            f"became rows of others.",
            "Flatten with x.flatten(1), which leaves the pictures apart, rather than with view(-1, ...).",
        )
    elif outputs.dim() != 2:
        yield Flaw(
            location,
            f"The outputs have the shape {tuple(outputs.shape)} for {pictures} pictures; one number for each class is "
            f"expected, (N, K).",
            "Average or flatten what is left of the picture, and end with a dense layer of K outputs.",
        )
    elif subject.classes is not None and outputs.shape[1] != subject.classes:
        output_type = outputs.shape[1]
        more = "never asked for, and takes a share of the probability" if output_type > subject.classes else "missing"
        yield Flaw(
            location,
            f"The network has {output_type} outputs, and there are {subject.classes} classes: what is over or short is "
            f"{more}.",
            f"Make the last layer give {subject.classes} outputs.",
        )


def _place(evidence: Evidence, functions: set[str]) -> str:
    """Where the last of these functions was called; the end of the network where torch did not tell."""
    if evidence.last is None:
        return evidence.subject.name
    for call in calls.before(evidence.last):
        if call.function in functions:
            return call.place
        if calls.has_weights(call):
            break
    return evidence.last.place


def mixed_pictures(evidence: Evidence) -> Iterator[Flaw]:
    """Outputs for one picture that change when the others of its batch do, in evaluation mode."""
    if evidence.mixed:
        yield Flaw(
            evidence.last.place if evidence.last is not None else evidence.subject.name,
            "In evaluation mode the outputs for a picture change with the other pictures of its batch: the same "
            "picture gets one answer today and another one tomorrow. A softmax over dim=0, a batch norm without "
            "running statistics, attention or recurrence without batch_first=True, and a reshape across the batch do "
            "that.",
            "Leave the first dimension alone: dim=1, batch_first=True, track_running_stats=True, x.flatten(1).",
        )
