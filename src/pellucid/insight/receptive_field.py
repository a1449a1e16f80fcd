"""Receptive fields: the part of the picture that a unit depends on, computed operation by operation.

The field of the first unit begins at pixel `start`; each field covers `reach` pixels; the fields of neighbours begin
`jump` pixels apart. A kernel of F = D·(F₀ − 1) + 1 with stride S and padding P gives

    reach' = reach + (F − 1)·jump        jump' = S·jump        start' = start − P·jump

(Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019,
doi:10.23915/distill.00021). Where branches meet, the field is the smallest rectangle that contains all of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SAME = {
    "relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "hardswish", "hardtanh", "hardsigmoid", "sigmoid", "tanh",
    "mish", "selu", "celu", "prelu", "softplus", "add", "sub", "mul", "div", "iadd", "imul", "isub", "radd", "rmul",
    "truediv", "rsub", "pow", "abs", "square", "sqrt", "exp", "neg", "dropout", "dropout2d", "feature_dropout",
    "alpha_dropout", "batch_norm", "cat", "concat", "clamp", "maximum", "minimum", "contiguous", "to", "float",
    "channel_shuffle", "chunk", "split", "type", "type_as", "detach", "clone", "local_response_norm",
}  # fmt: skip
"""Operations that act on each position separately, if the maps keep their size."""


@dataclass(frozen=True)
class Field:
    """The receptive fields of a layer's units, as (height, width) in pixels of the picture.

    Attributes:
        start: first pixel of the upper left unit's field; negative if it begins in the padding.
        reach: size of the field of a unit, padding included.
        jump: distance between the fields of neighbouring units.
    """

    start: tuple[int, int]
    reach: tuple[int, int]
    jump: tuple[int, int]

    @classmethod
    def of_a_pixel(cls) -> Field:
        return cls((0, 0), (1, 1), (1, 1))

    def of(self, row: int, column: int) -> tuple[int, int, int, int]:
        """The field of the unit at a position: (top, left, bottom, right) in pixels, bottom and right exclusive."""
        top, left = (
            begin + index * step for begin, index, step in zip(self.start, (row, column), self.jump, strict=True)
        )
        return top, left, top + self.reach[0], left + self.reach[1]

    def through(self, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Field:
        """The field after a convolution or pooling with these settings."""
        start, reach, jump = [], [], []
        for axis, (f, s, p, d) in enumerate(zip(*map(_pair, (kernel, stride, padding, dilation)), strict=True)):
            start.append(self.start[axis] - p * self.jump[axis])
            reach.append(self.reach[axis] + d * (f - 1) * self.jump[axis])
            jump.append(self.jump[axis] * s)
        return Field((start[0], start[1]), (reach[0], reach[1]), (jump[0], jump[1]))


def after(
    operation: str,
    args: Any,
    kwargs: Any,
    fields: list[Field | None],
    shapes: list[tuple[int, ...]],
    output: tuple[int, ...],
) -> Field | None:
    """The field of the output of an operation; None if that is the whole picture or unknown.

    Args:
        operation: its name in torch.
        args: its positional arguments.
        kwargs: its keyword arguments.
        fields: the fields of its input tensors.
        shapes: the shapes of its input tensors, with the batch dimension.
        output: the shape of its output, with the batch dimension.
    """
    if any(input_field is None for input_field in fields) or len(output) != 4:
        return None
    field = fields[0]
    assert field is not None
    name = operation.strip("_")
    if name == "conv2d":
        set_by = _bound(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, kwargs)
        kernel, dilation = tuple(set_by["weight"].shape[2:]), set_by.get("dilation", 1)
        padding = set_by.get("padding", 0)
        if isinstance(padding, str):
            same = padding == "same"
            padding = tuple(d * (f - 1) // 2 if same else 0 for f, d in zip(kernel, _pair(dilation), strict=True))
        return field.through(kernel, set_by.get("stride", 1), padding, dilation)
    if name.startswith("max_pool2d"):
        set_by = _bound(("input", "kernel_size", "stride", "padding", "dilation"), args, kwargs)
        return _pooled(field, set_by, set_by.get("dilation", 1))
    if name in ("avg_pool2d", "lp_pool2d"):
        second = ("norm_type",) if name == "lp_pool2d" else ()
        set_by = _bound(("input", *second, "kernel_size", "stride", "padding"), args, kwargs)
        if name == "lp_pool2d":
            set_by.pop("padding", None)
        return _pooled(field, set_by, 1)
    if name == "pad":
        left, _, top, _ = [*_bound(("input", "pad"), args, kwargs)["pad"], 0, 0][:4]
        return Field(
            (field.start[0] - top * field.jump[0], field.start[1] - left * field.jump[1]), field.reach, field.jump
        )
    if name == "getitem":
        return _sliced(field, args[1])
    if name in _SAME:
        # A pooled branch, as in squeeze-and-excitation, lets every position see the whole picture.
        if any(len(shape) == 4 and shape[2:] != output[2:] for shape in shapes):
            return None
        return _together([input_field for input_field in fields if input_field is not None])
    return None


def _pooled(field: Field, set_by: dict[str, Any], dilation: Any) -> Field:
    kernel = set_by["kernel_size"]
    stride = set_by.get("stride")
    return field.through(
        kernel, kernel if stride is None or stride == [] else stride, set_by.get("padding", 0), dilation
    )


def _sliced(field: Field, index: Any) -> Field | None:
    """The field after a slice: `x[:, :, ::2, ::2]` keeps the start and doubles the jump. None if not a plain slice."""
    index = index if isinstance(index, tuple) else (index,)
    if len(index) > 4 or not all(isinstance(part, slice) for part in index):
        return None
    start, jump = list(field.start), list(field.jump)
    for axis, part in enumerate(index[2:]):
        if (part.start or 0) < 0:
            return None
        start[axis] += (part.start or 0) * jump[axis]
        jump[axis] *= part.step or 1
    return Field((start[0], start[1]), field.reach, (jump[0], jump[1]))


def _together(fields: list[Field]) -> Field | None:
    """The smallest field that contains all of them; None if their jumps differ."""
    if len({field.jump for field in fields}) > 1:
        return None
    top, left = (min(field.start[axis] for field in fields) for axis in (0, 1))
    bottom, right = (max(field.start[axis] + field.reach[axis] for field in fields) for axis in (0, 1))
    return Field((top, left), (bottom - top, right - left), fields[0].jump)


def _bound(names: tuple[str, ...], args: Any, kwargs: Any) -> dict[str, Any]:
    return dict(zip(names, args, strict=False)) | {key: value for key, value in kwargs.items() if key in names}


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))
