"""Dropout: values are switched off at random during training."""

from __future__ import annotations

import numpy as np

from pellucid.errors import UsageError


def dropout(x: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Inverted dropout, for training: sets each value to 0 with probability p, and scales up the others.

    Formula:
        y = x · d / (1 − p),   d = 0 with probability p, otherwise 1, drawn for each value

        The mean of y over all draws is x · (1 − p) / (1 − p) = x, so the next layer sees sums of the same size with and
        without dropout. At test time nothing is dropped and *nothing is scaled*.

        In its original form (`plain_dropout`) y = x · d has the mean (1 − p) x, so the weights must be multiplied by
        1 − p after training. Doing this after inverted dropout would scale twice.

    Args:
        x: values of any shape.
        rate: p, from 0 (none) to below 1.
        generator: random number generator.

    Raises:
        UsageError: the rate is not in [0, 1).

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """
    return plain_dropout(x, rate, generator) / (1 - rate)


def plain_dropout(x: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Dropout without scaling, as in the original paper.

    Formula:
        y = x · d,   d = 0 with probability p, otherwise 1
    """
    if not 0 <= rate < 1:
        raise UsageError(f"The dropout rate is {rate}, but should be at least 0 and below 1. Try 0.5.")
    return x * (generator.random(x.shape) >= rate)
