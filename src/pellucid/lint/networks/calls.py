"""Kinds of calls, and walks along the graph of calls."""

from __future__ import annotations

from collections.abc import Container, Iterator

from pellucid.lint.networks.recording import Call


def named(*lines: str) -> frozenset[str]:
    """A set of function names from words separated by blanks."""
    return frozenset(" ".join(lines).split())


RESHAPING = named(
    "T mT H view view_as reshape reshape_as flatten unflatten squeeze unsqueeze permute transpose swapaxes swapdims",
    "movedim contiguous clone to float double half bfloat16 type type_as detach expand ravel getitem select narrow",
    "as_subclass alias",
)
"""Functions that reshape, copy or select values."""

DROPOUT = named("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")

AVERAGING = named(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum pad",
    "interpolate",
)
"""Functions that sum values with fixed weights."""

SCALING = named("add sub mul div neg")
"""Functions that are linear if the other operand does not depend on the pictures."""

MAXIMA = named("max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d amax max")

ACTIVATIONS = named(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardtanh hardsigmoid sigmoid tanh",
    "softplus softsign threshold clamp logsigmoid tanhshrink softshrink hardshrink glu",
)

NORMS = named("batch_norm instance_norm layer_norm group_norm rms_norm local_response_norm normalize")

CONVOLUTIONS = named("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution")
_PRODUCTS = named("matmul mm bmm addmm baddbmm einsum mv tensordot")


def is_dense(call: Call) -> bool:
    """Whether the call multiplies by a matrix of parameters."""
    return call.function == "linear" or (call.function in _PRODUCTS and bool(call.parameters) and len(call.inputs) == 1)


def is_convolution(call: Call) -> bool:
    """Whether the call is a convolution."""
    return call.function in CONVOLUTIONS


def has_weights(call: Call) -> bool:
    """Whether the call is a dense layer or a convolution whose weights do not depend on the pictures."""
    return (is_dense(call) or is_convolution(call)) and len(call.inputs) == 1


def is_dropout(call: Call) -> bool:
    """Whether the call drops values during training."""
    return call.function in DROPOUT and share(call) > 0


def share(call: Call) -> float:
    """Share of values that a dropout drops."""
    return float(call.argument(1, "p", 0.5))


def back(call: Call, through: Container[str]) -> Call:
    """Walks back from a call through the functions `through`, while there is one input; returns the call before."""
    while call.function in through and len(call.inputs) == 1:
        call = call.inputs[0]
    return call


def before(call: Call) -> Iterator[Call]:
    """The call and all calls that it depends on, nearest first."""
    pending, visited = [call], {call}
    while pending:
        current = pending.pop(0)
        yield current
        for source in current.inputs:
            if source not in visited:
                visited.add(source)
                pending.append(source)


def after(call: Call) -> Iterator[Call]:
    """All calls that depend on a call, without itself."""
    pending, visited = [call], {call}
    while pending:
        for consumer in pending.pop(0).consumers:
            if consumer not in visited:
                visited.add(consumer)
                pending.append(consumer)
                yield consumer
