"""Rules on parameters that do not learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.networks.recording import Call
from pellucid.lint.registry import Flaw


def unused(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that take part in nothing that the network computes."""
    names = [name for name, zeros in evidence.idle.items() if not zeros and name not in evidence.used]
    for location, count, text in _by_layer(evidence, names):
        yield Flaw(
            location,
            f"{text} no part in the outputs, so {count:,} numbers are kept, saved and counted, and never learn.",
            "Use it in forward, or take it out of the network.",
        )


def no_gradient(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used, and that no gradient ever reaches, or one that is always 0."""
    names = [name for name, zeros in evidence.idle.items() if zeros or name in evidence.used]
    for location, count, text in _by_layer(evidence, names):
        yield Flaw(
            location,
            f"{text} part, but no gradient comes back, so these {count:,} numbers stay as they began: on the way to "
            "the outputs stands something without a slope (detach, no_grad, argmax, sign, a comparison, NumPy).",
            "Take that step out of the way, or set requires_grad=False if they are to stay fixed.",
        )


def unregistered(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used and are not among the network's own: layers in a plain list, or made in forward."""
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for location, shape in evidence.recording.unregistered:
        shapes[location].append(shape)
    for location, shapes_there in shapes.items():
        listed = ", ".join("×".join(str(side) for side in shape) or "1" for shape in shapes_there)
        yield Flaw(
            location,
            f"Parameters ({listed}) are used that network.parameters() does not give: no optimiser moves them, and no "
            f"file keeps them. Layers in a plain list or dictionary are like that, and those that forward makes anew.",
            "Keep layers in nn.ModuleList or nn.ModuleDict, numbers as nn.Parameter, and make them in __init__.",
        )


def _by_layer(evidence: Evidence, names: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """For each layer, or part of which nothing learns: place, how many numbers, and how the sentence begins."""
    sizes = {name: one.numel() for name, one in evidence.subject.network.named_parameters()}
    selected = set(names)
    while selected:
        name = next(name for name in sizes if name in selected)
        top = _top(name, sizes, selected)
        within = [one for one in sizes if one in selected and (one == top or one.startswith(f"{top}."))]
        selected -= set(within)
        yield top, sum(sizes[one] for one in within), "It takes" if len(within) == 1 else "Its parameters take"


def _top(name: str, sizes: dict[str, int], selected: set[str]) -> str:
    """The largest part around a parameter all of whose parameters are meant."""
    top = name
    while "." in top:
        above = top.rpartition(".")[0]
        if any(one.startswith(f"{above}.") and one not in selected for one in sizes):
            break
        top = above
    return top


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
        if calls.has_weights(call) and call is not last and call.alike and call.spread:
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
    return next((call for call in calls.before(beginning.last[0]) if calls.has_weights(call)), None)


def _where_it_grew(evidence: Evidence, last: Call) -> Call:
    """The first layer that multiplies the differences by more than ten, or the last one."""
    assert evidence.beginning is not None
    for call in evidence.beginning.calls:
        if calls.has_weights(call) and call.spread and call.spread > 10 * (call.inputs[0].spread or 1):
            return call
    return last
