"""Rules about parameters that do not learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.networks.recording import Call
from pellucid.lint.registry import Flaw


def unused(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that the outputs do not depend on."""
    names = [name for name, zeros in evidence.idle.items() if not zeros and name not in evidence.used]
    for location, count, text in _by_layer(evidence, names):
        yield Flaw(
            location,
            f"{text} not affect the outputs. These {count:,} numbers are saved and counted, but never learn.",
            "Use the layer in forward, or remove it from the network.",
        )


def no_gradient(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used but get no gradient, or one that is always 0."""
    names = [name for name, zeros in evidence.idle.items() if zeros or name in evidence.used]
    for location, count, text in _by_layer(evidence, names):
        yield Flaw(
            location,
            f"{text} affect the outputs, but no gradient arrives, so these {count:,} numbers never change. An "
            "operation without a gradient is on the way to the outputs (detach, no_grad, argmax, sign, a comparison, "
            "NumPy).",
            "Remove that operation, or set requires_grad=False if the numbers should stay fixed.",
        )


def unregistered(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used but not registered: layers in a plain list, or created in forward."""
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for location, shape in evidence.recording.unregistered:
        shapes[location].append(shape)
    for location, shapes_there in shapes.items():
        listed = ", ".join("×".join(str(side) for side in shape) or "1" for shape in shapes_there)
        yield Flaw(
            location,
            f"The network uses parameters ({listed}) that network.parameters() does not list, so no optimiser trains "
            f"them and no file saves them. Usual causes: layers in a plain list or dictionary, or created in forward.",
            "Keep layers in nn.ModuleList or nn.ModuleDict and numbers as nn.Parameter, and create them in __init__.",
        )


def _by_layer(evidence: Evidence, names: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """For each part of the network in which nothing learns: location, number of values, start of the sentence."""
    sizes = {name: parameter.numel() for name, parameter in evidence.subject.network.named_parameters()}
    selected = set(names)
    while selected:
        name = next(name for name in sizes if name in selected)
        top = _top(name, sizes, selected)
        within = [name for name in sizes if name in selected and (name == top or name.startswith(f"{top}."))]
        selected -= set(within)
        yield top, sum(sizes[name] for name in within), "It does" if len(within) == 1 else "Its parameters do"


def _top(name: str, sizes: dict[str, int], selected: set[str]) -> str:
    """The largest module around a parameter whose parameters are all selected."""
    top = name
    while "." in top:
        above = top.rpartition(".")[0]
        if any(name.startswith(f"{above}.") and name not in selected for name in sizes):
            break
        top = above
    return top


VANISHED = 1e-4
EXPLODED = 100.0
"""Bounds of the spread between pictures, when the pixels themselves have a spread of about 1.

The lowest spread of a network of the catalogue that learns is 1e-3 (`lenet5-1998`); ten dense layers with ReLU and
torch's default initial weights have 3e-5.
"""


def initial_variance(evidence: Evidence) -> Iterator[Flaw]:
    """Initial weights that make the signal vanish or explode.

    Measured on random pictures in training mode, with batch norms that normalise: the inputs of the last layer must
    still differ between pictures, and logits in the hundreds give a loss in the hundreds.
    """
    last = _last(evidence)
    if last is None or not last.inputs:
        return
    reads, gives = last.inputs[0], last.spread
    if reads.spread is not None and reads.spread < VANISHED and reads.function != "input":
        yield Flaw(
            last.location,
            f"With the initial weights, the input of this last layer has a spread of only {reads.spread:.1g} between "
            f"pictures, while the pixels have 1. The signal vanishes, and the gradients too, so the first layers "
            f"hardly learn.",
            "Use a suitable initialisation (nn.init.kaiming_normal_ with ReLU, xavier_uniform_ with tanh), or add "
            "batch norms or shortcuts.",
        )
    elif gives is not None and gives > EXPLODED and evidence.loss == "cross-entropy":
        yield Flaw(
            _where_it_grew(evidence, last).location,
            f"With the initial weights, the logits have a spread of {gives:,.0f} between pictures, while the pixels "
            f"have 1. The first loss has that size instead of about log K, so the first steps only undo it, or the "
            f"training ends in NaN.",
            "Use a suitable initialisation (nn.init.kaiming_normal_ with ReLU, xavier_uniform_ with tanh), or add "
            "batch norms.",
        )


def identical_units(evidence: Evidence) -> Iterator[Flaw]:
    """Hidden units with equal outputs: their gradients are equal too."""
    last = _last(evidence)
    for call in evidence.beginning.calls if evidence.beginning is not None else ():
        if calls.has_weights(call) and call is not last and call.identical_units and call.spread:
            yield Flaw(
                call.location,
                "All units start with the same weights, so they have the same outputs and gradients and stay equal. "
                "The layer works like a single unit.",
                "Draw the weights at random; use constants only for biases and scales.",
            )


def _last(evidence: Evidence) -> Call | None:
    """The last layer with weights."""
    beginning = evidence.beginning
    if beginning is None or not beginning.last:
        return None
    return next((call for call in calls.before(beginning.last[0]) if calls.has_weights(call)), None)


def _where_it_grew(evidence: Evidence, last: Call) -> Call:
    """The first layer that multiplies the spread by more than ten, or the last one."""
    assert evidence.beginning is not None
    for call in evidence.beginning.calls:
        if calls.has_weights(call) and call.spread and call.spread > 10 * (call.inputs[0].spread or 1):
            return call
    return last
