"""Rules on parameters that do not learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pellucid.insight.linting.flaw import Flaw
from pellucid.insight.linting.networks.evidence import Evidence


def unused(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that take part in nothing that the network computes."""
    names = [name for name, zeros in evidence.idle.items() if not zeros and name not in evidence.used]
    for place, count, text in _by_layer(evidence, names):
        yield Flaw(
            place,
            f"{text} no part in the outputs, so {count:,} numbers are kept, saved and counted, and never learn.",
            "Use it in forward, or take it out of the network.",
        )


def no_gradient(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used, and that no gradient ever reaches, or one that is always 0."""
    names = [name for name, zeros in evidence.idle.items() if zeros or name in evidence.used]
    for place, count, text in _by_layer(evidence, names):
        yield Flaw(
            place,
            f"{text} part, but no gradient comes back, so these {count:,} numbers stay as they began: on the way to "
            "the outputs stands something without a slope (detach, no_grad, argmax, sign, a comparison, NumPy).",
            "Take that step out of the way, or set requires_grad=False if they are to stay fixed.",
        )


def unregistered(evidence: Evidence) -> Iterator[Flaw]:
    """Parameters that are used and are not among the network's own: layers in a plain list, or made in forward."""
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for place, shape in evidence.recording.unregistered:
        shapes[place].append(shape)
    for place, found in shapes.items():
        listed = ", ".join("×".join(str(side) for side in shape) or "1" for shape in found)
        yield Flaw(
            place,
            f"Parameters ({listed}) are used that network.parameters() does not give: no optimiser moves them, and no "
            f"file keeps them. Layers in a plain list or dictionary are like that, and those that forward makes anew.",
            "Keep layers in nn.ModuleList or nn.ModuleDict, numbers as nn.Parameter, and make them in __init__.",
        )


def _by_layer(evidence: Evidence, names: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """For each layer, or part of which nothing learns: place, how many numbers, and how the sentence begins."""
    sizes = {name: one.numel() for name, one in evidence.subject.network.named_parameters()}
    wanted = set(names)
    while wanted:
        name = next(name for name in sizes if name in wanted)
        top = _top(name, sizes, wanted)
        within = [one for one in sizes if one in wanted and (one == top or one.startswith(f"{top}."))]
        wanted -= set(within)
        yield top, sum(sizes[one] for one in within), "It takes" if len(within) == 1 else "Its parameters take"


def _top(name: str, sizes: dict[str, int], wanted: set[str]) -> str:
    """The largest part around a parameter all of whose parameters are meant."""
    top = name
    while "." in top:
        above = top.rpartition(".")[0]
        if any(one.startswith(f"{above}.") and one not in wanted for one in sizes):
            break
        top = above
    return top
