"""The rule about the receptive field of the last features."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pellucid.inference import layer_kinds
from pellucid.lint.networks import calls
from pellucid.lint.networks.evidence import Evidence
from pellucid.lint.networks.recording import Call
from pellucid.lint.registry import Flaw
from pellucid.networks.arithmetic import reach

_COLLAPSING = calls.named("adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d max_pool2d mean sum amax max logsumexp")
_SLIDING = calls.named("conv2d max_pool2d avg_pool2d lp_pool2d")
_POINT_BY_POINT = (
    calls.ACTIVATIONS
    | calls.DROPOUT
    | calls.SCALING
    | calls.NORMS
    | calls.named("cat contiguous clone to float type_as detach abs pow square pad")
)


def small_receptive_field(evidence: Evidence) -> Iterator[Flaw]:
    """Averaged features whose receptive field is smaller than the object.

    A dense layer on all positions sees the whole picture. The rule says nothing if a receptive field is unknown.
    """
    fields = _fields(evidence.recording.calls)
    for call in evidence.recording.calls:
        if not (_collapses(call) and not any(_is_map(later) for later in calls.after(call))):
            continue
        field_side = min(fields[call.inputs[0]][0])
        size = evidence.subject.object_size
        if field_side < size:
            height, width = evidence.subject.shape[1:]
            yield Flaw(
                call.location,
                f"This layer averages features that see {field_side:g}×{field_side:g} pixels each, in pictures of "
                f"{height}×{width} with objects of about {size}. No feature sees a whole object, so the network learns "
                f"textures and parts, but not their arrangement.",
                "Add layers or pooling before this one, enlarge the kernels, or end with a dense layer on all "
                "positions. Give the size of the object with --object PIXELS.",
            )


Field = tuple[tuple[float, float], tuple[float, float]]
"""Size of the receptive field and distance between neighbours, in pixels, as (vertical, horizontal)."""

_ALL: Field = ((math.inf, math.inf), (math.inf, math.inf))


def _fields(recorded: list[Call]) -> dict[Call, Field]:
    """The receptive field of each call's output (N, C, H, W)."""
    fields: dict[Call, Field] = {recorded[0]: ((1, 1), (1, 1))}
    for call in recorded[1:]:
        maps = [source for source in call.inputs if _is_map(source)]
        known = [fields.get(source, _ALL) for source in maps]
        if not known or len(call.shape) != 4:
            fields[call] = _ALL
        elif call.function in _SLIDING:
            fields[call] = _slide(call, known[0])
        elif call.function in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
            kernel = [
                math.ceil(before / after) for before, after in zip(maps[0].shape[2:], call.shape[2:], strict=True)
            ]
            fields[call] = _wider(known[0], kernel, kernel)
        elif call.function == "getitem" and call.shape[:2] == maps[0].shape[:2]:
            steps = [max(round(a / b), 1) for a, b in zip(maps[0].shape[2:], call.shape[2:], strict=True)]
            fields[call] = _wider(known[0], [1, 1], steps)
        elif call.function in _POINT_BY_POINT:
            sizes, steps = zip(*known, strict=True)
            fields[call] = (_largest(sizes), _largest(steps))
        else:
            fields[call] = _ALL
    return fields


def _slide(call: Call, field: Field) -> Field:
    """The field after a convolution or pooling layer."""
    if call.function == "conv2d":
        kernel = list(call.argument(1, "weight").shape[2:])
        stride, dilation = call.argument(3, "stride", 1), call.argument(5, "dilation", 1)
    else:
        first = 2 if call.function == "lp_pool2d" else 1
        kernel = list(layer_kinds.sides(call.argument(first, "kernel_size"), 2))
        stride = call.argument(first + 1, "stride") or kernel
        dilation = call.argument(4, "dilation", 1) if call.function == "max_pool2d" else 1
    wide = [reach(side, apart) for side, apart in zip(kernel, layer_kinds.sides(dilation, 2), strict=True)]
    return _wider(field, wide, list(layer_kinds.sides(stride, 2)))


def _wider(field: Field, kernel: list[int], stride: list[int]) -> Field:
    (height, width), (down, across) = field
    wider_field = (height + (kernel[0] - 1) * down, width + (kernel[1] - 1) * across)
    return wider_field, (down * stride[0], across * stride[1])


def _largest(pairs: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    return max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)


def _is_map(call: Call) -> bool:
    return len(call.shape) == 4 and call.shape[2] * call.shape[3] > 1


def _collapses(call: Call) -> bool:
    """Whether the call reduces each map to one value."""
    if call.function not in _COLLAPSING or len(call.inputs) != 1:
        return False
    source = call.inputs[0]
    return (
        _is_map(source) and math.prod(call.shape) == math.prod(source.shape[:2]) and call.shape[:2] == source.shape[:2]
    )
