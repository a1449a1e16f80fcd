"""Rules on the weights with which a network begins."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid.insight.linting.flaw import Flaw
from pellucid.insight.linting.networks import walking
from pellucid.insight.linting.networks.evidence import Evidence
from pellucid.insight.linting.networks.recording import Call

VANISHED = 1e-4
EXPLODED = 100.0
"""How much numbers differ between pictures, where the pixels themselves differ by about 1.

The weakest network of the catalogue that learns, `lenet5-1998`, begins at 1e-3; ten dense layers with ReLU and torch's
own first weights begin at 3e-5.
"""


def initial_variance(evidence: Evidence) -> Iterator[Flaw]:
    """First weights through which hardly anything of the picture comes, or too much.

    Measured on random pictures in training mode, with batch norms that normalise: what the last layer reads must still
    differ between pictures, and logits of hundreds make a loss of hundreds.
    """
    last = _last(evidence)
    if last is None or not last.inputs:
        return
    reads, gives = last.inputs[0], last.spread
    if reads.spread is not None and reads.spread < VANISHED and reads.function != "input":
        yield Flaw(
            last.place,
            f"At the beginning, what this last layer reads differs between pictures by {reads.spread:.1g} only, where "
            f"the pixels differ by 1: the signal vanishes on the way, and its gradients with it, so the first layers "
            f"hardly learn.",
            "Draw the weights with a variance that fits (nn.init.kaiming_normal_ with ReLU, xavier_uniform_ with "
            "tanh), or put batch norms or shortcuts in.",
        )
    elif gives is not None and gives > EXPLODED and evidence.loss == "cross-entropy":
        yield Flaw(
            _where_it_grew(evidence, last).place,
            f"At the beginning, the logits differ between pictures by {gives:,.0f}, where the pixels differ by 1, so "
            f"the first loss is of that size rather than near log K: the first steps only undo that, or end in NaN.",
            "Draw the weights with a variance that fits (nn.init.kaiming_normal_ with ReLU, xavier_uniform_ with "
            "tanh), or put batch norms in.",
        )


def identical_units(evidence: Evidence) -> Iterator[Flaw]:
    """Units of a hidden layer that all give the same: their gradients are the same too."""
    last = _last(evidence)
    for call in evidence.beginning.calls if evidence.beginning is not None else ():
        if walking.has_weights(call) and call is not last and call.alike and call.spread:
            yield Flaw(
                call.place,
                "All its units begin with the same weights, so they give the same, get the same gradients, and stay "
                "one unit however many there are.",
                "Draw the weights at random; constants are for biases and for scales.",
            )


def _last(evidence: Evidence) -> Call | None:
    """The layer with weights that gives the outputs."""
    beginning = evidence.beginning
    if beginning is None or not beginning.last:
        return None
    return next((call for call in walking.before(beginning.last[0]) if walking.has_weights(call)), None)


def _where_it_grew(evidence: Evidence, last: Call) -> Call:
    """The first layer that multiplies the differences by more than ten, or the last one."""
    assert evidence.beginning is not None
    for call in evidence.beginning.calls:
        if walking.has_weights(call) and call.spread and call.spread > 10 * (call.inputs[0].spread or 1):
            return call
    return last
