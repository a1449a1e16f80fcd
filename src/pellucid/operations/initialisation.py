"""Random initial weights with a variance that keeps the size of the signal from layer to layer.

Formula:
    Xavier (tanh):   Var(w) = 2 / (fan in + fan out)
    He (ReLU):       Var(w) = 2 / fan in
    LeCun:           Var(w) = 1 / fan in
    torch's layers:  Var(w) = 1 / (3 · fan in)
    The uniform distribution U(−a, a) has the variance a² / 3.

Fan in is the number of inputs of each output, fan out the number of outputs of each input (see `fans`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Shape = tuple[int, ...]
Draw = Callable[[Shape, np.random.Generator], np.ndarray]


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of weights (K, D), or of kernels (K, C, F, F).

    Formula:
        fan in = C · F · F,   fan out = K · F · F
    """
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def xavier_normal(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """For sigmoid and tanh: a compromise that keeps the variance in both the forward and the backward pass.

    Formula:
        w ~ N(0, 2 / (fan in + fan out))

    Source: Glorot and Bengio, AISTATS 2010.
    """
    return generator.normal(0, math.sqrt(2 / sum(fans(shape))), shape)


def xavier_uniform(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """Xavier's variance with a uniform distribution; U(−a, a) has the variance a²/3.

    Formula:
        w ~ U(−a, a),   a = √(6 / (fan in + fan out))
    """
    bound = math.sqrt(6 / sum(fans(shape)))
    return generator.uniform(-bound, bound, shape)


def kaiming_normal(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """For ReLU, which halves the variance: twice the variance of `lecun_normal`.

    Formula:
        w ~ N(0, 2 / fan in)

    Source: He, Zhang, Ren and Sun, ICCV 2015.
    """
    return generator.normal(0, math.sqrt(2 / fans(shape)[0]), shape)


def kaiming_uniform(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """He's variance with a uniform distribution.

    Formula:
        w ~ U(−a, a),   a = √(6 / fan in)
    """
    bound = math.sqrt(6 / fans(shape)[0])
    return generator.uniform(-bound, bound, shape)


def torch_default(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """The default of torch's dense and convolutional layers: a third of LeCun's variance.

    Formula:
        w ~ U(−a, a),   a = 1 / √(fan in),   so its variance is 1 / (3 · fan in)
    """
    bound = 1 / math.sqrt(fans(shape)[0])
    return generator.uniform(-bound, bound, shape)


def lecun_normal(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """Keeps the variance in the forward pass of a linear layer.

    Formula:
        w ~ N(0, 1 / fan in)

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    """
    return generator.normal(0, math.sqrt(1 / fans(shape)[0]), shape)


def zeros(shape: Shape, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001 (as the others have it)
    """All weights equal: all units of a layer then have the same outputs and gradients, and stay equal.

    Formula:
        w = 0
    """
    return np.zeros(shape)


INITIALISATIONS: dict[str, Draw] = {
    "xavier-normal": xavier_normal,
    "xavier-uniform": xavier_uniform,
    "kaiming-normal": kaiming_normal,
    "kaiming-uniform": kaiming_uniform,
    "torch-default": torch_default,
    "lecun-normal": lecun_normal,
    "zeros": zeros,
}
