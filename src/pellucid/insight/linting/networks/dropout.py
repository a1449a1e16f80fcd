"""Rules on dropout."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid.insight.linting.flaw import INFO, WARNING, Flaw
from pellucid.insight.linting.networks import walking
from pellucid.insight.linting.networks.evidence import Evidence
from pellucid.insight.linting.networks.recording import Call

_MILD = 0.2
"""Below this share the variance changes by less than a quarter: 1 / (1 − 0.2) = 1.25."""

_THROUGH = walking.RESHAPING | walking.AVERAGING | walking.SCALING | walking.MAXIMA | walking.ACTIVATIONS | {"cat"}


def before_batch_norm(evidence: Evidence) -> Iterator[Flaw]:
    """Dropout with a batch norm after it, with nothing or with weights between (Li et al. 2018, arXiv:1801.05134)."""
    told: set[Call] = set()
    for call in evidence.recording.calls:
        if call.function != "batch_norm":
            continue
        for dropout, direct in _dropouts(call):
            if dropout in told:
                continue
            told.add(dropout)
            share = walking.share(dropout)
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
        if walking.is_dropout(call) and call.given(2, "training", usual=True):
            yield Flaw(
                call.place,
                f"It drops {100 * walking.share(call):.0f} % of the numbers in evaluation mode too: F.dropout is "
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
        if walking.is_dropout(call):
            yield call, direct
        elif call.function in _THROUGH or walking.has_weights(call) or call.function in walking.DROPOUT:
            waiting += [(one, direct and not walking.has_weights(call)) for one in call.inputs]
