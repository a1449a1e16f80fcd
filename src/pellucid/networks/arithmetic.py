"""Output sizes of convolutions and pooling layers, and activations by name."""

from __future__ import annotations

from torch import nn

from pellucid.errors import NetworkError, UnknownNameError


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """O = ⌊(W − F + 2P) / S⌋ + 1, for input size W, kernel size F, padding P on each side and stride S.

    With a dilation, F = `reach(kernel, dilation)`. The result is below 1 if the kernel is larger than the padded input.
    """
    return (size - reach(kernel, dilation) + 2 * padding) // stride + 1


def reach(kernel: int, dilation: int) -> int:
    """D (F − 1) + 1: the size in pixels that a kernel of F with dilation D covers."""
    return dilation * (kernel - 1) + 1


def require_size(network: str, shape: tuple[int, int, int], smallest: int) -> None:
    """Checks that pictures are large enough for a network.

    Raises:
        NetworkError: a side has fewer than `smallest` pixels.
    """
    _, height, width = shape
    if min(height, width) < smallest:
        raise NetworkError(
            f"The network '{network}' is too deep for pictures of {height}×{width} pixels: it needs at least "
            f"{smallest}×{smallest}. Use larger pictures (--size {smallest}), or a smaller network."
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
    """The activation layer with that name.

    Raises:
        UnknownNameError: there is no such activation.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()
