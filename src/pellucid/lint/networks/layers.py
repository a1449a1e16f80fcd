"""Rules on what stands between layers with weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.networks.recording import Call
from pellucid.lint.registry import INFO, WARNING, Flaw

_LINEAR = calls.RESHAPING | calls.DROPOUT | calls.AVERAGING | calls.SCALING
_BLUNT = calls.MAXIMA | {"pad"}
"""What a number that is added everywhere passes through unchanged."""


def nothing_between(evidence: Evidence) -> Iterator[Flaw]:
    """A layer with weights on another one with no activation between, where one matrix would do.

    Left in peace: what splits up or joins other ways, as shortcuts do; depthwise convolutions and pairs of narrow ones,
    which are one convolution taken apart on purpose; batch norm between convolutions, as the linear bottlenecks of
    MobileNetV2 have it. Two with fewer numbers between them than at either side are only mentioned: that saves weights.
    """
    for call in evidence.recording.calls:
        if not calls.has_weights(call):
            continue
        first = _linear_source(call)
        if first is None or _on_purpose(first, call):
            continue
        sides = [_units(first)[0], _units(first)[1], _units(call)[1]]
        narrow = sides[1] < min(sides[0], sides[2])
        if calls.is_dense(first) and calls.is_dense(call):
            together = f"one dense layer from {sides[0]:,} to {sides[2]:,} could compute the same"
        else:
            together = "one convolution, or dense layer, could compute the same"
        yield Flaw(
            f"{first.place} → {call.place}",
            f"Nothing bends the numbers between these two, so {together}: "
            + (
                f"the {sides[1]:,} numbers between them save weights, and add no depth."
                if narrow
                else "their weights are spent, and their depth is none."
            ),
            "Put an activation between them, for example ReLU, or make them one layer.",
            INFO if narrow else WARNING,
        )


def idle_bias(evidence: Evidence) -> Iterator[Flaw]:
    """A bias right before a batch norm, which subtracts the mean and with it the bias."""
    for call in evidence.recording.calls:
        if call.function != "batch_norm" or len(call.inputs) != 1:
            continue
        source = call.inputs[0]
        while source.function in _BLUNT and len(source.inputs) == 1 and len(source.consumers) == 1:
            source = source.inputs[0]
        bias = source.given(2, "bias")
        if calls.has_weights(source) and bias is not None and len(source.consumers) == 1:
            count = math.prod(bias.shape)
            yield Flaw(
                f"{source.place} → {call.place}: {count} numbers",
                "The batch norm subtracts the mean of each channel, and with it the bias before it: numbers that are "
                "learned and do nothing.",
                "Leave it out with bias=False; the batch norm has one of its own.",
            )


def _linear_source(call: Call) -> Call | None:
    """The layer with weights whose result reaches this one through linear steps alone, and nothing else takes it."""
    through = _LINEAR | {"batch_norm"} if calls.is_dense(call) else _LINEAR
    one, normed = call.inputs[0], False
    while len(one.consumers) == 1:
        if calls.has_weights(one):
            # Between a convolution and what follows, a batch norm is a linear bottleneck, meant as it is.
            return None if normed and calls.is_convolution(one) else one
        if one.function not in through or len(one.inputs) != 1:
            return None
        normed |= one.function == "batch_norm"
        one = one.inputs[0]
    return None


def _on_purpose(first: Call, second: Call) -> bool:
    """Whether two are one convolution taken apart: depthwise and pointwise, or a column and a row."""
    for call in (first, second):
        if calls.is_convolution(call):
            weight = call.given(1, "weight")
            if len(set(weight.shape[2:])) > 1:
                return True
            channels = call.inputs[0].shape[1] if len(call.inputs[0].shape) > 1 else weight.shape[1]
            if weight.shape[1] < channels and not call.function.startswith("conv_transpose"):
                return True
    return False


def _units(call: Call) -> tuple[int, int]:
    """How many numbers, or channels, it takes, and how many units it has."""
    if calls.is_dense(call):
        return call.inputs[0].shape[-1] if call.inputs[0].shape else 0, call.shape[-1]
    return call.inputs[0].shape[1], call.shape[1]


_MILD = 0.2
"""Below this share the variance changes by less than a quarter: 1 / (1 − 0.2) = 1.25."""

_THROUGH = calls.RESHAPING | calls.AVERAGING | calls.SCALING | calls.MAXIMA | calls.ACTIVATIONS | {"cat"}


def before_batch_norm(evidence: Evidence) -> Iterator[Flaw]:
    """Dropout with a batch norm after it, with nothing or with weights between (Li et al. 2018, arXiv:1801.05134)."""
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
                f"{dropout.place} → {call.place}",
                f"While the network learns, dropout makes what reaches the batch norm vary more, up to "
                f"{1 / (1 - share):.3g} times as much at a share of {share:g}; the batch norm keeps that variance, and "
                f"applies it in evaluation, where nothing is dropped.",
                "Put the dropout after the last batch norm, or leave it out: batch norm regularises too.",
                WARNING if direct or share >= _MILD else INFO,
            )


def in_evaluation(evidence: Evidence) -> Iterator[Flaw]:
    """Dropout that was active although the network was in evaluation mode."""
    for call in evidence.recording.calls:
        if calls.is_dropout(call) and call.given(2, "training", usual=True):
            yield Flaw(
                call.place,
                f"It drops {100 * calls.share(call):.0f} % of the numbers in evaluation mode too: F.dropout is "
                "active unless it is told otherwise, so every answer is partly chance, and accuracy is lost.",
                "Write F.dropout(x, training=self.training), or use a layer nn.Dropout, which knows the mode.",
            )


def _dropouts(norm: Call) -> Iterator[tuple[Call, bool]]:
    """The dropouts whose effect a batch norm measures, and whether no weights stand between."""
    waiting = [(one, True) for one in norm.inputs]
    seen: set[tuple[Call, bool]] = set()
    while waiting:
        call, direct = waiting.pop(0)
        if (call, direct) in seen:
            continue
        seen.add((call, direct))
        if calls.is_dropout(call):
            yield call, direct
        elif call.function in _THROUGH or calls.has_weights(call) or call.function in calls.DROPOUT:
            waiting += [(one, direct and not calls.has_weights(call)) for one in call.inputs]
