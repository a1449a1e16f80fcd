"""Rules about what is between layers with weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.networks.recording import Call
from pellucid.lint.registry import INFO, WARNING, Flaw

_LINEAR = calls.RESHAPING | calls.DROPOUT | calls.AVERAGING | calls.SCALING
_BLUNT = calls.MAXIMA | {"pad"}
"""Operations that pass on an added constant unchanged."""


def nothing_between(evidence: Evidence) -> Iterator[Flaw]:
    """Two layers with weights and no activation between them, which one layer could replace.

    Ignored: branches and shortcuts; depthwise convolutions and pairs of narrow ones, which factorise one convolution on
    purpose; a batch norm between convolutions, as in the linear bottlenecks of MobileNetV2. If the layer between is
    narrower than both sides, it saves weights, and the level is info.
    """
    for call in evidence.recording.calls:
        if not calls.has_weights(call):
            continue
        first = _linear_source(call)
        if first is None or _is_factorised(first, call):
            continue
        sides = [_units(first)[0], _units(first)[1], _units(call)[1]]
        narrow = sides[1] < min(sides[0], sides[2])
        if calls.is_dense(first) and calls.is_dense(call):
            together = f"one dense layer from {sides[0]:,} to {sides[2]:,} computes the same"
        else:
            together = "one convolution or dense layer computes the same"
        yield Flaw(
            f"{first.location} → {call.location}",
            f"There is no activation between these layers, so {together}. "
            + (
                f"The {sides[1]:,} values between them save weights, but add no depth."
                if narrow
                else "The second layer adds weights, but no depth."
            ),
            "Add an activation between them, for example ReLU, or use one layer.",
            INFO if narrow else WARNING,
        )


def idle_bias(evidence: Evidence) -> Iterator[Flaw]:
    """A bias directly before a batch norm, which subtracts it with the mean."""
    for call in evidence.recording.calls:
        if call.function != "batch_norm" or len(call.inputs) != 1:
            continue
        source = call.inputs[0]
        while source.function in _BLUNT and len(source.inputs) == 1 and len(source.consumers) == 1:
            source = source.inputs[0]
        bias = source.argument(2, "bias")
        if calls.has_weights(source) and bias is not None and len(source.consumers) == 1:
            count = math.prod(bias.shape)
            yield Flaw(
                f"{source.location} → {call.location}: {count} numbers",
                "The batch norm subtracts the mean of each channel, and with it this bias. The bias has no effect.",
                "Use bias=False; the batch norm has its own bias.",
            )


def _linear_source(call: Call) -> Call | None:
    """The layer with weights whose output reaches only this call, and only through linear operations."""
    through = _LINEAR | {"batch_norm"} if calls.is_dense(call) else _LINEAR
    source, normed = call.inputs[0], False
    while len(source.consumers) == 1:
        if calls.has_weights(source):
            # A convolution with a batch norm and no activation is a linear bottleneck, which is on purpose.
            return None if normed and calls.is_convolution(source) else source
        if source.function not in through or len(source.inputs) != 1:
            return None
        normed |= source.function == "batch_norm"
        source = source.inputs[0]
    return None


def _is_factorised(first: Call, second: Call) -> bool:
    """Whether the two factorise one convolution: depthwise and pointwise, or a column and a row."""
    for call in (first, second):
        if calls.is_convolution(call):
            weight = call.argument(1, "weight")
            if len(set(weight.shape[2:])) > 1:
                return True
            channels = call.inputs[0].shape[1] if len(call.inputs[0].shape) > 1 else weight.shape[1]
            if weight.shape[1] < channels and not call.function.startswith("conv_transpose"):
                return True
    return False


def _units(call: Call) -> tuple[int, int]:
    """Number of inputs (or input channels) and of units of a call."""
    if calls.is_dense(call):
        return call.inputs[0].shape[-1] if call.inputs[0].shape else 0, call.shape[-1]
    return call.inputs[0].shape[1], call.shape[1]


_MILD = 0.2
"""Dropout share below which the variance changes by less than a quarter: 1 / (1 − 0.2) = 1.25."""

_THROUGH = calls.RESHAPING | calls.AVERAGING | calls.SCALING | calls.MAXIMA | calls.ACTIVATIONS | {"cat"}


def before_batch_norm(evidence: Evidence) -> Iterator[Flaw]:
    """Dropout before a batch norm, directly or with weights between (Li et al. 2018, arXiv:1801.05134)."""
    reported: set[Call] = set()
    for call in evidence.recording.calls:
        if call.function != "batch_norm":
            continue
        for dropout, direct in _dropouts(call):
            if dropout in reported:
                continue
            reported.add(dropout)
            share = calls.share(dropout)
            yield Flaw(
                f"{dropout.location} → {call.location}",
                f"During training, dropout increases the variance that the batch norm measures, here up to "
                f"{1 / (1 - share):.3g} times at a share of {share:g}. In evaluation nothing is dropped, so the stored "
                f"variance is too large.",
                "Move the dropout after the last batch norm, or remove it; batch norm regularises too.",
                WARNING if direct or share >= _MILD else INFO,
            )


def in_evaluation(evidence: Evidence) -> Iterator[Flaw]:
    """Dropout that is active although the network is in evaluation mode."""
    for call in evidence.recording.calls:
        if calls.is_dropout(call) and call.argument(2, "training", default=True):
            yield Flaw(
                call.location,
                f"It drops {100 * calls.share(call):.0f} % of the values in evaluation mode: F.dropout is active by "
                "default. Predictions are partly random, and accuracy is lower.",
                "Write F.dropout(x, training=self.training), or use nn.Dropout, which follows the mode.",
            )


def _dropouts(norm: Call) -> Iterator[tuple[Call, bool]]:
    """The dropouts before a batch norm, each with True if there are no weights between."""
    pending = [(source, True) for source in norm.inputs]
    visited: set[tuple[Call, bool]] = set()
    while pending:
        call, direct = pending.pop(0)
        if (call, direct) in visited:
            continue
        visited.add((call, direct))
        if calls.is_dropout(call):
            yield call, direct
        elif call.function in _THROUGH or calls.has_weights(call) or call.function in calls.DROPOUT:
            pending += [(source, direct and not calls.has_weights(call)) for source in call.inputs]
