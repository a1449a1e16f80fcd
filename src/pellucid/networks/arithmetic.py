"""The arithmetic of sizes: how large the output of a convolution or pooling layer is."""

from __future__ import annotations

from torch import nn

from pellucid.errors import NetworkError, UnknownNameError


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """O = ⌊(W − F + 2P) / S⌋ + 1, for an input of W pixels, a kernel of F, a stride of S and P zeros at each side.

    With a dilation of D the kernel reaches over F = `reach(kernel, D)` pixels. The result is below 1 where that is more
    than the padded input has.
    """
    return (size - reach(kernel, dilation) + 2 * padding) // stride + 1


def reach(kernel: int, dilation: int) -> int:
    """D (F − 1) + 1: over how many pixels a kernel of F reaches whose numbers stand D pixels apart."""
    return dilation * (kernel - 1) + 1


def require_size(network: str, shape: tuple[int, int, int], smallest: int) -> None:
    """Refuses pictures that are too small for a network.

    Raises:
        NetworkError: a side has fewer than `smallest` pixels.
    """
    _, height, width = shape
    if min(height, width) < smallest:
        raise NetworkError(
            f"The network '{network}' is too deep for pictures of {height}×{width} pixels: it needs at least "
            f"{smallest}×{smallest}. Give larger pictures (--size {smallest}), or a smaller network."
        )


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation(name: str) -> nn.Module:
    """The activation layer of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()
