"""Which calls do what, and how to walk from one to another."""

from __future__ import annotations

from collections.abc import Container, Iterator

from pellucid.lint.networks.recording import Call


def named(*lines: str) -> frozenset[str]:
    """Names of functions, given as words."""
    return frozenset(" ".join(lines).split())


RESHAPING = named(
    "T mT H view view_as reshape reshape_as flatten unflatten squeeze unsqueeze permute transpose swapaxes swapdims",
    "movedim contiguous clone to float double half bfloat16 type type_as detach expand ravel getitem select narrow",
    "as_subclass alias",
)
"""They give the same numbers in another shape, or some of them."""

DROPOUT = named("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")

AVERAGING = named(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum pad",
    "interpolate",
)
"""Sums with fixed weights."""

SCALING = named("add sub mul div neg")
"""Linear where the other operand does not come from the pictures."""

MAXIMA = named("max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d amax max")

ACTIVATIONS = named(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardtanh hardsigmoid sigmoid tanh",
    "softplus softsign threshold clamp logsigmoid tanhshrink softshrink hardshrink glu",
)

NORMS = named("batch_norm instance_norm layer_norm group_norm rms_norm local_response_norm normalize")

CONVOLUTIONS = named("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution")
_PRODUCTS = named("matmul mm bmm addmm baddbmm einsum mv tensordot")


def is_dense(call: Call) -> bool:
    """Whether it multiplies by a matrix of parameters."""
    return call.function == "linear" or (call.function in _PRODUCTS and bool(call.parameters) and len(call.inputs) == 1)


def is_convolution(call: Call) -> bool:
    """Whether it is a convolution."""
    return call.function in CONVOLUTIONS


def has_weights(call: Call) -> bool:
    """Whether it is a dense layer or a convolution, with weights that do not come from the pictures."""
    return (is_dense(call) or is_convolution(call)) and len(call.inputs) == 1


def is_dropout(call: Call) -> bool:
    """Whether it drops something while the network learns."""
    return call.function in DROPOUT and share(call) > 0


def share(call: Call) -> float:
    """The share that a dropout drops."""
    return float(call.given(1, "p", 0.5))


def back(call: Call, through: Container[str]) -> Call:
    """The first call, from this one against the flow, that is none of `through`, or has not exactly one input."""
    while call.function in through and len(call.inputs) == 1:
        call = call.inputs[0]
    return call


def before(call: Call) -> Iterator[Call]:
    """Everything that a call depends on, itself included, the nearest first."""
    waiting, seen = [call], {call}
    while waiting:
        yield (one := waiting.pop(0))
        for source in one.inputs:
            if source not in seen:
                seen.add(source)
                waiting.append(source)


def after(call: Call) -> Iterator[Call]:
    """Everything that depends on a call, itself not included."""
    waiting, seen = [call], {call}
    while waiting:
        for taker in waiting.pop(0).consumers:
            if taker not in seen:
                seen.add(taker)
                waiting.append(taker)
                yield taker
