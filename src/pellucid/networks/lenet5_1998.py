"""LeNet-5 as in the paper of 1998."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pellucid.networks.arithmetic import output_size
from pellucid.networks.network import Network

_SIDE = 32
# Table I of the paper: the input maps (of S2's six) of each of C3's sixteen maps.
CONNECTIONS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class LeNet5Of1998(Network):
    """LeNet-5 with trainable subsampling, partial connections, scaled tanh and radial-basis outputs.

    Layers, on MNIST (28×28, padded to 32×32):

        C1   6 kernels 5×5                       (N,  1, 32, 32) → (N,   6, 28, 28)       156 parameters
        S2   subsampling 2×2                                     → (N,   6, 14, 14)        12
        C3   16 kernels 5×5, each on 3 to 6 maps                 → (N,  16, 10, 10)     1,516
        S4   subsampling 2×2                                     → (N,  16,  5,  5)        32
        C5   120 kernels 5×5, so dense                           → (N, 120)            48,120
        F6   dense                                               → (N,  84)            10,164
        output   distance from each class's code                 → (N,   K)                 0      60,000 in all

    Formulas:
        squashing:     f(a) = 1.7159 tanh(2a/3), after every layer up to F6
        subsampling:   the sum of four pixels, times a trainable coefficient, plus a trainable bias
        output:        yₖ = Σᵢ (xᵢ − cₖᵢ)², the squared distance of F6 from the code of class k, 84 values of ±1.
                       `forward` returns −y, so that the largest output is the nearest code.
        loss:          y of the correct class + log(e⁻ʲ + Σₖ e⁻ʸᵏ), the paper's equation 9: the output must be near the
                       correct code and far from the others. The constant j stops it from pushing distant codes away.

    Codes: for ten classes, the digits drawn on 7×12 pixels, as in the paper (the drawings are ours). For other numbers
    of classes, each class has a fixed code of 84 random signs; two codes differ in about 42 signs. See
    `pellucid.networks.lenet5_1998`.

    Initial weights are uniform between ±2.4 / fan-in, as in the paper. The paper trains with a stochastic diagonal
    Levenberg-Marquardt method; here the optimiser is Adam.

    Args:
        shape: (C, H, W) of the pictures; smaller ones are padded to 32×32, larger ones widen C5.
        classes: K.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE
        86(11), 1998, section II.B and II.C.
    Good for: handwritten digits as in 1998; comparison with today's simpler form.
    """

    loss: ClassVar[str] = "radial-basis"
    recipe: ClassVar[Mapping[str, Any]] = {
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "weight_decay": 0.0,
    }
    codes: torch.Tensor

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        padded = (max(height, _SIDE), max(width, _SIDE))
        vertical, horizontal = padded[0] - height, padded[1] - width
        self.padding = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)
        if any(self.padding):
            self.notes = (
                f"lenet5-1998 pads the pictures with zeros, from {height}×{width} to {padded[0]}×{padded[1]}.",
            )
        rows, columns = (output_size(output_size(side, 5) // 2, 5) // 2 for side in padded)
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = PartialConvolution(CONNECTIONS, 6, 5)
        self.s4 = Subsampling(16)
        self.c5 = nn.Linear(16 * rows * columns, 120)
        self.f6 = nn.Linear(120, 84)
        self.register_buffer("codes", torch.from_numpy(output_codes(classes)))
        for layer in (self.c1, self.c5, self.f6):
            bound = 2.4 / layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -bound, bound)
            assert layer.bias is not None
            nn.init.uniform_(layer.bias, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x, self.padding)
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.c5(x.flatten(1)))
        x = squash(self.f6(x))
        # Σ (x − c)² = Σ x² − 2 x·c + Σ c², and every code has Σ c² = 84.
        return -(x.square().sum(dim=1, keepdim=True) - 2 * x @ self.codes.T + self.codes.shape[1])


def squash(a: torch.Tensor) -> torch.Tensor:
    """1.7159 tanh(2a/3), scaled so that f(1) = 1 and f(−1) = −1, the values of the codes."""
    return 1.7159 * torch.tanh(2 / 3 * a)


class Subsampling(nn.Module):
    """The sum of each 2×2 pixels, times a trainable coefficient, plus a trainable bias; one of each per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        bound = 2.4 / 4
        self.coefficient = nn.Parameter(torch.empty(maps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(maps).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 4 * functional.avg_pool2d(x, 2)
        return total * self.coefficient[:, None, None] + self.bias[:, None, None]


class PartialConvolution(nn.Module):
    """A convolution in which each kernel reads only some of the input maps.

    Args:
        connections: for each kernel, the indices of its input maps.
        maps: number of input maps.
        size: side of the kernels, in pixels.
    """

    places: torch.Tensor

    def __init__(self, connections: tuple[tuple[int, ...], ...], maps: int, size: int) -> None:
        super().__init__()
        self.dense_shape = (len(connections), maps, size, size)
        indices = [kernel * maps + index for kernel, inputs in enumerate(connections) for index in inputs]
        self.register_buffer("places", torch.from_numpy(np.array(indices)), persistent=False)
        # The fan-in differs between kernels, and so does the range of their initial weights.
        bounds = torch.tensor([2.4 / (len(inputs) * size * size) for inputs in connections])
        spread = torch.cat([bounds[i].repeat(len(inputs)) for i, inputs in enumerate(connections)])
        self.weight = nn.Parameter(torch.empty(len(indices), size, size).uniform_(-1, 1) * spread[:, None, None])
        self.bias = nn.Parameter(torch.empty(len(connections)).uniform_(-1, 1) * bounds)

    def dense_weight(self) -> torch.Tensor:
        """The kernels, with zeros for missing connections, (kernels, maps, size, size)."""
        kernels, maps, *sides = self.dense_shape
        dense = self.weight.new_zeros(kernels * maps, math.prod(sides))
        return dense.index_copy(0, self.places, self.weight.flatten(1)).view(self.dense_shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.dense_weight(), self.bias)


WIDTH, HEIGHT = 7, 12

_DIGITS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  ..###..  .#####.  ....##.  .#####.  ...###.  .#####.  ..###..  ..###..
.#...#.  ..##...  .#...#.  .....#.  ...#.#.  .#.....  ..#....  .....#.  .#...#.  .#...#.
.#...#.  .#.#...  .....#.  ....#..  ..#..#.  .#.....  .#.....  .....#.  .#...#.  .#...#.
.#...#.  ...#...  .....#.  ...#...  ..#..#.  .#.....  .#.....  ....#..  .#...#.  .#...#.
.#...#.  ...#...  ....#..  ..###..  .#...#.  .####..  .####..  ....#..  ..###..  .#...#.
.#...#.  ...#...  ...#...  .....#.  .######  .....#.  .#...#.  ...#...  .#...#.  ..####.
.#...#.  ...#...  ..#....  .....#.  .....#.  .....#.  .#...#.  ...#...  .#...#.  .....#.
.#...#.  ...#...  .#.....  .....#.  .....#.  .....#.  .#...#.  ..#....  .#...#.  .....#.
.#...#.  ...#...  .#.....  .#...#.  .....#.  .#...#.  .#...#.  ..#....  .#...#.  ....#..
..###..  .#####.  .#####.  ..###..  .....#.  ..###..  ..###..  ..#....  ..###..  .###...
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def output_codes(classes: int) -> np.ndarray:
    """The codes of K classes, float32 (K, 84), with values +1 and −1.

    For ten classes, these are the drawings of the digits 0 to 9, row by row. Otherwise they are random signs with a
    fixed seed per class.
    """
    if classes == 10:
        return digit_codes()
    # One seed per class, so that a class keeps its code when more classes are added.
    rows = [np.random.default_rng([1998, k]).integers(0, 2, WIDTH * HEIGHT) for k in range(classes)]
    return (2 * np.stack(rows) - 1).astype(np.float32)


def digit_codes() -> np.ndarray:
    """The drawings of the digits 0 to 9, float32 (10, 84), +1 for ink and −1 for paper."""
    lines = [line.split() for line in _DIGITS.strip().splitlines()]
    drawn = np.array([[list(row) for row in line] for line in lines]) == "#"
    return np.where(drawn, 1.0, -1.0).astype(np.float32).transpose(1, 0, 2).reshape(10, WIDTH * HEIGHT)
