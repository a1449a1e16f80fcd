"""The output sizes of a model's layers, with the arithmetic: O = (W − F + 2P) / S + 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from pellucid.inference import layer_kinds
from pellucid.inference.runner import runner
from pellucid.inference.tracing import Layer, trace
from pellucid.networks.arithmetic import output_size, reach
from pellucid.networks.network import declaration
from pellucid.records import Findings, Model, Table

COLUMNS = ("layer", "kind", "direction", "F", "arithmetic", "W", "O")
_FORMULA = (
    "O = (W − F + 2P) / S + 1: input size W, kernel size F, padding P on each side, stride S, output size O. "
    "⌊ ⌋ rounds down."
)
_DILATED = "A kernel of F₀ with dilation D covers F = D·(F₀ − 1) + 1 pixels."
_DIRECTIONS = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True)
class _Window:
    """A sliding window in one direction."""

    size: int
    kernel: int
    stride: int
    padding: tuple[int, int]
    dilation: int
    ceil: bool = False


@dataclass(frozen=True)
class _Step:
    """The arithmetic of one layer in one direction: the kernel size and the calculation as text, and the output."""

    kernel: str
    text: str
    output: int


def sizes(model: Model, network: Any = None) -> Findings:
    """The output size of each convolution and pooling layer, calculated for both directions.

    Args:
        model: the model.
        network: for a model of the user's own network; see `pellucid.build`.

    Returns:
        The table `sizes`: layer, kind, direction, kernel, arithmetic, input size (W) and output size (O) in pixels.
    """
    run = runner(model, network)
    module = run.module
    layers = trace(module, model.specification.preprocessing.shape)
    rows = tuple(row for layer in layers.layers for row in _rows(layer))
    notes = [_FORMULA]
    if any(set(layer_kinds.sides(getattr(layer.module, "dilation", 1), 1)) != {1} for layer in layers.layers):
        notes.append(_DILATED)
    notes += declaration(module).notes
    if not rows:
        notes = ["This network has no convolution and no pooling layer."]
    return Findings((Table("sizes", COLUMNS, rows, " ".join(notes)),))


def _rows(layer: Layer) -> list[tuple[Any, ...]]:
    """One row if all directions are equal, else one per direction."""
    if layer.input_shape is None or layer.output_shape is None:
        return []
    known = isinstance(layer.module, layer_kinds.POOLING) or layer_kinds.is_convolution(layer.module)
    before, after = layer.input_shape[1:], layer.output_shape[1:]
    if not before or len(before) != len(after) or len(before) not in _DIRECTIONS:
        return []
    if not known and (before == after or not layer.spatial):
        return []
    steps = [_step(layer.module, axis, len(before), size, after[axis]) for axis, size in enumerate(before)]
    rows = [
        (layer.name, layer.kind, direction, step.kernel, step.text, size, step.output)
        for direction, step, size in zip(_DIRECTIONS[len(before)], steps, before, strict=True)
    ]
    if len(rows) > 1 and all(row[3:] == rows[0][3:] for row in rows):
        return [(*rows[0][:2], "both" if len(rows) == 2 else "all", *rows[0][3:])]
    return rows


def _step(module: nn.Module, axis: int, dimensions: int, size: int, measured: int) -> _Step:
    """The arithmetic in one direction. The measured size wins, since a layer may do more than its settings say."""
    if isinstance(module, (*layer_kinds.ADAPTIVE_AVERAGE, *layer_kinds.ADAPTIVE_MAX)):
        return _Step("", f"always {measured}, for any W", measured)
    if isinstance(module, layer_kinds.TRANSPOSED):
        step = _transposed(module, axis, size)
    elif isinstance(module, layer_kinds.POOLING) or layer_kinds.is_convolution(module):
        step = _sliding(_window(module, axis, dimensions, size))
    else:
        return _Step("", f"{size} → {measured}, measured: a custom layer", measured)
    if step.output != measured:
        return _Step(step.kernel, f"{size} → {measured}, measured: custom padding", measured)
    return step


def _window(module: Any, axis: int, dimensions: int, size: int) -> _Window:
    def setting(name: str, usual: Any) -> Any:
        value = getattr(module, name, None)
        return layer_kinds.sides(usual if value is None else value, dimensions)[axis]

    pooling = isinstance(module, layer_kinds.POOLING)
    kernel = setting("kernel_size", None if pooling else tuple(layer_kinds.weight_of(module).shape[2:]))
    stride = setting("stride", module.kernel_size if pooling else 1)  # pooling without a stride steps by its kernel
    dilation = setting("dilation", 1)
    padding = getattr(module, "padding", 0)
    if padding == "same":
        missing = reach(kernel, dilation) - 1
        around = (missing // 2, missing - missing // 2)
    else:
        side = 0 if padding == "valid" else setting("padding", 0)
        around = (side, side)
    return _Window(size, kernel, stride, around, dilation, bool(getattr(module, "ceil_mode", False)))


def _sliding(window: _Window) -> _Step:
    """⌊(W − F + 2P) / S⌋ + 1, with brackets only if the division leaves a remainder."""
    kernel = reach(window.kernel, window.dilation)
    written = str(kernel) if window.dilation == 1 else f"{window.dilation}·({window.kernel} − 1) + 1 = {kernel}"
    first, last = window.padding
    padded = f"2·{first}" if first == last else f"{first} + {last}"
    room = window.size - kernel + first + last
    inner = f"({window.size} − {kernel} + {padded}) / {window.stride}"
    quotient = room / window.stride
    if room % window.stride == 0:
        return _Step(written, f"{inner} + 1 = {room // window.stride + 1}", room // window.stride + 1)
    if not window.ceil:
        # Only "same" padding differs between the sides. Torch allows it only with stride 1, which leaves no remainder.
        output = output_size(window.size, window.kernel, stride=window.stride, padding=first, dilation=window.dilation)
        return _Step(written, f"⌊{inner}⌋ + 1 = ⌊{quotient:.4g}⌋ + 1 = {output}", output)
    up = -(-room // window.stride) + 1
    if (up - 1) * window.stride >= window.size + first:
        # Torch drops a last window that would begin beyond the picture and its leading padding.
        return _Step(written, f"⌈{inner}⌉ + 1 − 1 = {up - 1}: a window fully outside is dropped", up - 1)
    return _Step(written, f"⌈{inner}⌉ + 1 = ⌈{quotient:.4g}⌉ + 1 = {up}, rounded up", up)


def _transposed(module: Any, axis: int, size: int) -> _Step:
    """(W − 1)·S + F − 2P, plus output padding."""
    kernel, stride, dilation = module.kernel_size[axis], module.stride[axis], module.dilation[axis]
    padding, more = module.padding[axis], module.output_padding[axis]
    wide = reach(kernel, dilation)
    output = (size - 1) * stride + wide - 2 * padding + more
    written = str(wide) if dilation == 1 else f"{dilation}·({kernel} − 1) + 1 = {wide}"
    added = f" + {more}" if more else ""
    return _Step(written, f"transposed: ({size} − 1)·{stride} + {wide} − 2·{padding}{added} = {output}", output)
